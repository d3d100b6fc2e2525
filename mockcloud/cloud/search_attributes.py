"""The search attributes that a cloud is started with: registered as any operator would, over the public API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from google.protobuf.message import Message
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
    ListSearchAttributesResponse,
)

from mockcloud.rpc.transport import Transport

_SERVICE: Final = "/temporal.api.operatorservice.v1.OperatorService/"
_CALL_SECONDS: Final = 10.0


async def ensure(transport: Transport, region: str, namespace: str, types: Mapping[str, str]) -> None:
    """Let a namespace have these search attributes, types (`Keyword`) by name; those that it has stay as they are.

    Raises:
        ServiceError: as AddSearchAttributes answers.
    """

    async def call(method: str, request: Message) -> bytes:
        raw = request.SerializeToString()
        return await transport.unary(region, f"{_SERVICE}{method}", raw, timeout=_CALL_SECONDS)

    answer = await call("ListSearchAttributes", ListSearchAttributesRequest(namespace=namespace))
    known = ListSearchAttributesResponse.FromString(answer).custom_attributes
    missing = {name: indexed_value_type(kind) for name, kind in types.items() if name not in known}
    if missing:
        await call(
            "AddSearchAttributes",
            AddSearchAttributesRequest(namespace=namespace, search_attributes=missing),
        )


def indexed_value_type(kind: str) -> IndexedValueType.ValueType:
    """`KeywordList` is INDEXED_VALUE_TYPE_KEYWORD_LIST. Raises ValueError."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).upper()
    return IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{name}")
