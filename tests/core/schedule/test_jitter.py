"""The hash behind the jitter; the numbers are those of the library that the real server uses."""

from __future__ import annotations

import pytest

from mockcloud.core.schedule.jitter import fingerprint32, jitter


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("0123456789abc", 3_790_145_694),
        ("abcdefghijklmnopqrstuvwx", 222_712_484),
        ("abcdefghijklmnopqrstuvwxy", 1_851_954_435),
        ("0123456789012345678901234567890123456789", 1_353_040_832),
        ("01234567890123456789012345678901234567890", 209_699_872),
        ("abcdefghijklmnopqrstuvwxyz0123456789ABCDE", 1_563_207_090),
    ],
)
def test_fingerprint(key: str, expected: int) -> None:
    assert fingerprint32(key.encode()) == expected


def test_no_jitter_is_none() -> None:
    assert jitter(0, 0, "seed") == 0
    assert jitter(0, 999_999, "seed") == 0  # less than a millisecond
