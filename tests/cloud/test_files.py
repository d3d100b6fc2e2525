"""Temporary files go with their cloud, or with the next one after a kill; those in use stay."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from mockcloud.cloud.files import Files
from mockcloud.cloud.settings import CloudSettings


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_they_are_removed_at_the_end(temporary: Path) -> None:
    files = Files.of(CloudSettings())
    assert files.database("control").parent.parent == temporary
    files.remove()
    assert not list(temporary.iterdir())


def test_those_in_use_stay_and_those_of_killed_processes_go(temporary: Path) -> None:
    alive, killed = Files.of(CloudSettings()), Files.of(CloudSettings())
    assert killed.temporary is not None
    killed.temporary.release()  # as the kernel does when a process is killed
    another = Files.of(CloudSettings())
    there = {path.name for path in temporary.iterdir()}
    assert there == {alive.record.parent.name, another.record.parent.name}


def test_directories_of_others_are_left_alone(temporary: Path) -> None:
    (temporary / "mockcloud-notes").mkdir()
    (temporary / "mockcloud-file").write_text("")
    Files.of(CloudSettings()).remove()
    assert {path.name for path in temporary.iterdir()} == {"mockcloud-notes", "mockcloud-file"}
