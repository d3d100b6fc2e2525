"""How much later than its nominal time an action runs: always the same for the same schedule and time.

Real: service/worker/scheduler/spec.go, addJitter, which hashes with FarmHash's Fingerprint32.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from mockcloud.core import times

_MASK = 0xFFFFFFFF
_C1 = 0xCC9E2D51
_C2 = 0x1B873593
_YEAR_ONE = 62_135_596_800  # seconds from year 1 to the Unix epoch: Go counts from there
_UTC = -1  # as Go marks UTC where an offset in minutes stands
_SHORTEST = 13  # bytes; FarmHash hashes shorter keys and
_SHORT = 24  # keys up to this length in ways of their own


def jitter(nominal: int, longest: int, seed: str) -> int:
    """Nanoseconds in [0, `longest`), of whole milliseconds. `nominal` is in nanoseconds."""
    milliseconds = min(max(longest, 0) // times.MILLISECOND, _MASK)
    seconds, nanos = divmod(nominal, times.SECOND)
    # Go's time.Time.MarshalBinary: version, seconds since year 1, nanoseconds, zone.
    moment = struct.pack(">BqIh", 1, seconds + _YEAR_ONE, nanos, _UTC)
    return (fingerprint32(moment + seed.encode()) * milliseconds >> 32) * times.MILLISECOND


def fingerprint32(key: bytes) -> int:
    """FarmHash's 32-bit fingerprint, of keys of 13 bytes and more: a moment alone has 15."""
    size = len(key)
    assert size >= _SHORTEST, "the key has a moment in it"

    def word(at: int) -> int:
        return int(struct.unpack_from("<I", key, at)[0])

    if size <= _SHORT:
        return _short(word, size)
    last = [_rotate(word(size - 4 * back) * _C1, 17) * _C2 & _MASK for back in range(1, 6)]
    h = _stir(_stir(size ^ last[0]) ^ last[3])
    g = _stir(_stir(_C1 * size & _MASK ^ last[1]) ^ last[2])
    f = _rotate(_C1 * size + last[4], 19) + 113 & _MASK
    for at in range(0, (size - 1) // 20 * 20, 20):
        a, b, c, d, e = struct.unpack_from("<5I", key, at)
        h, g, f = h + a, g + b, f + c
        h = _murmur(d, h) + e
        g = _murmur(c, g) + a
        f = _murmur(b + e * _C1, f) + d
        f = f + g & _MASK
        g = g + f & _MASK
    g = _rotate(_rotate(g, 11) * _C1, 17) * _C1
    f = _rotate(_rotate(f, 11) * _C1, 17) * _C1
    h = _rotate(_stir(h + g), 17) * _C1
    return _rotate(_stir(h + f), 17) * _C1 & _MASK


def _short(word: Callable[[int], int], size: int) -> int:
    half = size // 2
    a, b, c, d, e, f = word(half - 4), word(4), word(size - 8), word(half), word(0), word(size - 4)
    h = d * _C1 + size
    a = _rotate(a, 12) + f
    h = _murmur(c, h) + a
    a = _rotate(a, 3) + c
    h = _murmur(e, h) + a
    a = _rotate(a + f, 12) + d
    h = _murmur(b, h) + a & _MASK
    h = (h ^ h >> 16) * 0x85EBCA6B & _MASK
    h = (h ^ h >> 13) * 0xC2B2AE35 & _MASK
    return h ^ h >> 16


def _rotate(value: int, right: int) -> int:
    value &= _MASK
    return (value >> right | value << 32 - right) & _MASK


def _stir(value: int) -> int:
    return _rotate(value, 19) * 5 + 0xE6546B64 & _MASK


def _murmur(value: int, h: int) -> int:
    return _stir(h & _MASK ^ _rotate(value * _C1, 17) * _C2 & _MASK)
