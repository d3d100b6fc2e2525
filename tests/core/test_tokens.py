from __future__ import annotations

import pytest

from mockcloud.core.derived import TaskKind
from mockcloud.core.errors import InvalidArgument
from mockcloud.core.tokens import HistoryPageToken, ListPageToken, QueryToken, TaskToken


def test_a_task_token_comes_back_as_it_went_out() -> None:
    token = TaskToken(
        namespace_id="ns",
        workflow_id="w",
        run_id="r",
        scheduled_event_id=5,
        attempt=2,
        version=11,
        kind=TaskKind.ACTIVITY,
        start_version=1,
        activity_id="a",
        activity_type="charge",
        stamp=3,
    )
    assert TaskToken.load(token.dump()) == token


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"not a token", QueryToken("ns", "tq", "q").dump()])
def test_a_garbled_task_token_is_an_invalid_argument(raw: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"^Error deserializing task token\.$"):
        TaskToken.load(raw)


def test_an_empty_task_token_is_not_set() -> None:
    with pytest.raises(InvalidArgument, match=r"^Task token not set on request\.$"):
        TaskToken.load(b"")


def test_a_history_token_of_another_run_is_refused() -> None:
    raw = HistoryPageToken(run_id="r1", next_event_id=7).dump()
    assert HistoryPageToken.load(raw, "r1").next_event_id == 7
    with pytest.raises(InvalidArgument, match="RunId in the request does not match the NextPageToken"):
        HistoryPageToken.load(raw, "r2")
    with pytest.raises(InvalidArgument, match="Invalid NextPageToken"):
        HistoryPageToken.load(raw, "r1", reverse=True)


def test_a_list_token_of_another_namespace_is_refused() -> None:
    raw = ListPageToken("ns1", 7, 6, "run").dump()
    assert ListPageToken.load(raw, "ns1").run_id == "run"
    with pytest.raises(InvalidArgument, match="Invalid NextPageToken"):
        ListPageToken.load(raw, "ns2")
