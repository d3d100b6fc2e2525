from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.enums.v1 import NamespaceState, ReplicationState
from temporalio.api.namespace.v1 import NamespaceConfig, UpdateNamespaceInfo
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest, UpdateNamespaceRequest

from mockcloud.api.state.v1.state_pb2 import NamespaceRecord
from mockcloud.core import namespace_rules, times
from mockcloud.core.cluster import Clusters
from mockcloud.core.errors import InvalidArgument, NamespaceAlreadyExists
from mockcloud.core.limits import Limits
from mockcloud.core.namespace_rules import Update

CLUSTERS = Clusters.of(["A", "B"])
HANDOVER = ReplicationState.REPLICATION_STATE_HANDOVER
NORMAL = ReplicationState.REPLICATION_STATE_NORMAL


def register(existing: NamespaceRecord | None = None, region: str = "A", **fields: object) -> NamespaceRecord:
    defaults = {"namespace": "orders", "workflow_execution_retention_period": Duration(seconds=86400)}
    request = RegisterNamespaceRequest(**(defaults | fields))  # type: ignore[arg-type]
    return namespace_rules.register(
        request,
        region=region,
        clusters=CLUSTERS,
        limits=Limits(),
        now=5,
        namespace_id="id-1",
        existing=existing,
    )


def update(record: NamespaceRecord, **fields: object) -> Update:
    request = UpdateNamespaceRequest(namespace=record.name, **fields)  # type: ignore[arg-type]
    return namespace_rules.update(record, request, clusters=CLUSTERS, limits=Limits(), now=9)


def switch(record: NamespaceRecord, region: str) -> NamespaceRecord:
    return update(record, replication_config=NamespaceReplicationConfig(active_cluster_name=region)).record


def handover(record: NamespaceRecord, state: ReplicationState.ValueType = HANDOVER) -> NamespaceRecord:
    return update(record, replication_config=NamespaceReplicationConfig(state=state)).record


def describe(record: NamespaceRecord, text: str) -> NamespaceRecord:
    return update(record, update_info=UpdateNamespaceInfo(description=text)).record


def history(record: NamespaceRecord) -> list[int]:
    return [entry.version for entry in record.failover_history]


class TestRegister:
    def test_lives_in_all_regions_and_is_active_where_it_was_registered(self) -> None:
        record = register(region="B")
        assert (record.active_cluster, list(record.clusters)) == ("B", ["A", "B"])
        assert (record.failover_version, record.config_version) == (2, 0)
        assert record.retention == times.DAY
        assert not record.failover_history
        assert getattr(record, "global")

    def test_an_absurdly_long_retention_is_cut(self) -> None:
        record = register(workflow_execution_retention_period=Duration(seconds=315_576_000_000))
        assert record.retention == 100 * 365 * times.DAY

    def test_lives_in_the_regions_it_names(self) -> None:
        record = register(clusters=[ClusterReplicationConfig(cluster_name="A")])
        assert list(record.clusters) == ["A"]

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"namespace": ""}, "Namespace is not set on request."),
            ({"namespace": "n" * 1001}, "Namespace length exceeds limit."),
            (
                {"workflow_execution_retention_period": Duration(seconds=86400, nanos=-1)},
                "A valid retention period is not set on request.",
            ),
            (
                {"workflow_execution_retention_period": Duration(seconds=3600)},
                "A valid retention period is not set on request.",
            ),
            ({"active_cluster_name": "C"}, "Invalid cluster name: C"),
            (
                {"active_cluster_name": "B", "clusters": [ClusterReplicationConfig(cluster_name="A")]},
                "Active cluster is not contained in all clusters.",
            ),
        ],
    )
    def test_refuses(self, fields: dict[str, object], message: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            register(**fields)  # type: ignore[arg-type]
        assert caught.value.message == message

    def test_refuses_a_name_that_is_taken(self) -> None:
        with pytest.raises(NamespaceAlreadyExists) as caught:
            register(existing=register())
        assert caught.value.message == 'Namespace "orders" already exists'


class TestUpdate:
    def test_failover_takes_the_next_version_of_the_region(self) -> None:
        record = register()
        versions = []
        for region in ("B", "A", "B", "B"):
            record = switch(record, region)
            versions.append(record.failover_version)
        assert versions == [2, 11, 12, 12]
        assert history(record) == [2, 11, 12]
        assert record.config_version == 0

    def test_a_change_of_configuration_raises_only_its_own_counter(self) -> None:
        record = describe(register(), "shop")
        assert (record.description, record.config_version, record.failover_version) == ("shop", 1, 1)
        assert history(record) == []

    def test_handover_in_and_out_raises_the_config_version(self) -> None:
        record = handover(register())
        assert record.handover
        assert (record.config_version, history(record)) == (1, [1])
        record = handover(record, NORMAL)
        assert not record.handover
        assert record.config_version == 2

    def test_a_failover_through_handover_ends_it(self) -> None:
        record = switch(handover(register()), "B")
        assert not record.handover
        assert (record.active_cluster, history(record)) == ("B", [1, 2])

    def test_setting_the_state_that_it_has_changes_nothing(self) -> None:
        result = update(register(), replication_config=NamespaceReplicationConfig(state=NORMAL))
        assert not result.changed
        assert not result.failed_over

    def test_failover_and_configuration_in_one_update_are_refused(self) -> None:
        config = NamespaceReplicationConfig(active_cluster_name="B")
        with pytest.raises(InvalidArgument) as caught:
            update(register(), replication_config=config, update_info=UpdateNamespaceInfo(description="x"))
        assert (
            caught.value.message
            == "Cannot set active cluster to current cluster when other parameters are set."
        )
        with pytest.raises(InvalidArgument):
            update(
                register(),
                replication_config=NamespaceReplicationConfig(active_cluster_name="B", state=HANDOVER),
            )

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            (
                {"replication_config": NamespaceReplicationConfig(active_cluster_name="Z")},
                "Invalid cluster name: Z",
            ),
            (
                {"config": NamespaceConfig(workflow_execution_retention_ttl=Duration())},
                "A valid retention period is not set on request.",
            ),
            (
                {"update_info": UpdateNamespaceInfo(state=NamespaceState.NAMESPACE_STATE_DELETED)},
                "Invalid namespace state update.",
            ),
            ({"delete_bad_binary": "sum"}, "Bad binary checksum sum doesn't exists."),
        ],
    )
    def test_refuses(self, fields: dict[str, object], message: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            update(register(), **fields)
        assert caught.value.message == message

    def test_handover_needs_two_regions(self) -> None:
        alone = register(clusters=[ClusterReplicationConfig(cluster_name="A")])
        with pytest.raises(InvalidArgument, match="Handover require more than one replication clusters"):
            handover(alone)

    def test_data_is_merged(self) -> None:
        record = register(data={"a": "1", "b": "1"})
        after = update(record, update_info=UpdateNamespaceInfo(data={"b": "2"})).record
        assert dict(after.data) == {"a": "1", "b": "2"}

    def test_the_failover_history_is_capped(self) -> None:
        record = register()
        for number in range(14):
            record = switch(record, "B" if number % 2 == 0 else "A")
        assert len(record.failover_history) == 10
        assert history(record)[-1] == record.failover_version

    def test_the_argument_is_left_alone(self) -> None:
        record = register()
        before = record.SerializeToString(deterministic=True)
        switch(record, "B")
        assert record.SerializeToString(deterministic=True) == before


class TestReceive:
    def test_an_unknown_namespace_is_taken_without_handover(self) -> None:
        result = namespace_rules.receive(None, handover(register()))
        assert result.changed
        assert not result.record.handover

    def test_the_two_counters_are_independent(self) -> None:
        """A configured and B failed over in a split: both changes stand on both sides [12a]."""
        start = register()
        ours, theirs = describe(start, "ours"), switch(start, "B")
        at_a = namespace_rules.receive(ours, theirs).record
        at_b = namespace_rules.receive(theirs, ours).record
        assert at_a == at_b
        assert (at_a.description, at_a.active_cluster, at_a.failover_version) == ("ours", "B", 2)

    def test_the_same_config_version_on_both_sides_stays_different(self) -> None:
        start = register()
        ours, theirs = describe(start, "ours"), describe(start, "theirs")
        assert not namespace_rules.receive(ours, theirs).changed

    def test_a_higher_failover_version_clears_handover(self) -> None:
        start = register()
        result = namespace_rules.receive(handover(start), switch(start, "B"))
        assert not result.record.handover
        assert result.failed_over
        assert history(result.record) == [2]

    def test_the_peers_handover_does_not_cross(self) -> None:
        start = register()
        assert not namespace_rules.receive(start, handover(start)).record.handover
        assert not namespace_rules.for_wire(handover(start)).handover

    def test_a_taken_name_is_refused(self) -> None:
        other = register()
        other.id = "id-2"
        with pytest.raises(NamespaceAlreadyExists):
            namespace_rules.receive(register(), other)

    @given(st.lists(st.tuples(st.sampled_from("AB"), st.booleans()), max_size=8), st.randoms())
    def test_any_order_of_arrival_ends_the_same(self, steps: list[tuple[str, bool]], shuffle: object) -> None:
        record = register()
        records: list[NamespaceRecord] = []
        for region, configure in steps:
            record = describe(record, f"d{len(records)}") if configure else switch(record, region)
            # A failover to the region that is active already is noted there alone: the version is the same.
            if history(record) == [1]:
                del record.failover_history[:]
            records.append(namespace_rules.for_wire(record))
        arrival = list(records) * 2
        shuffle.shuffle(arrival)  # type: ignore[attr-defined]
        local = register()
        for incoming in arrival:
            local = namespace_rules.receive(local, incoming).record
        assert local == record


def test_a_deletion_renames_and_is_for_good() -> None:
    record = NamespaceRecord(id="0123456789", name="orders", config_version=3, failover_version=1)
    deleted = namespace_rules.delete(record, 77).record
    assert (deleted.name, deleted.deleted_time, deleted.config_version) == ("orders-deleted-01234", 77, 4)

    # A peer takes it, even if it has changed its own configuration more often meanwhile.
    for config_version in (3, 4, 9):
        known = NamespaceRecord(id="0123456789", name="orders", config_version=config_version)
        received = namespace_rules.receive(known, deleted).record
        assert (received.name, received.deleted_time) == (deleted.name, 77)
        assert received.config_version == max(config_version, 4)
        # And what it sends back changes nothing of that.
        assert namespace_rules.receive(deleted, known).record.deleted_time == 77


def test_search_attributes_come_and_go_by_column() -> None:
    def aliased(record: NamespaceRecord, **columns: str) -> Update:
        return update(record, config=NamespaceConfig(custom_search_attribute_aliases=columns))

    record = register()
    added = aliased(record, Keyword01="Tenant", Int01="Size")
    assert dict(added.record.custom_search_attributes) == {"Tenant": 2, "Size": 3}
    assert added.record.config_version == record.config_version + 1
    assert not aliased(added.record, Keyword02="Tenant").changed
    with pytest.raises(InvalidArgument, match="already allocated"):
        aliased(added.record, Keyword01="Other")
    with pytest.raises(InvalidArgument, match="reserved"):
        aliased(record, Keyword01="WorkflowId")
    with pytest.raises(InvalidArgument, match="Unknown search attribute field: Blob01"):
        aliased(record, Blob01="X")
    removed = aliased(added.record, Keyword01="", Text01="")
    assert dict(removed.record.custom_search_attributes) == {"Size": 3}
