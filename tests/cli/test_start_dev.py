"""`mockcloud server start-dev`: what tools that start a Temporal dev server expect of one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.frontend.sdk_workflows import Greeting, greet

SECONDS = 30
MOCKCLOUD = str(Path(sys.executable).with_name("mockcloud"))
EVERY_FLAG = [
    *("--port", "0", "--ip", "127.0.0.1", "--namespace", "a", "-n", "b", "--db-filename", "", "-f", ""),
    *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=off"),
    *("--dynamic-config-value", "frontend.namespaceRPS=100", "--dynamic-config-value", 'some.key={"a": "b"}'),
    *("--http-port", "0", "--metrics-port", "0", "--ui-port", "0", "--ui-ip", "127.0.0.1"),
    *("--ui-public-path", "/ui", "--ui-asset-path", "x", "--ui-codec-endpoint", "x"),
    *("--headless", "--ui-disable-news-fetch=true", "--log-level", "debug", "--log-format", "json"),
    *("--color", "never", "--env", "x", "--env-file", "x", "--config-file", "x", "--profile", "x"),
    *("--disable-config-file", "--disable-config-env", "--no-json-shorthand-payloads", "--log-config"),
    *(
        "--time-format",
        "iso",
        "--client-connect-timeout",
        "5s",
        "--command-timeout",
        "1m",
        "--output",
        "json",
    ),
]


@contextmanager
def started(*options: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`mockcloud server start-dev` with these options; killed at the end if it still runs."""
    with subprocess.Popen(
        [MOCKCLOUD, "server", "start-dev", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The addresses of a server that was started with `-o json`."""
    assert process.stdout is not None
    addresses: dict[str, Any] = json.loads(process.stdout.readline())
    return addresses


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Stop it as tools do; what it has printed since."""
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, output
    return output


def endpoint(addresses: dict[str, Any]) -> str:
    address: str = addresses["namespaces"]["default"]["endpoint"]
    return address


def refused(*options: str) -> str:
    """What a start that fails says."""
    with started(*options) as process:
        output, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, output) == (1, ""), errors
    assert "Traceback" not in errors
    return errors


class TestSdk:
    async def test_start_local_takes_it_for_a_dev_server(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        before = children()
        async with await WorkflowEnvironment.start_local(dev_server_existing_path=MOCKCLOUD) as environment:
            (process,) = children() - before
            assert within(tmp_path), "the databases are in temporary files"
            async with Worker(environment.client, task_queue="q", workflows=[Greeting], activities=[greet]):
                result = await environment.client.execute_workflow(
                    Greeting.run, "you", id="w", task_queue="q"
                )
            assert result == "hello you"
        assert not running(process)
        # The SDK kills it; what a killed process leaves is removed by the next one.
        with started("--port", "0", "-o", "json") as next_one:
            ready(next_one)
            assert len(within(tmp_path)) == 1
            ended(next_one)
        assert not within(tmp_path)

    async def test_start_local_registers_search_attributes(self) -> None:
        word, number = SearchAttributeKey.for_keyword("Word"), SearchAttributeKey.for_int("Number")
        words = SearchAttributeKey.for_keyword_list("Words")
        async with await WorkflowEnvironment.start_local(
            dev_server_existing_path=MOCKCLOUD, search_attributes=[word, number, words], namespace="orders"
        ) as environment:
            client = environment.client
            attributes = TypedSearchAttributes(
                [SearchAttributePair(word, "a"), SearchAttributePair(number, 7)]
            )
            await client.start_workflow("any", id="w", task_queue="q", search_attributes=attributes)
            found = [run.id async for run in client.list_workflows("Word = 'a' AND Number > 5")]
            assert found == ["w"]
            for namespace in ("default", "orders"):
                listed = await client.operator_service.list_search_attributes(
                    ListSearchAttributesRequest(namespace=namespace)
                )
                assert dict(listed.custom_attributes) == {"Word": 2, "Number": 3, "Words": 7}

    async def test_start_local_with_a_namespace_and_a_database(self, tmp_path: Path) -> None:
        for life in range(2):
            async with await WorkflowEnvironment.start_local(
                dev_server_existing_path=MOCKCLOUD,
                dev_server_database_filename=str(tmp_path / "dev.db"),
                dev_server_log_level="error",
                dev_server_extra_args=["--dynamic-config-value", "limit.maxIDLength=100"],
                namespace="orders",
            ) as environment:
                if life == 0:
                    await environment.client.start_workflow("any", id="w", task_queue="q")
                    with pytest.raises(RPCError, match="WorkflowId length exceeds limit"):
                        await environment.client.start_workflow("any", id="w" * 101, task_queue="q")
                described = await environment.client.get_workflow_handle("w").describe()
                assert described.namespace == "orders"

    async def test_what_began_on_its_port_goes_on_there_after_a_failover(self) -> None:
        with started("--port", "0", "-o", "json") as process:
            addresses = ready(process)
            client = await Client.connect(endpoint(addresses))
            handle = await client.start_workflow(Greeting.run, "you", id="w", task_queue="q")
            failover = await asyncio.create_subprocess_exec(
                *(MOCKCLOUD, "failover", "default", "aws-us-west-2", "--cloud", addresses["cloud_ops"]),
                stdout=subprocess.DEVNULL,
            )
            assert await failover.wait() == 0
            async with Worker(client, task_queue="q", workflows=[Greeting], activities=[greet]):
                assert await handle.result() == "hello you"
            ended(process)


def within(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children()}


def running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


class TestFlags:
    def test_every_flag_of_the_dev_server_is_taken(self) -> None:
        with started(*EVERY_FLAG) as process:
            addresses = ready(process)
            assert set(addresses["namespaces"]) == {"default", "a", "b"}
            assert len(addresses["regions"]) == 2
            _, errors = ended(process)
        records = [json.loads(line) for line in errors.splitlines() if line.startswith('{"time"')]
        (told,) = [record for record in records if "mean nothing here" in record["msg"]]
        assert told["level"] == "DEBUG"
        for flag in ("--headless", "--sqlite-pragma", "--ui-port", "--env", "--color", "--http-port"):
            assert f"{flag}," in told["msg"] + ","
        assert "--port" not in told["msg"].split(", ")
        keys = [record["msg"] for record in records if record["msg"].startswith("dynamic config key")]
        assert [text.split()[3] for text in keys] == ["frontend.namespaceRPS", "some.key"]
        assert '"retention_days": 1' in errors, "--log-config prints the settings"

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--bogus"], "--bogus"),
            (["stray"], "unexpected extra argument (stray)"),
            (["--port", "abc"], "'abc' is not a valid integer"),
            (["--log-level", "abc"], "'abc' is not one of 'debug', 'info', 'warn', 'error', 'never'"),
            (["--command-timeout", "abc"], 'time: invalid duration "abc"'),
        ],
    )
    def test_what_is_no_flag_is_refused(self, options: list[str], words: str) -> None:
        assert words in refused(*options)

    @pytest.mark.parametrize(
        ("options", "line"),
        [
            (
                ["--dynamic-config-value", "foo"],
                "invalid dynamic config values: missing expected '=' in \"foo\"",
            ),
            (
                ["--dynamic-config-value", "foo=abc"],
                (
                    'invalid dynamic config values: invalid JSON value for key "foo": '
                    "Expecting value: line 1 column 1 (char 0)"
                ),
            ),
            (
                ["--dynamic-config-value", 'limit.blobSize.error="2MB"'],
                "invalid value for dynamic config key 'limit.blobSize.error': value type is not int",
            ),
            (["--search-attribute", "foo"], "invalid search attributes: missing expected '=' in \"foo\""),
            (["--search-attribute", "foo=abc"], 'invalid search attribute value type "abc"'),
            (["--sqlite-pragma", "foo"], "invalid pragma: missing expected '=' in \"foo\""),
            (["--namespace", ""], "a namespace has a name"),
        ],
    )
    def test_a_bad_value_is_one_line(self, options: list[str], line: str) -> None:
        assert refused("--port", "0", *options) == f"mockcloud: {line}\n"

    def test_it_prints_what_the_dev_server_prints_and_its_own_addresses(self) -> None:
        with started("--port", "0", "--headless") as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(7)]
            rest, errors = ended(process)
        assert lines[0].startswith("mockcloud ")
        assert "(Server 1.31.2)" in lines[0]
        labels = [line.partition(": ")[0] for line in lines[2:]]
        assert labels == [
            *("Temporal Server", "Temporal Persistence", "Cloud Ops API"),
            *("Region aws-us-east-1", "Region aws-us-west-2"),
        ]
        assert lines[2].split()[2].startswith("localhost:")
        assert (rest, errors) == ("", ""), "nothing is logged below a warning"

    async def test_one_port_serves_all_namespaces_and_no_other_port_is_bound(self) -> None:
        port = free_port()
        with started("--port", str(port), "-n", "orders", "-o", "json") as process:
            addresses = ready(process)
            assert endpoint(addresses) == f"127.0.0.1:{port}"
            for namespace in ("default", "orders"):
                client = await Client.connect(f"localhost:{port}", namespace=namespace)
                handle = await client.start_workflow("any", id="w", task_queue="nobody")
                assert (await handle.describe()).namespace == namespace
            named = {
                *(entry["endpoint"] for entry in addresses["namespaces"].values()),
                *addresses["regions"].values(),
                addresses["cloud_ops"],
            }
            near = {f"127.0.0.1:{port + offset}" for offset in (1, 2, 10, 1000)}
            assert not named & near
            assert not listening(process.pid) & near

    async def test_it_listens_where_it_is_told(self) -> None:
        with started("--port", "0", "--ip", "::1", "-o", "json") as process:
            port = endpoint(ready(process)).rpartition(":")[2]
            client = await Client.connect(f"[::1]:{port}")
            assert await client.service_client.check_health()

    async def test_a_namespace_may_keep_its_runs_for_an_hour_only(self) -> None:
        with started("--port", "0", "-o", "json") as process:
            client = await Client.connect(endpoint(ready(process)))
            for seconds, accepted in ((3600, True), (3599, False)):
                request = RegisterNamespaceRequest(
                    namespace=f"n{seconds}", workflow_execution_retention_period=Duration(seconds=seconds)
                )
                if accepted:
                    await client.workflow_service.register_namespace(request)
                else:
                    with pytest.raises(RPCError, match="A valid retention period is not set on request"):
                        await client.workflow_service.register_namespace(request)

    def test_command_timeout_ends_it(self) -> None:
        with started("--port", "0", "--command-timeout", "1ms", "-o", "none") as process:
            output, errors = process.communicate(timeout=SECONDS)
        assert (process.returncode, output, errors) == (0, "", "")


def listening(pid: int) -> set[str]:
    return {
        f"{connection.laddr.ip}:{connection.laddr.port}"
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class TestDatabaseFile:
    async def test_what_was_answered_is_there_the_next_time(self, tmp_path: Path) -> None:
        file = tmp_path / "dev.db"
        options = ["--port", "0", "-f", str(file), "-n", "orders", "-o", "json"]
        options += ["--search-attribute", "Word=keyword"]
        with started(*options) as process:
            client = await Client.connect(endpoint(ready(process)), namespace="orders")
            await client.start_workflow("any", id="w", task_queue="nobody")
            process.kill()  # not in good order
        regions = {"dev.db.aws-us-east-1.sqlite", "dev.db.aws-us-west-2.sqlite"}
        assert {"dev.db", "dev.db.control.sqlite"} | regions <= {*within(tmp_path)}
        with started(*options) as process:
            client = await Client.connect(endpoint(ready(process)), namespace="orders")
            assert (await client.get_workflow_handle("w").describe()).id == "w"
            ended(process)

    async def test_without_the_file_everything_begins_afresh(self, tmp_path: Path) -> None:
        file = tmp_path / "dev.db"
        options = ("--port", "0", "-f", str(file), "-o", "json")
        with started(*options) as process:
            client = await Client.connect(endpoint(ready(process)))
            await client.start_workflow("any", id="w", task_queue="nobody")
            ended(process)
        file.unlink()
        with started(*options) as process:
            client = await Client.connect(endpoint(ready(process)))
            with pytest.raises(RPCError, match="not found"):
                await client.get_workflow_handle("w").describe()
            _, errors = ended(process)
        assert "dev.db.aws-us-east-1.sqlite beside it is removed" in errors

    def test_a_file_of_another_program_is_left_alone(self, tmp_path: Path) -> None:
        file = tmp_path / "dev.db"
        file.write_bytes(b"SQLite format 3\0 and more \xff")
        line = refused("--port", "0", "-f", str(file))
        assert line == f"mockcloud: the database file {file} cannot be used: it is not a file of mockcloud\n"
        assert file.read_bytes() == b"SQLite format 3\0 and more \xff"
        assert within(tmp_path) == ["dev.db"]

    def test_a_directory_that_does_not_exist_is_refused(self, tmp_path: Path) -> None:
        line = refused("--port", "0", "-f", str(tmp_path / "nowhere" / "dev.db"))
        assert "No such file or directory" in line
        assert not list(tmp_path.iterdir())
