"""Every RPC of the Cloud Ops API with random messages: never UNKNOWN or INTERNAL, never an error in the log."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest
from google.protobuf.message_factory import GetMessageClass

from mockcloud.control import identity_ops
from mockcloud.control.cloud_ops import CLOUD_SERVICE, SERVED
from mockcloud.core.errors import Code, ServiceError
from mockcloud.rpc.methods import Call
from tests.control.fakes import EAST, SOUTH, WEST, world
from tests.frontend.fuzz.messages import Maker, Pool

_REQUESTS = 40

# What no random message gets through the checks of; test_namespace_operations, test_namespace_replicas and
# test_identities do.
_CHECKED = {
    "CreateNamespace",
    "UpdateNamespace",
    "DeleteNamespace",
    "AddNamespaceRegion",
    "DeleteNamespaceRegion",
    "RenameCustomSearchAttribute",
    *(name for name in identity_ops.SERVED if name not in {"GetCurrentIdentity", "GetUsers", "GetApiKeys"}),
}


async def test_any_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    pool = Pool(
        texts={
            "namespace": ["orders", "orders", "nowhere"],
            "name": ["orders", ""],
            "region": [EAST, WEST, SOUTH, "mars"],
            "async_operation_id": ["op-1", "op-2", "absent"],
            "page_token": ["", "orders"],
        }
    )
    served = set()
    wrong = []
    async with world(tmp_path) as cloud:
        # A failover first, so that there is an operation to ask about.
        for method in sorted(CLOUD_SERVICE.methods, key=lambda each: each.name != "FailoverNamespaceRegion"):
            for seed in range(_REQUESTS if method.name in SERVED else 2):
                rng = random.Random(f"{method.name}{seed}")
                maker = Maker(rng, pool, wild=rng.choice((0, 1, 3)))
                raw = maker.message(method.input_type).SerializeToString()
                if rng.random() < 0.1:
                    raw = maker.mutated(raw)
                name = f"/{CLOUD_SERVICE.full_name}/{method.name}"
                try:
                    answer = await cloud.plane.dispatch(
                        Call(CLOUD_SERVICE.full_name, method.name, name, raw, {}, None)
                    )
                except ServiceError as error:
                    unparsable = error.message.startswith("grpc: error unmarshalling request: ")
                    if error.code in {Code.UNKNOWN, Code.INTERNAL} and not unparsable:
                        wrong.append((name, raw, error))
                else:
                    GetMessageClass(method.output_type).FromString(answer)
                    served.add(method.name)
    assert wrong == []
    assert served >= set(SERVED) - _CHECKED, "each was served at least once"
    assert [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR] == []
