"""Changes of a namespace's configuration: all of it, or what is refused and nothing."""

from __future__ import annotations

import pytest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import times
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import FailedPrecondition, InvalidArgument
from mockcloud.core.limits import Limits
from mockcloud.core.namespace_configuration import Configuration, configure

CLUSTERS = Clusters.of(["A", "B", "C"])


def _record() -> NamespaceRecord:
    return NamespaceRecord(
        id="i",
        name="orders",
        active_cluster="A",
        clusters=["A", "B"],
        failover_version=1,
        config_version=4,
        retention=times.DAY,
        custom_search_attributes={"Customer": 2},
    )


def test_several_changes_are_one() -> None:
    before = _record()
    wanted = Configuration(
        retention=3 * times.DAY,
        search_attributes={"Amount": 4},
        disable_passive_poller_forwarding=True,
        add_clusters=["C"],
        remove_clusters=["B"],
    )
    update = configure(before, wanted, CLUSTERS, Limits())

    assert before == _record()
    assert (update.changed, update.failed_over) == (True, False)
    after = update.record
    assert (after.config_version, after.failover_version) == (5, 1)
    assert (after.retention, list(after.clusters)) == (3 * times.DAY, ["A", "C"])
    assert dict(after.custom_search_attributes) == {"Customer": 2, "Amount": 4}
    assert after.disable_passive_poller_forwarding


@pytest.mark.parametrize(
    "wanted",
    [
        Configuration(),
        Configuration(retention=times.DAY),
        Configuration(search_attributes={"Customer": 2}),
        Configuration(disable_passive_poller_forwarding=False),
        Configuration(add_clusters=["A", "B"]),
        Configuration(remove_clusters=["C"]),
    ],
)
def test_what_is_so_already_is_no_change(wanted: Configuration) -> None:
    update = configure(_record(), wanted, CLUSTERS, Limits())

    assert not update.changed
    assert update.record == _record()


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (Configuration(retention=1), InvalidArgument),
        (Configuration(search_attributes={"WorkflowId": 2}), InvalidArgument),
        (Configuration(search_attributes={"Customer2": 99}), InvalidArgument),
        (Configuration(add_clusters=["D"]), InvalidArgument),
        (Configuration(remove_clusters=["A"]), FailedPrecondition),
    ],
)
def test_what_no_namespace_can_have(wanted: Configuration, error: type[Exception]) -> None:
    with pytest.raises(error):
        configure(_record(), wanted, CLUSTERS, Limits())
