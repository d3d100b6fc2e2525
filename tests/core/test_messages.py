from __future__ import annotations

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, Payloads, Priority
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.taskqueue.v1 import TaskQueue

from mockcloud.core.messages import shown


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (TaskQueue(), ""),
        (
            TaskQueue(name="q", kind=TaskQueueKind.TASK_QUEUE_KIND_NORMAL),
            'name:"q" kind:TASK_QUEUE_KIND_NORMAL',
        ),
        (TaskQueue(name='a"b\\c\nä', kind=9), 'name:"a\\"b\\\\c\\nä" kind:9'),  # type: ignore[arg-type]
        (Priority(priority_key=-1, fairness_weight=0.5), "priority_key:-1 fairness_weight:0.5"),
        (
            Payloads(payloads=[Payload(metadata={"b": b"2", "a": b"1"}, data=b"x\x00\xff"), Payload()]),
            'payloads:{metadata:{key:"a" value:"1"} metadata:{key:"b" value:"2"} data:"x\\x00\\xff"} payloads:{}',
        ),
    ],
)
def test_messages_in_error_texts(message: Message, text: str) -> None:
    assert shown(message) == text
