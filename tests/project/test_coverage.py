"""The coverage page is what the code serves."""

from __future__ import annotations

from pathlib import Path

from mockcloud.core import times
from mockcloud.core.limits import Unit
from mockcloud.coverage import registry
from mockcloud.coverage.page import page, shown

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), (
        "docs/coverage.md is not what the code serves: run `make coverage` and commit the page. "
        "After a conflict in it, take either side first; what is missing in a thing that is partly served "
        "belongs into mockcloud/coverage/partly.py"
    )


def test_no_note_is_about_a_thing_that_is_not_served() -> None:
    assert registry.stale_notes() == [], "remove these from mockcloud/coverage/partly.py"


def test_served_things_are_told_from_those_that_are_not() -> None:
    states = {entry.name: entry.state for entry in registry.rpcs()["WorkflowService"]}
    assert states["PollWorkflowTaskQueue"] == "served"
    assert states["CreateWorkerDeployment"] == "not served"
    clouds = {entry.name: entry.served for entry in registry.rpcs()["CloudService"]}
    assert clouds["FailoverNamespaceRegion"]
    assert not clouds["CreateNexusEndpoint"]
    assert {entry.name for entry in registry.command_types() if entry.served} >= {"START_TIMER"}
    assert {entry.name for entry in registry.event_types() if entry.served} >= {"TIMER_FIRED"}


def test_a_limit_tells_its_key_and_its_unit() -> None:
    entries = {entry.name: entry for entry in registry.limits()}
    assert entries["blob_bytes"].key == "limit.blobSize.error"
    assert entries["blob_bytes"].unit is Unit.BYTES
    assert entries["handover_hold"].key == ""
    assert entries["handover_hold"].unit is Unit.NANOSECONDS


def test_values_are_shown_in_their_units() -> None:
    assert shown(2 * 1024 * 1024, Unit.BYTES) == "2 MiB"
    assert shown(100, Unit.BYTES) == "100 bytes"
    assert shown(times.DAY, Unit.NANOSECONDS) == "1 d"
    assert shown(500 * times.MILLISECOND, Unit.NANOSECONDS) == "0.5 s"
    assert shown(51_200, None) == "51,200"
    assert shown(True, None) == "True"
