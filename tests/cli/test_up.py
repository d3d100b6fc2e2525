"""`mockcloud up` as a process: what it prints and where, how it ends, and what it refuses to start over."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from temporalio.client import Client

from mockcloud.cli.main import main

EAST, WEST = "aws-us-east-1", "aws-us-west-2"
ADDRESS = r"127\.0\.0\.1:\d+"
SECONDS = 30


@contextmanager
def started(*options: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`mockcloud up` with free ports, unless `options` say otherwise; killed at the end if it still runs."""
    arguments = [sys.executable, "-m", "mockcloud", "up", *options]
    if "--port" not in options:
        arguments += ["--port", "0"]
    with subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The addresses of a cloud that was started with `-o json`."""
    addresses: dict[str, Any] = json.loads(first_line(process))
    return addresses


def refused(*options: str) -> str:
    """The one line of a start that fails."""
    with started(*options) as process:
        output, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, output) == (1, ""), errors
    assert re.fullmatch(r"mockcloud: .*\n", errors), errors
    return errors.removeprefix("mockcloud: ").rstrip("\n")


def listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


class TestReady:
    def test_the_line_tells_all_addresses(self) -> None:
        with started() as process:
            line = first_line(process)
            assert re.fullmatch(
                rf"ready: namespaces default at {ADDRESS}; "
                rf"regions {EAST} at {ADDRESS}, {WEST} at {ADDRESS}; Cloud Ops at {ADDRESS}; "
                rf"HTTP at http://{ADDRESS}\n",
                line,
            )
            for address in re.findall(ADDRESS, line):
                assert listens(address)

    async def test_as_json_with_regions_and_namespaces_of_ones_own(self) -> None:
        regions = ("gcp-us-east4", "gcp-us-west1", "aws-eu-west-1")
        options = [word for region in regions for word in ("--region", region)]
        options += ["--namespace", "orders", "--namespace", "billing", "-o", "json"]
        with started(*options) as process:
            addresses = ready(process)
            assert set(addresses) == {"namespaces", "regions", "cloud_ops", "http"}
            assert list(addresses["regions"]) == list(regions)
            assert set(addresses["namespaces"]) == {"orders", "billing"}
            assert listens(addresses["cloud_ops"])
            for name, entry in addresses["namespaces"].items():
                client = await Client.connect(entry["endpoint"], namespace=name)
                handle = await client.start_workflow("any", id="w", task_queue="nobody")
                assert (await handle.describe()).id == "w"

    def test_ports_are_laid_out_from_the_first(self) -> None:
        port = free_base()
        with started("--port", str(port), "-o", "json") as process:
            addresses = ready(process)
            region = httpx.get(f"{addresses['http']}/cloud/regions/{EAST}").json()["region"]
            assert region["location"] == "US East (N. Virginia)"
        assert addresses == {
            "namespaces": {"default": {"endpoint": f"127.0.0.1:{port}"}},
            "regions": {EAST: f"127.0.0.1:{port + 1}", WEST: f"127.0.0.1:{port + 2}"},
            "cloud_ops": f"127.0.0.1:{port + 10}",
            "http": f"http://127.0.0.1:{port + 1000}",
        }


class TestHost:
    @pytest.mark.parametrize("options", [(), ("--api-key", "x")], ids=["open", "with keys"])
    def test_listening_for_strangers_without_keys_is_warned_of(self, options: tuple[str, ...]) -> None:
        with started("--host", "0.0.0.0", "-o", "json", *options) as process:
            addresses = ready(process)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=SECONDS)
        assert addresses["cloud_ops"].startswith("0.0.0.0:")
        warned = "whoever reaches this machine can use the cloud" in errors
        assert warned == (not options)
        assert ("listening on 0.0.0.0 without TLS: API keys can be read on their way" in errors) == bool(
            options
        )

    def test_on_ipv6(self) -> None:
        with started("--host", "::1", "-o", "json") as process:
            addresses = ready(process)
            cloud = ("--cloud", addresses["cloud_ops"])
            result = CliRunner().invoke(main, ["failover", "default", WEST, *cloud])
            assert result.exit_code == 0, result.output
            assert httpx.get(f"{addresses['http']}/cloud/regions/{EAST}").status_code == 200
            endpoint = addresses["namespaces"]["default"]["endpoint"]
            assert endpoint.startswith("[::1]:")
            asyncio.run(Client.connect(endpoint))


class TestAuditLog:
    def test_each_change_is_a_line(self, tmp_path: Path) -> None:
        path = tmp_path / "audit.jsonl"
        with started("--audit-log", str(path), "-o", "json") as process:
            url = f"{ready(process)['http']}/cloud/namespaces/default/failover-region"
            assert httpx.post(url, json={"region": WEST}).status_code == 200
            assert httpx.post(url, json={"region": "mars-1"}).status_code == 400
            lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [(line["operation"], line["status"]) for line in lines] == [
            ("CreateNamespaceAPI", "OK"),
            ("FailoverNamespace", "OK"),
            ("FailoverNamespace", "ERROR"),
        ]
        assert lines[1]["x_forwarded_for"] == "127.0.0.1"


class TestEvents:
    def test_following_them_ends_with_the_cloud(self) -> None:
        with started("-o", "json") as process:
            cloud = ("--cloud", ready(process)["cloud_ops"])
            follow = [sys.executable, "-m", "mockcloud", "events", "--follow", *cloud]
            with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as following:
                assert following.stdout is not None
                for line in following.stdout:
                    if line.endswith(f"CreateNamespace of default {EAST}: FULFILLED\n"):
                        break
                result = CliRunner().invoke(main, ["fault", "add", "pause", EAST, WEST, *cloud])
                assert result.output == "pause-1\n"
                added = f"fault         added pause-1: pause {EAST} ↔ {WEST}\n"
                assert following.stdout.readline().endswith(added)
                process.send_signal(signal.SIGTERM)
                assert following.stdout.read() == ""
                assert following.wait(SECONDS) == 0


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_it_in_good_order(self, tmp_path: Path, number: signal.Signals) -> None:
        with started("-o", "json", TMPDIR=str(tmp_path)) as process:
            addresses = ready(process)
            assert list(tmp_path.iterdir()), "the databases are in temporary files"
            process.send_signal(number)
            rest, errors = process.communicate(timeout=SECONDS)
        assert process.returncode == 0
        assert rest == "", "standard output carries the ready line and nothing else"
        assert "Traceback" not in errors
        assert not list(tmp_path.iterdir()), "temporary files are removed"
        for address in (addresses["cloud_ops"], *addresses["regions"].values()):
            assert not listens(address)

    @pytest.mark.parametrize("module", ["click", "mockcloud.cli.up", "grpc", "mockcloud.cloud.composition"])
    def test_an_interrupt_in_the_middle_of_imports(self, module: str) -> None:
        code = f"""
import os, signal, sys

class Interrupting:
    def find_spec(name, path, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting)
sys.argv = ["mockcloud", "up", "--port", "0"]
from mockcloud.__main__ import main
main()
"""
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, timeout=SECONDS, check=False
        )
        assert (result.returncode, result.stdout, result.stderr) == (130, b"", b"")

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_under_a_command_that_waits(self, number: signal.Signals) -> None:
        with started("-o", "json") as process:
            cloud = ready(process)["cloud_ops"]
            add = [sys.executable, "-m", "mockcloud", "fault", "add", "partition", EAST, WEST]
            subprocess.run([*add, "--cloud", cloud], check=True, timeout=SECONDS, stdout=subprocess.DEVNULL)
            command = [sys.executable, "-m", "mockcloud", "failover", "default", WEST, "--cloud", cloud]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting:
                assert process.stderr is not None
                for line in process.stderr:
                    if f"FailoverNamespaceRegion of default {WEST}" in line:
                        break
                process.send_signal(number)
                _, errors = waiting.communicate(timeout=SECONDS)
        assert waiting.returncode == 1
        assert errors == f"Error: the cloud at {cloud} has ended, before it answered\n"

    async def test_what_was_answered_is_there_the_next_time(self, tmp_path: Path) -> None:
        options = ("--data-dir", str(tmp_path / "data"), "-o", "json")
        endpoints = []
        for life in range(2):
            with started(*options) as process:
                endpoint = ready(process)["namespaces"]["default"]["endpoint"]
                endpoints.append(endpoint)
                client = await Client.connect(endpoint)
                handle = client.get_workflow_handle("w")
                if life == 0:
                    handle = await client.start_workflow("any", id="w", task_queue="nobody")
                await handle.signal("note", life)
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=SECONDS)
            assert process.returncode == 0
        assert endpoints[0] == endpoints[1], "the namespace endpoint keeps its port"
        with started(*options) as process:
            client = await Client.connect(ready(process)["namespaces"]["default"]["endpoint"])
            history = await client.get_workflow_handle("w").fetch_history()
            signals = [event for event in history.events if event.event_type == 26]
            assert len(signals) == 2


class TestRefusals:
    @pytest.mark.parametrize("offset", [0, 1, 10, 1000], ids=["endpoint", "region", "cloud_ops", "http"])
    def test_a_taken_port(self, offset: int) -> None:
        base = free_base()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", base + offset))
            taken.listen()
            line = refused("--port", str(base))
        assert line == f"port {base + offset} on 127.0.0.1 is already in use"

    def test_a_data_directory_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        directory = tmp_path / "file" / "data"
        line = refused("--data-dir", str(directory))
        assert line.startswith(f"the data directory {directory} cannot be used: ")
        assert "Not a directory" in line
        assert (tmp_path / "file").read_text() == ""

    def test_a_data_directory_in_use(self, tmp_path: Path) -> None:
        with started("--data-dir", str(tmp_path), "-o", "json") as process:
            addresses = ready(process)
            line = refused("--data-dir", str(tmp_path))
            assert "is in use by another process" in line
            assert str(tmp_path) in line
            # Whoever had it goes on as if nothing had been.
            assert all(listens(address) for address in addresses["regions"].values())
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=SECONDS)
        assert process.returncode == 0

    @pytest.mark.parametrize("file", [f"{WEST}.sqlite", "control.sqlite"])
    def test_a_newer_schema(self, tmp_path: Path, file: str) -> None:
        with started("--data-dir", str(tmp_path), "-o", "json") as process:
            ready(process)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=SECONDS)
        set_version(tmp_path / file, 1_000)
        line = refused("--data-dir", str(tmp_path))
        assert file in line
        assert "schema 1000" in line
        assert version_of(tmp_path / file) == 1_000

    def test_a_data_directory_of_other_regions(self, tmp_path: Path) -> None:
        regions = ["--region", EAST, "--region", WEST, "--region", "aws-eu-west-1"]
        with started("--data-dir", str(tmp_path), "-o", "json", *regions) as process:
            ready(process)
        assert refused("--data-dir", str(tmp_path)) == (
            f"the data directory {tmp_path} belongs to a cloud of {EAST}, {WEST}, aws-eu-west-1, "
            f"not of {EAST}, {WEST}: start it with these regions, in this order ({' '.join(regions)})"
        )
        with started("--data-dir", str(tmp_path), "-o", "json", *regions) as process:
            assert len(ready(process)["regions"]) == 3

    @pytest.mark.parametrize("file", [f"{WEST}.sqlite", "control.sqlite"])
    def test_a_data_directory_that_misses_a_database(self, tmp_path: Path, file: str) -> None:
        with started("--data-dir", str(tmp_path), "-o", "json") as process:
            ready(process)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=SECONDS)
        (tmp_path / file).unlink()
        line = refused("--data-dir", str(tmp_path))
        owner = f"the data directory {tmp_path} belongs to a cloud of {EAST}, {WEST}"
        assert line == f"{tmp_path / file} is missing: {owner}"
        assert not (tmp_path / file).exists()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--region", EAST, "--region", EAST), "a region is named twice"),
            (("--region", "not a region"), "not a region id: 'not a region'"),
            (("--port", "70000"), "not a port: 70000"),
        ],
    )
    def test_options_that_make_no_sense(self, options: tuple[str, ...], words: str) -> None:
        assert words in refused(*options)


def free_base() -> int:
    """A port of which the layout's others are free too, outside of what the kernel gives away."""
    while True:
        base = random.randrange(10_000, 30_000)
        if not any(listens(f"127.0.0.1:{port}") for port in (*range(base, base + 11), base + 1000)):
            return base


def set_version(path: Path, number: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {number}")
    connection.close()


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(number)


@pytest.mark.parametrize("lag", [(), ("--dns-lag",)], ids=["at once", "as DNS"])
def test_where_a_new_client_arrives_after_a_failover(lag: tuple[str, ...]) -> None:
    """The old region is down, so who still believes in it reaches nobody."""
    with started("-o", "json", *lag) as process:
        addresses = ready(process)
        endpoint = addresses["namespaces"]["default"]["endpoint"]
        asyncio.run(Client.connect(endpoint))
        for words in (("failover", "default", WEST), ("region", "kill", EAST)):
            command = [sys.executable, "-m", "mockcloud", *words, "--cloud", addresses["cloud_ops"]]
            subprocess.run(command, check=True, timeout=SECONDS, stdout=subprocess.DEVNULL)

        if lag:
            with pytest.raises(RuntimeError, match="connect"):
                asyncio.run(Client.connect(endpoint))
        else:
            asyncio.run(Client.connect(endpoint))


@pytest.mark.parametrize("managed", [True, False])
def test_whether_a_namespace_leaves_a_region_that_is_down(managed: bool) -> None:
    options = ("--failover-after", "0.5") if managed else ("--no-managed-failover",)
    with started("-o", "json", *options) as process:
        addresses = ready(process)

        def command(*words: str) -> Any:
            arguments = [sys.executable, "-m", "mockcloud", *words, "-o", "json"]
            arguments += ["--cloud", addresses["cloud_ops"]]
            return json.loads(
                subprocess.run(arguments, check=True, timeout=SECONDS, capture_output=True).stdout
            )

        command("region", "kill", EAST)
        if not managed:
            assert command("status")["regions"][0]["conditions"] == []
            return
        deadline = time.monotonic() + SECONDS
        while not (failovers := command("namespace", "failovers", "default")):
            assert time.monotonic() < deadline
        assert failovers[0]["trigger"] == "automatic"
        assert failovers[0]["cause"] == f"{EAST}: unreachable"
