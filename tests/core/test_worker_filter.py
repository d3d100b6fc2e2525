"""The filter of ListWorkers. What each query is answered with was taken from the real server."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat, WorkerHostInfo

from mockcloud.core.errors import InvalidArgument
from mockcloud.core.worker_filter import parse

HEARTBEAT = WorkerHeartbeat(
    worker_instance_key="k1",
    worker_identity="me",
    task_queue="q",
    sdk_name="temporal-python",
    status=WorkerStatus.WORKER_STATUS_SHUTTING_DOWN,
    host_info=WorkerHostInfo(host_name="h"),
    deployment_version=WorkerDeploymentVersion(deployment_name="d", build_id="1.0"),
    heartbeat_time=Timestamp(seconds=1_700_000_000),
)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "TaskQueue = 'q'",
        '  TaskQueue = "q"  ',
        "`TaskQueue` = 'q'",
        "TaskQueue != 'other'",
        "TaskQueue <> 'other'",
        "SdkName STARTS_WITH 'temporal-'",
        "SdkName NOT STARTS_WITH 'go'",
        "WorkerStatus = 'ShuttingDown'",
        "Status = 'ShuttingDown'",
        "HostName = 'h' AND DeploymentName = 'd' and BuildId = '1.0'",
        "TaskQueue = 'x' OR (WorkerIdentity = 'me' AND WorkerInstanceKey = 'k1')",
        "SdkVersion IS NULL",
        "TaskQueue is not null",
        "StartTime IS NULL",
        "HeartbeatTime IS NOT NULL",
        "HeartbeatTime > '2020-01-01T00:00:00Z'",
        "HeartbeatTime <= '2023-11-14T22:13:20Z'",
        "HeartbeatTime = 1700000000000000000",
        "HeartbeatTime BETWEEN '2020-01-01T00:00:00Z' AND '2030-01-01T00:00:00+01:00'",
        "HeartbeatTime NOT BETWEEN '1990-01-01T00:00:00Z' AND '2000-01-01T00:00:00Z'",
        "StartTime = 0",  # unset is the epoch, but only when it is compared
        "TaskQueue = 'q' ORDER BY TaskQueue DESC",
        "TaskQueue = 'q' group by TaskQueue;",
        "TaskQueue is not null and (Status='ShuttingDown' or 1=1)",
    ],
)
def test_wanted(query: str) -> None:
    assert parse(query)(HEARTBEAT)


@pytest.mark.parametrize(
    "query",
    [
        "TaskQueue = 'x'",
        "TaskQueue = 'q' AND WorkerIdentity = 'you'",
        "StartTime BETWEEN '1960-01-01T00:00:00Z' AND '2030-01-01T00:00:00Z'",
        "StartTime NOT BETWEEN '1960-01-01T00:00:00Z' AND '1970-01-01T00:00:00Z'",
        # What reads and makes no sense wants nobody.
        "TaskQueue",
        "Foo = 'x'",
        "taskqueue = 'q'",
        "NOT TaskQueue = 'x'",
        "TaskQueue IN ('q')",
        "TaskQueue LIKE 'q%'",
        "TaskQueue = ''",
        "TaskQueue != 5",
        "TaskQueue > 'a'",
        "f(x, 'y') = 1",
        "'q' = TaskQueue",
        "1 = 1",
        "HeartbeatTime != 'yesterday'",
        "TaskQueue = 'x' OR 1 = 1",
    ],
)
def test_not_wanted(query: str) -> None:
    assert not parse(query)(HEARTBEAT)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("TaskQueue = ", "malformed query: syntax error at position 39"),
        ("   ", "malformed query: syntax error at position 1"),
        ("TaskQueue = 'q' AND", "malformed query: syntax error at position 47"),
        (";", "malformed query: syntax error at position 29"),
        ("TaskQueue = 'q'; drop table x", "malformed query: syntax error at position 49 near 'drop'"),
        ("group by TaskQueue", "malformed query: syntax error at position 33 near 'group'"),
        ("TaskQueue = 'q' limit 1", "operation is not supported: 'limit' clause"),
        ("where TaskQueue='q'", "invalid filter: where TaskQueue='q'"),
    ],
)
def test_what_cannot_be_read(query: str, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(query)
    assert caught.value.message == text


@given(st.text(alphabet=st.sampled_from("()'\"`,;=<>!aTaskQueue NOTandoris1.-"), max_size=60) | st.text())
def test_whatever_is_written_it_reads_or_is_refused(query: str) -> None:
    try:
        wanted = parse(query)
    except InvalidArgument:
        return
    assert wanted(HEARTBEAT) in (True, False)


def test_a_status_that_nobody_knows_is_no_trouble() -> None:
    unknown = WorkerHeartbeat(status=99)  # type: ignore[arg-type]  # of a newer protocol
    assert not parse("Status = 'Running'")(unknown)
    assert not parse(f"StartTime = {'9' * 5000}")(unknown)


def test_depth_has_an_end() -> None:
    with pytest.raises(InvalidArgument):
        parse("(" * 5000 + "TaskQueue = 'q'" + ")" * 5000)
    assert parse(" AND ".join(["TaskQueue = 'q'"] * 5000))(HEARTBEAT)
