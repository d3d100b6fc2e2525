"""`python -m bench.crash --rounds 20`: `kill -9` of `mockcloud up --data-dir D` under load, again and again.

In each round clients start workflows and signal them through the namespace endpoint until so many calls were answered,
a number that differs from round to round; then the process is killed. It is started again over the same directory, and
every start and signal that was answered must be there, once. After the last round the same is asked of all rounds, of
both regions, each from its own database. Prints a line per round; exit code 1 and what is missing when something is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
from temporalio.api.workflowservice import v1 as api

from bench.load import NAMESPACE, PREFIX, start_request
from mockcloud.api.admin.v1.cloud_admin_pb2 import CloudLagRequest, CloudLagResponse

CLIENTS = 20
SIGNALS_PER_WORKFLOW = 4
START_SECONDS = 20.0
CALL_SECONDS = 10.0
ROUND_SECONDS = 30.0


@dataclass
class Answered:
    """What the clients were told is done: run ids by workflow id, and signals of each."""

    runs: dict[str, str] = field(default_factory=dict)
    signals: dict[str, set[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.runs) + sum(map(len, self.signals.values()))

    def add(self, other: Answered) -> None:
        self.runs.update(other.runs)
        self.signals.update(other.signals)


@dataclass(frozen=True)
class Up:
    """A running `mockcloud up`."""

    process: asyncio.subprocess.Process
    endpoint: str
    regions: dict[str, str]
    cloud_ops: str
    seconds: float  # until it was ready

    async def kill(self) -> None:
        """`kill -9`; returns when the process is gone."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


async def start(directory: Path) -> Up:
    """Start a cloud over `directory` and wait for its ready line."""
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mockcloud", "up", "--port", "0", "--data-dir", str(directory), "-o", "json"),
        "--no-managed-failover",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
    except BaseException:
        process.kill()
        raise
    if not line:
        raise SystemExit(f"mockcloud up ended with exit code {await process.wait()} before it was ready")
    ready = json.loads(line)
    return Up(
        process,
        ready["namespaces"][NAMESPACE]["endpoint"],
        ready["regions"],
        ready["cloud_ops"],
        time.perf_counter() - begin,
    )


def _signal_request(workflow_id: str, name: str) -> bytes:
    request = api.SignalWorkflowExecutionRequest(namespace=NAMESPACE, signal_name=name, identity="bench")
    request.workflow_execution.workflow_id = workflow_id
    return request.SerializeToString()


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A connection that tries nothing twice: what it answered was answered once."""
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield channel


async def load(up: Up, prefix: str, calls: int) -> Answered:
    """Starts and signals from several clients, cut off by a kill as soon as `calls` of them were answered."""
    answered = Answered()
    enough = asyncio.Event()
    numbers = itertools.count()

    def told() -> None:
        if answered.count >= calls:
            enough.set()

    async def client(channel: grpc.aio.Channel) -> None:
        starting = channel.unary_unary(PREFIX + "StartWorkflowExecution")
        signalling = channel.unary_unary(PREFIX + "SignalWorkflowExecution")
        while True:
            workflow_id = f"{prefix}-{next(numbers)}"
            raw = await starting(start_request(workflow_id), timeout=CALL_SECONDS)
            answered.runs[workflow_id] = api.StartWorkflowExecutionResponse.FromString(raw).run_id
            told()
            for number in range(SIGNALS_PER_WORKFLOW):
                name = f"s{number}"
                await signalling(_signal_request(workflow_id, name), timeout=CALL_SECONDS)
                answered.signals.setdefault(workflow_id, set()).add(name)
                told()

    async with connected(up.endpoint) as channel:
        clients = [asyncio.create_task(client(channel)) for _ in range(CLIENTS)]
        waiting = asyncio.create_task(enough.wait())
        try:
            async with asyncio.timeout(ROUND_SECONDS):
                await asyncio.wait([waiting, *clients], return_when=asyncio.FIRST_COMPLETED)
            early = [task for task in clients if task.done()]
            if early:
                early[0].result()
            # In the middle of everything: twenty calls are in flight.
            await up.kill()
            ends = await asyncio.gather(*clients, return_exceptions=True)
        finally:
            for task in (waiting, *clients):
                task.cancel()
    for end in ends:
        if not isinstance(end, grpc.aio.AioRpcError):
            raise SystemExit(f"a client ended with {end!r}")
    return answered


async def missing(address: str, answered: Answered) -> list[str]:
    """What of `answered` the region behind `address` does not have, or has twice; read from its own database."""
    found: list[str] = []
    ids = iter(answered.runs.items())

    async def reader(channel: grpc.aio.Channel) -> None:
        read = channel.unary_unary(PREFIX + "GetWorkflowExecutionHistory")
        for workflow_id, run_id in ids:
            request = api.GetWorkflowExecutionHistoryRequest(namespace=NAMESPACE)
            request.execution.workflow_id = workflow_id
            try:
                raw = await read(
                    request.SerializeToString(),
                    timeout=CALL_SECONDS,
                    metadata=(("xdc-redirection", "false"),),
                )
            except grpc.aio.AioRpcError as error:
                found.append(f"{workflow_id}: {error.code().name} {error.details()}")
                continue
            events = api.GetWorkflowExecutionHistoryResponse.FromString(raw).history.events
            started = events[0].workflow_execution_started_event_attributes.original_execution_run_id
            if started != run_id:
                found.append(f"{workflow_id}: run {started} instead of {run_id}")
            names = Counter(
                event.workflow_execution_signaled_event_attributes.signal_name
                for event in events
                if event.HasField("workflow_execution_signaled_event_attributes")
            )
            found.extend(
                f"{workflow_id}: signal {name} is missing"
                for name in answered.signals.get(workflow_id, set()) - set(names)
            )
            found.extend(
                f"{workflow_id}: signal {name}, {times} times" for name, times in names.items() if times > 1
            )

    async with connected(address) as channel:
        await asyncio.gather(*(reader(channel) for _ in range(CLIENTS)))
    return found


async def caught_up(cloud_ops: str) -> None:
    """Return when no region of the cloud at that address has anything that another one does not have."""
    async with connected(cloud_ops) as channel, asyncio.timeout(ROUND_SECONDS):
        ask = channel.unary_unary("/mockcloud.admin.v1.CloudAdmin/CloudLag")
        while True:
            raw = await ask(CloudLagRequest().SerializeToString(), timeout=CALL_SECONDS)
            lags = CloudLagResponse.FromString(raw).lags
            if not any(peer.tasks for lag in lags for peer in lag.peers):
                return
            await asyncio.sleep(0.02)  # nothing announces it to a client


async def run(directory: Path, rounds: int, seed: int, most_calls: int) -> list[str]:
    """All rounds; what is missing."""
    rng = random.Random(seed)
    everything = Answered()
    lost: list[str] = []
    up = await start(directory)
    try:
        for number in range(1, rounds + 1):
            answered = await load(up, f"r{number}", rng.randint(1, most_calls))
            everything.add(answered)
            up = await start(directory)
            now = await missing(up.endpoint, answered)
            lost += now
            print(
                f"round {number}: {len(answered.runs)} starts and "
                f"{sum(map(len, answered.signals.values()))} signals answered, {len(now)} missing; "
                f"ready again after {up.seconds:.2f} s",
                flush=True,
            )
        await caught_up(up.cloud_ops)
        for region, address in up.regions.items():
            now = await missing(address, everything)
            lost += [f"{region}: {line}" for line in now]
            print(f"{region} at the end: {everything.count} answered, {len(now)} missing", flush=True)
    finally:
        await up.kill()
    return lost


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when nothing is missing."""
    parser = argparse.ArgumentParser(prog="python -m bench.crash", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=1500, help="answered calls of a round, at most")
    parser.add_argument("--seed", type=int, default=None, help="of the numbers of calls")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mockcloud-crash-") as directory:
        lost = asyncio.run(run(Path(directory), options.rounds, seed, options.calls))
    for line in lost:
        print(line)
    print("nothing is missing" if not lost else f"{len(lost)} missing")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
