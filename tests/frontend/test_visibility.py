"""Search attributes and lists, with an unmodified SDK client and worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio import workflow
from temporalio.api.enums.v1 import IndexedValueType, WorkflowExecutionStatus
from temporalio.api.filter.v1 import (
    StartTimeFilter,
    StatusFilter,
    WorkflowExecutionFilter,
    WorkflowTypeFilter,
)
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListClustersRequest,
    ListSearchAttributesRequest,
    RemoveRemoteClusterRequest,
    RemoveSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import (
    GetSearchAttributesRequest,
    ListArchivedWorkflowExecutionsRequest,
    ListClosedWorkflowExecutionsRequest,
    ListOpenWorkflowExecutionsRequest,
    ListWorkflowExecutionsRequest,
    ScanWorkflowExecutionsRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.support import Site, grpc_address

QUEUE = "queue"
CUSTOMER = SearchAttributeKey.for_keyword("Customer")
AMOUNT = SearchAttributeKey.for_float("Amount")
COUNT = SearchAttributeKey.for_int("Count")
URGENT = SearchAttributeKey.for_bool("Urgent")
NOTE = SearchAttributeKey.for_text("Note")
TAGS = SearchAttributeKey.for_keyword_list("Tags")
DUE = SearchAttributeKey.for_datetime("Due")
KEYS: list[SearchAttributeKey[Any]] = [CUSTOMER, AMOUNT, COUNT, URGENT, NOTE, TAGS, DUE]
MORNING = datetime(2026, 3, 4, 9, tzinfo=UTC)


@workflow.defn
class Order:
    """Notes what it is told in its search attributes and memo, and waits to be closed."""

    def __init__(self) -> None:
        self._closed = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._closed)

    @workflow.signal
    def price(self, amount: float) -> None:
        workflow.upsert_search_attributes([AMOUNT.value_set(amount), COUNT.value_unset()])
        workflow.upsert_memo({"priced": True, "draft": None})

    @workflow.signal
    def close(self) -> None:
        self._closed = True


@workflow.defn
class Careless:
    """Upserts what is not registered."""

    @workflow.run
    async def run(self) -> None:
        workflow.upsert_search_attributes([SearchAttributeKey.for_keyword("Nobody").value_set("x")])
        await workflow.sleep(1)


@pytest.fixture
async def client(site: Site) -> AsyncIterator[Client]:
    async with grpc_address(site) as address:
        client = await Client.connect(address)
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace="default",
                search_attributes={
                    key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in KEYS
                },
            )
        )
        yield client


@pytest.fixture
async def worker(client: Client) -> AsyncIterator[Worker]:
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Order, Careless],
        workflow_runner=UnsandboxedWorkflowRunner(),
        build_id="b1",
    ) as worker:
        yield worker


async def start(client: Client, workflow_id: str, *pairs: SearchAttributePair[Any]) -> None:
    await client.start_workflow(
        Order.run,
        id=workflow_id,
        task_queue=QUEUE,
        memo={"draft": True},
        search_attributes=TypedSearchAttributes(list(pairs)),
    )


async def ids(client: Client, query: str, **options: Any) -> list[str]:
    return [found.id async for found in client.list_workflows(query, **options)]


async def test_all_types_are_found_and_read(client: Client) -> None:
    await start(
        client,
        "full",
        SearchAttributePair(CUSTOMER, "acme"),
        SearchAttributePair(AMOUNT, 2.5),
        SearchAttributePair(COUNT, 7),
        SearchAttributePair(URGENT, True),
        SearchAttributePair(NOTE, "Handle with care"),
        SearchAttributePair(TAGS, ["blue", "big"]),
        SearchAttributePair(DUE, MORNING),
    )
    await start(client, "bare")

    for query in (
        "Customer = 'acme'",
        "Amount BETWEEN 2 AND 3",
        "Count IN (6, 7)",
        "Urgent = true",
        "Note = 'care'",
        "Tags = 'big' AND Tags = 'blue'",
        f"Due <= '{MORNING.isoformat()}'",
        "Customer STARTS_WITH 'ac' AND NOT Amount > 3",
        "Customer IS NOT NULL AND WorkflowType = 'Order'",
    ):
        assert await ids(client, query) == ["full"], query
    assert await ids(client, "Customer IS NULL") == ["bare"]
    description = await client.get_workflow_handle("full").describe()
    assert description.typed_search_attributes[TAGS] == ["blue", "big"]
    assert description.typed_search_attributes[DUE] == MORNING
    (listed,) = [found async for found in client.list_workflows("WorkflowId = 'full'")]
    assert listed.typed_search_attributes[AMOUNT] == 2.5


async def test_a_workflow_changes_its_own(client: Client, worker: Worker) -> None:
    await start(client, "w", SearchAttributePair(COUNT, 1), SearchAttributePair(AMOUNT, 1.0))
    handle: WorkflowHandle[Order, None] = client.get_workflow_handle("w")
    await handle.signal(Order.price, 9.5)
    await handle.signal(Order.close)
    await handle.result()

    assert await ids(client, "Amount = 9.5 AND Count IS NULL AND ExecutionStatus = 'Completed'") == ["w"]
    assert await ids(client, "BuildIds = 'unversioned:b1' AND CloseTime IS NOT NULL") == ["w"]
    description = await handle.describe()
    assert await description.memo() == {"priced": True}
    assert description.typed_search_attributes.get(COUNT) is None


async def test_a_careless_workflow_is_told(client: Client, worker: Worker) -> None:
    handle = await client.start_workflow(Careless.run, id="c", task_queue=QUEUE)
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.HasField("workflow_task_failed_event_attributes"):
            break
    failed = event.workflow_task_failed_event_attributes
    assert failed.failure.message == (
        "BadSearchAttributes: Namespace default has no mapping defined for search attribute Nobody"
    )


async def test_starts_are_checked(client: Client) -> None:
    with pytest.raises(RPCError) as caught:
        await start(client, "w", SearchAttributePair(SearchAttributeKey.for_keyword("Count"), "many"))
    assert caught.value.status == RPCStatusCode.INVALID_ARGUMENT
    assert caught.value.message == "invalid value for search attribute Count of type Int: many"
    assert await ids(client, "") == []


async def test_pages_counts_and_groups(client: Client, worker: Worker) -> None:
    for number in range(7):
        await start(client, f"w{number}", SearchAttributePair(CUSTOMER, "acme" if number % 2 else "other"))
    handle: WorkflowHandle[Order, None] = client.get_workflow_handle("w1")
    await handle.signal(Order.close)
    await handle.result()

    assert await ids(client, "Customer = 'acme'", page_size=1) == ["w5", "w3", "w1"]
    assert (await client.count_workflows("Customer = 'acme'")).count == 3
    groups = (await client.count_workflows("Customer = 'acme' GROUP BY ExecutionStatus")).groups
    assert [(group.group_values, group.count) for group in groups] == [(["Running"], 2), (["Completed"], 1)]
    service = client.workflow_service
    page = await service.scan_workflow_executions(
        ScanWorkflowExecutionsRequest(namespace="default", query="Customer = 'acme'", page_size=2)
    )
    rest = await service.scan_workflow_executions(
        ScanWorkflowExecutionsRequest(
            namespace="default",
            query="Customer = 'acme'",
            page_size=2,
            next_page_token=page.next_page_token,
        )
    )
    assert [info.execution.workflow_id for info in (*page.executions, *rest.executions)] == ["w5", "w3", "w1"]
    with pytest.raises(RPCError) as caught:
        await service.list_workflow_executions(
            ListWorkflowExecutionsRequest(namespace="default", next_page_token=b"no")
        )
    assert caught.value.status == RPCStatusCode.INVALID_ARGUMENT
    with pytest.raises(RPCError, match="'GROUP BY' clause"):
        await ids(client, "GROUP BY ExecutionStatus")


async def test_the_older_lists(client: Client, worker: Worker) -> None:
    await start(client, "open")
    await start(client, "closed")
    handle: WorkflowHandle[Order, None] = client.get_workflow_handle("closed")
    await handle.signal(Order.close)
    await handle.result()
    service = client.workflow_service
    early, late = Timestamp(seconds=1), Timestamp(seconds=2)
    now = Timestamp()
    now.FromDatetime(datetime.now(UTC) + timedelta(days=1))

    async def opened(**fields: Any) -> list[str]:
        request = ListOpenWorkflowExecutionsRequest(namespace="default", **fields)
        found = await service.list_open_workflow_executions(request)
        return [info.execution.workflow_id for info in found.executions]

    async def closed(**fields: Any) -> list[str]:
        request = ListClosedWorkflowExecutionsRequest(namespace="default", **fields)
        found = await service.list_closed_workflow_executions(request)
        return [info.execution.workflow_id for info in found.executions]

    assert await opened() == ["open"]
    assert await opened(type_filter=WorkflowTypeFilter(name="Order")) == ["open"]
    assert await opened(execution_filter=WorkflowExecutionFilter(workflow_id="closed")) == []
    assert await opened(start_time_filter=StartTimeFilter(earliest_time=early, latest_time=now)) == ["open"]
    assert await opened(start_time_filter=StartTimeFilter(latest_time=late)) == []
    assert await closed() == ["closed"]
    assert await closed(start_time_filter=StartTimeFilter(earliest_time=late)) == ["closed"]
    completed = StatusFilter(status=WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED)
    assert await closed(status_filter=completed) == ["closed"]
    running = StatusFilter(status=WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING)
    for fields, message in (
        ({"status_filter": running}, "StatusFilter must be specified and must be not Running."),
        (
            {"start_time_filter": StartTimeFilter(earliest_time=late, latest_time=early)},
            "EarliestTime in StartTimeFilter should not be larger than LatestTime.",
        ),
    ):
        with pytest.raises(RPCError) as caught:
            await closed(**fields)
        assert caught.value.message == message
    with pytest.raises(RPCError, match="Cluster is not configured for visibility archival"):
        await service.list_archived_workflow_executions(
            ListArchivedWorkflowExecutionsRequest(namespace="default")
        )


async def test_attributes_are_registered_listed_and_removed(client: Client) -> None:
    operator = client.operator_service
    await start(client, "w", SearchAttributePair(CUSTOMER, "acme"), SearchAttributePair(COUNT, 1))
    listed = await operator.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
    assert set(listed.custom_attributes) == {key.name for key in KEYS}
    assert listed.system_attributes["ExecutionDuration"] == IndexedValueType.INDEXED_VALUE_TYPE_INT
    everywhere = await client.workflow_service.get_search_attributes(GetSearchAttributesRequest())
    assert everywhere.keys["Keyword10"] == IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD

    await operator.remove_search_attributes(
        RemoveSearchAttributesRequest(namespace="default", search_attributes=["Customer"])
    )
    with pytest.raises(RPCError, match="column name 'Customer' is not a valid search attribute"):
        await ids(client, "Customer = 'acme'")
    description = await client.get_workflow_handle("w").describe()
    assert description.typed_search_attributes.get(CUSTOMER) is None
    assert description.typed_search_attributes[COUNT] == 1


async def test_operators_are_told_what_is_wrong(client: Client) -> None:
    operator = client.operator_service
    for request, status, message in (
        (
            AddSearchAttributesRequest(search_attributes={"X": 2}),  # type: ignore[dict-item]
            RPCStatusCode.INVALID_ARGUMENT,
            "Namespace is not set on request.",
        ),
        (
            AddSearchAttributesRequest(namespace="nowhere", search_attributes={"X": 2}),  # type: ignore[dict-item]
            RPCStatusCode.NOT_FOUND,
            "Namespace nowhere is not found.",
        ),
    ):
        with pytest.raises(RPCError) as caught:
            await operator.add_search_attributes(request)
        assert (caught.value.status, caught.value.message) == (status, message)
    clusters = await operator.list_clusters(ListClustersRequest())
    assert "A" in [cluster.cluster_name for cluster in clusters.clusters]
    with pytest.raises(RPCError) as caught:
        await operator.remove_remote_cluster(RemoveRemoteClusterRequest())
    assert caught.value.status == RPCStatusCode.UNIMPLEMENTED
    assert "RemoveRemoteCluster" in caught.value.message
