"""Every RPC with random messages: never UNKNOWN or INTERNAL, never a traceback, no change of state after an error.

MOCKCLOUD_FUZZ multiplies the number of examples: `MOCKCLOUD_FUZZ=50 pytest tests/frontend/test_fuzz.py`.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mockcloud.core import times
from mockcloud.core.errors import Code, ServiceError
from mockcloud.frontend.methods import METHODS, Method
from mockcloud.frontend.service import SERVED
from tests.frontend.fuzz.messages import Maker, Pool
from tests.frontend.fuzz.replica import differences
from tests.frontend.fuzz.world import ACTIVITY_TOKENS, QUERY_TOKENS, SPARE, WORKFLOW_TOKENS, World

_SCALE: Final = int(os.environ.get("MOCKCLOUD_FUZZ", "1"))
_EXAMPLES: Final = 20 * _SCALE
_EXAMPLES_UNSERVED: Final = 2
_NEVER: Final = frozenset({Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS, Code.OUT_OF_RANGE, Code.OK})
_UNPARSABLE: Final = "grpc: error unmarshalling request: "
# The real server says these with INTERNAL too.
_INTERNAL_IN_FACT: Final = (_UNPARSABLE, "unknown reset reapply type: ")
# A completion with a bad command is refused, and its workflow task fails: that is the answer to the worker.
_MAY_CHANGE: Final = frozenset({"RespondWorkflowTaskCompleted"})

_TOKENS: Final = {"WorkflowTask": WORKFLOW_TOKENS, "Query": QUERY_TOKENS}
# Less than a day in all: no run is so old that it is deleted, and schedules do not outgrow everything else.
_JUMPS: Final = tuple(seconds * times.SECOND for seconds in (1, 15, 60, 60, 600, 3600, 7200))
# What time and replication have to do with most.
_FRUITFUL: Final = (
    *("/StartWorkflowExecution", "/SignalWithStartWorkflowExecution", "/RespondWorkflowTaskCompleted"),
    *("/CreateSchedule", "/UpdateWorkflowExecution", "/ResetWorkflowExecution"),
)
_SPOIL_NAMESPACES: Final = frozenset({"DeleteNamespace", "DeprecateNamespace", "UpdateNamespace"})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("fuzz"))
    yield made
    made.close()


def examples(number: int) -> settings:
    return settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),  # the world goes on from example to example: there is nothing to shrink
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def requests(draw: Any, world: World, method: Method, *, tidy: bool, broken: bool) -> bytes:
    """The bytes of a request: of a message, or of one that is `broken` on its way."""
    return request(draw(st.randoms(use_true_random=True)), world, method, tidy=tidy, broken=broken)


def request(rng: random.Random, world: World, method: Method, *, tidy: bool, broken: bool) -> bytes:
    """The same, from a source of chance."""
    maker = Maker(
        rng,
        pool_of(world, method, rng),
        wild=0 if tidy else rng.choice((0, 0, 1, 3)),
        about_activities="Activity" in method.name,
    )
    raw = maker.message(method.request_type.DESCRIPTOR).SerializeToString()
    return maker.mutated(raw) if broken else raw


@pytest.mark.parametrize("name", sorted(METHODS))
def test_any_message(world: World, name: str) -> None:
    method = METHODS[name]
    prepare(world, method)

    @examples(_EXAMPLES if name in SERVED else _EXAMPLES_UNSERVED)
    @given(requests(world, method, tidy=False, broken=False))
    def check(raw: bytes) -> None:
        step(world, method, raw)

    check()
    assert world.run(world.spoilt()) == []


@pytest.mark.parametrize("name", sorted(SERVED))
def test_broken_bytes(world: World, name: str) -> None:
    method = METHODS[name]

    @examples(3 * _SCALE)
    @given(requests(world, method, tidy=True, broken=True))
    def check(raw: bytes) -> None:
        error = called(world, method, raw)
        assert parses(method, raw) or (error is not None and error.message.startswith(_UNPARSABLE))

    check()


def test_time_passes_and_another_region_takes_all_that_came_of_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    rng = random.Random(0)
    try:
        for name in sorted(SERVED):
            method = METHODS[name]
            prepare(world, method)
            for _ in range((20 if name.endswith(_FRUITFUL) else 3) * _SCALE):
                step(world, method, request(rng, world, method, tidy=False, broken=False))
        for nanoseconds in _JUMPS:
            world.run(world.advance(nanoseconds))
            assert world.records.texts == []
        assert world.run(world.spoilt()) == []
        assert world.run(differences(world, tmp_path)) == []
    finally:
        world.close()


def pool_of(world: World, method: Method, rng: random.Random) -> Pool:
    """What a request of that method is about: not what would leave nothing to the next one."""
    pool, spares = world.pool, world.pool.texts[SPARE]
    if method.name in _SPOIL_NAMESPACES:
        return pool.but(namespace=spares, name=spares, id=["nowhere"])
    if method.name == "RegisterNamespace":
        return pool.but(namespace=[*spares, f"new-{rng.random()}"])
    if method.has_task_token and rng.random() < 0.9:
        kind = next((kind for part, kind in _TOKENS.items() if part in method.name), ACTIVITY_TOKENS)
        return pool.but(tokens=pool.tokens[kind][-1:] if rng.random() < 0.9 else pool.tokens[kind])
    return pool


def prepare(world: World, method: Method) -> None:
    """Make what the calls to a method may use up."""
    world.run(world.replenish())
    if method.name in _SPOIL_NAMESPACES:
        for _ in range(5):
            world.run(world.spare_namespace())


def step(world: World, method: Method, raw: bytes) -> None:
    """Make a call, and make anew what it has used up."""
    before = world.version()
    called(world, method, raw)
    if method.has_task_token and world.version() != before:
        world.run(world.replenish())


def called(world: World, method: Method, raw: bytes) -> ServiceError | None:
    """Make a call and check what must hold of every call."""
    before = world.run(settled(world))
    error = world.run(world.call(method, raw))
    shown = f"{method.name} {describe(method, raw)}"
    assert world.records.texts == [], shown
    if error is not None:
        assert error.code not in _NEVER or error.message.startswith(_INTERNAL_IN_FACT), f"{error!r}: {shown}"
        changed = world.version() != before
        assert not changed or method.name in _MAY_CHANGE, f"{error!r} and a change: {shown}"
    return error


async def settled(world: World) -> int:
    await world.quiet()
    return world.version()


def parses(method: Method, raw: bytes) -> bool:
    try:
        method.request_type.FromString(raw)
    except DecodeError:
        return False
    return True


def describe(method: Method, raw: bytes) -> str:
    with contextlib.suppress(DecodeError):
        return text_format.MessageToString(method.request_type.FromString(raw), as_one_line=True)[:4000]
    return raw.hex()
