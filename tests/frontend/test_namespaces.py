"""Namespaces over the wire: what is made, shown and changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import NamespaceState, ReplicationState
from temporalio.api.namespace.v1 import NamespaceConfig, UpdateNamespaceInfo
from temporalio.api.replication.v1 import ClusterReplicationConfig, NamespaceReplicationConfig
from temporalio.api.workflowservice.v1 import (
    DeprecateNamespaceRequest,
    DescribeNamespaceRequest,
    DescribeNamespaceResponse,
    GetClusterInfoRequest,
    GetClusterInfoResponse,
    GetSystemInfoRequest,
    GetSystemInfoResponse,
    ListNamespacesRequest,
    ListNamespacesResponse,
    RegisterNamespaceRequest,
    StartWorkflowExecutionRequest,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
)

from mockcloud.core.errors import Code, NamespaceAlreadyExists
from tests.support import DAY, Site, open_sites, refusal

GOLDEN = Path(__file__).parents[1] / "golden" / "state-based" / "10a_all_passive_api_local.json"


def described(site_answer: DescribeNamespaceResponse) -> dict[str, Any]:
    shown: dict[str, Any] = json_format.MessageToDict(site_answer)
    return shown


async def test_a_description_is_shaped_as_recorded(tmp_path: Path) -> None:
    steps = json.loads(GOLDEN.read_text())["steps"]
    recorded = next(s["res"]["ok"] for s in steps if s.get("call") == "DescribeNamespace")
    async with open_sites(tmp_path, ("A", "B")) as sites:
        await sites["A"].call(
            RegisterNamespaceRequest(
                namespace=recorded["namespaceInfo"]["name"],
                workflow_execution_retention_period=DAY,
                is_global_namespace=True,
                clusters=[ClusterReplicationConfig(cluster_name=name) for name in ("A", "B")],
            )
        )
        request = DescribeNamespaceRequest(namespace=recorded["namespaceInfo"]["name"])
        shown = described(await sites["A"].ask(request, DescribeNamespaceResponse))

    for answer in (recorded, shown):
        for changeable in ("id", "capabilities", "supportsSchedules"):
            answer["namespaceInfo"].pop(changeable, None)
    assert shown == recorded


async def test_a_namespace_is_in_all_regions_unless_it_names_some(tmp_path: Path) -> None:
    async with open_sites(tmp_path, ("A", "B", "C")) as sites:
        site = sites["B"]
        await site.register("everywhere")
        await site.call(
            RegisterNamespaceRequest(
                namespace="two",
                workflow_execution_retention_period=DAY,
                clusters=[ClusterReplicationConfig(cluster_name=name) for name in ("A", "C")],
                active_cluster_name="A",
            )
        )
        shown = {
            name: (await site.ask(DescribeNamespaceRequest(namespace=name), DescribeNamespaceResponse))
            for name in ("everywhere", "two")
        }
    everywhere, two = shown["everywhere"].replication_config, shown["two"].replication_config
    assert [cluster.cluster_name for cluster in everywhere.clusters] == ["A", "B", "C"]
    assert everywhere.active_cluster_name == "B"
    assert shown["everywhere"].failover_version == 2
    assert [cluster.cluster_name for cluster in two.clusters] == ["A", "C"]
    assert two.active_cluster_name == "A"
    assert shown["two"].failover_version == 1


async def test_a_name_is_given_once(site: Site) -> None:
    error = await refusal(site.register("default"))
    assert isinstance(error, NamespaceAlreadyExists)
    assert error.message == 'Namespace "default" already exists'


async def test_updates(site: Site) -> None:
    response = await site.ask(
        UpdateNamespaceRequest(
            namespace="default",
            update_info=UpdateNamespaceInfo(description="mine", data={"k": "v"}),
            config=NamespaceConfig(workflow_execution_retention_ttl=Duration(seconds=2 * 86_400)),
        ),
        UpdateNamespaceResponse,
    )
    assert response.namespace_info.description == "mine"
    assert response.config.workflow_execution_retention_ttl.seconds == 2 * 86_400
    shown = await site.ask(DescribeNamespaceRequest(id=response.namespace_info.id), DescribeNamespaceResponse)
    assert dict(shown.namespace_info.data) == {"k": "v"}


async def test_failover_and_handover_are_updates(tmp_path: Path) -> None:
    async with open_sites(tmp_path, ("A", "B")) as sites:
        site = sites["A"]
        await site.register("n")
        handover = NamespaceReplicationConfig(state=ReplicationState.REPLICATION_STATE_HANDOVER)
        entered = await site.ask(
            UpdateNamespaceRequest(namespace="n", replication_config=handover), UpdateNamespaceResponse
        )
        assert entered.replication_config.state == ReplicationState.REPLICATION_STATE_HANDOVER
        to_b = NamespaceReplicationConfig(active_cluster_name="B")
        switched = await site.ask(
            UpdateNamespaceRequest(namespace="n", replication_config=to_b), UpdateNamespaceResponse
        )
        assert switched.replication_config.state == ReplicationState.REPLICATION_STATE_NORMAL
        assert switched.failover_version == 2
        shown = await site.ask(DescribeNamespaceRequest(namespace="n"), DescribeNamespaceResponse)
        assert [entry.failover_version for entry in shown.failover_history] == [1, 2]


async def test_a_deprecated_namespace_starts_nothing(site: Site) -> None:
    await site.call(DeprecateNamespaceRequest(namespace="default"))

    error = await refusal(site.call(StartWorkflowExecutionRequest(namespace="default")))

    assert error is not None
    assert error.code is Code.FAILED_PRECONDITION
    shown = await site.ask(DescribeNamespaceRequest(namespace="default"), DescribeNamespaceResponse)
    assert shown.namespace_info.state == NamespaceState.NAMESPACE_STATE_DEPRECATED


async def test_lists_page_by_name(site: Site) -> None:
    for name in ("c", "a", "b"):
        await site.register(name)
    names: list[str] = []
    token = b""
    while True:
        page = await site.ask(
            ListNamespacesRequest(page_size=3, next_page_token=token), ListNamespacesResponse
        )
        names += [entry.namespace_info.name for entry in page.namespaces]
        token = page.next_page_token
        if not token:
            break
    assert names == ["a", "b", "c", "default"]


async def test_the_region_introduces_itself(site: Site) -> None:
    info = await site.ask(GetSystemInfoRequest(), GetSystemInfoResponse)
    assert info.server_version == "1.31.2"
    assert info.capabilities.signal_and_query_header
    assert info.capabilities.supports_schedules
    cluster = await site.ask(GetClusterInfoRequest(), GetClusterInfoResponse)
    assert cluster.cluster_name == "A"
    assert cluster.initial_failover_version == 1
    assert cluster.failover_version_increment == 10
