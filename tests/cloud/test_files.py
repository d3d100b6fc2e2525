"""Temporary files go with their cloud, or with the next one after a kill; those in use stay. No kept one is missing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from mockcloud import MockCloud
from mockcloud.cloud.files import Files
from mockcloud.cloud.settings import CloudSettings
from mockcloud.core.errors import FailedPrecondition, StartupError
from tests.control.fakes import EAST, WEST


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


@pytest.mark.parametrize("made", [(), (EAST,), (EAST, WEST)])
def test_a_first_start_that_died_can_begin_again(tmp_path: Path, made: tuple[str, ...]) -> None:
    settings = CloudSettings(data_dir=tmp_path / "data", regions=(EAST, WEST))
    died = Files.of(settings)
    for name in made:
        died.database(name).touch()
    Files.of(settings)


@pytest.mark.parametrize("lost", [EAST, WEST, "control"])
def test_a_database_that_was_made_is_not_made_again(tmp_path: Path, lost: str) -> None:
    settings = CloudSettings(data_dir=tmp_path / "data", regions=(EAST, WEST))
    files = Files.of(settings)
    for name in (EAST, WEST, "control"):
        files.database(name).touch()
    files.made(settings.regions)
    Files.of(settings)
    files.database(lost).unlink()
    with pytest.raises(
        StartupError, match=f"^{files.database(lost)} is missing: the data directory .* of {EAST}, {WEST}$"
    ):
        Files.of(settings)


async def test_a_region_does_not_come_back_without_its_database(mockcloud: MockCloud) -> None:
    await mockcloud.region(WEST).kill()
    database = mockcloud.cloud.database(WEST)
    away = database.rename(database.with_name("away"))
    with pytest.raises(FailedPrecondition, match=f"^the database of region {WEST} is missing: {database}$"):
        await mockcloud.region(WEST).start()
    assert not database.exists()
    away.rename(database)
    await mockcloud.region(WEST).start()
