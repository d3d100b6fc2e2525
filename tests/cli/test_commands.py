"""The commands against a running cloud: what they do, and what they print as text and as JSON."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.client import Client

from mockcloud.api.admin.v1.cloud_admin_pb2 import (
    FailoverRequest,
    RegionState,
    StatusResponse,
    TimelineEvent,
)
from mockcloud.api.replication.v1.replication_pb2 import ReplicationTask
from mockcloud.cli import events, text
from mockcloud.cli.main import main
from mockcloud.cloud.blocking_facade import BlockingCloud
from mockcloud.cloud.facade import MockCloud
from mockcloud.store import dead_letters

EAST, WEST = "aws-us-east-1", "aws-us-west-2"


class Shell:
    """Runs commands against one cloud."""

    def __init__(self, cloud: MockCloud) -> None:
        self.cloud = cloud

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--cloud", self.cloud.cloud_ops], terminal_width=200)

    def text(self, *words: str) -> str:
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *words: str) -> Any:
        """What it prints with `-o json`: one line, or nothing."""
        text = self.text(*words, "-o", "json")
        (line,) = text.splitlines()
        return json.loads(line)

    def error(self, *words: str) -> str:
        """The one line of a command that fails."""
        result = self.run(*words)
        assert result.exit_code == 1
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        return line


@pytest.fixture
def shell(mockcloud: MockCloud, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("COLUMNS", "200")  # tables are as wide as they like
    return Shell(mockcloud)


@pytest.fixture
def cloud(mockcloud: MockCloud) -> BlockingCloud:
    return mockcloud.blocking


def moment(text: str) -> datetime:
    """A time of the JSON output: RFC 3339 in UTC."""
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}(\.\d+)?Z", text)
    return datetime.fromisoformat(text)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline


def start_workflow(cloud: BlockingCloud, workflow_id: str, namespace: str = "default") -> None:
    async def start() -> None:
        client = await Client.connect(cloud.namespace(namespace).endpoint, namespace=namespace)
        await client.start_workflow("any", id=workflow_id, task_queue="nobody")

    asyncio.run(start())


class TestStatus:
    def test_text(self, shell: Shell, cloud: BlockingCloud) -> None:
        start_workflow(cloud, "w1")
        text = shell.text("status")
        for region in (EAST, WEST):
            address = cloud.region(region).address
            assert re.search(rf"{region}\W+{re.escape(address)}\W+up", text)
        assert f"control plane: up, Cloud Ops at {cloud.cloud_ops}, HTTP at {cloud.http}" in text
        endpoint = cloud.namespace("default").endpoint
        assert f"namespace default at {endpoint}, active in {EAST}" in text
        assert re.search(rf"{EAST}\W+active\W+1\W+1\W", text)
        assert re.search(rf"{WEST}\W+passive\W+1\W", text)

    def test_regions_that_are_down(self, shell: Shell, cloud: BlockingCloud) -> None:
        cloud.create_namespace("orders", [WEST])
        cloud.region(EAST).kill()
        assert re.search(rf"{EAST}\W+down\W+\?.*\n.*{WEST}\W+passive\W", shell.text("status")), "in order"
        cloud.region(WEST).kill()
        rows = [line.split() for line in shell.text("status").splitlines() if "?" in line]
        assert [row[1:4:2] for row in rows] == [[EAST, "down"], [WEST, "down"], [WEST, "down"]]
        namespaces = shell.json("status")["namespaces"]
        assert {each["name"]: each["replicas"] for each in namespaces} == {
            "default": [{"region": EAST, "state": "active"}, {"region": WEST, "state": "passive"}],
            "orders": [{"region": WEST, "state": "active"}],
        }

    def test_a_region_that_is_being_added(self, shell: Shell, cloud: BlockingCloud) -> None:
        orders = cloud.create_namespace("orders", [EAST])
        cut = cloud.link(EAST, WEST).partition()
        shell.text("namespace", "add-region", "orders", WEST, "--no-wait")
        assert re.search(rf"{WEST}\W+adding\W+\?", shell.text("status"))
        (status,) = (each for each in shell.json("status")["namespaces"] if each["name"] == "orders")
        assert {"region": WEST, "state": "adding"} in status["replicas"]
        cut.remove()
        until(lambda: orders.operations()[0].state == "FULFILLED")
        assert "adding" not in shell.text("status")

    def test_how_far_a_region_is_added(self, capsys: pytest.CaptureFixture[str]) -> None:
        status = StatusResponse(regions=[RegionState(name=EAST), RegionState(name=WEST)])
        orders = status.namespaces.add(name="orders")
        orders.replicas.add(region=EAST, state="active")
        orders.replicas.add(region=WEST, state="adding")
        east = orders.regions.add(region=EAST)
        east.record.active_cluster = EAST
        east.fill.peers.append(WEST)
        east.fill.runs_given, east.fill.runs = 12, 30
        text.print_status(status)
        assert re.search(rf"{EAST}\W+active.*\n.*{WEST}\W+adding, 12 of 30\W", capsys.readouterr().out)

    def test_json(self, shell: Shell, cloud: BlockingCloud) -> None:
        cloud.link(EAST, WEST).delay(0.5, name="slow")
        status = shell.json("status")
        assert status["regions"] == [
            {"name": region, "address": cloud.region(region).address, "up": True, "conditions": []}
            for region in (EAST, WEST)
        ]
        assert status["control_up"] is True
        assert (status["cloud_ops"], status["http"]) == (cloud.cloud_ops, cloud.http)
        (namespace,) = status["namespaces"]
        assert namespace["name"] == "default"
        assert namespace["active_region"] == EAST
        assert [view["region"] for view in namespace["regions"]] == [EAST, WEST]
        assert [fault["name"] for fault in status["faults"]] == ["slow"]

    def test_a_cloud_that_is_not_there(self) -> None:
        result = CliRunner().invoke(main, ["status", "-o", "json"], env={"MOCKCLOUD": "127.0.0.1:1"})
        assert result.exit_code == 1
        assert result.stdout == ""
        assert "no cloud answers at 127.0.0.1:1" in result.stderr
        result = CliRunner().invoke(main, ["status", "--cloud", "nowhere.invalid:7243"])
        assert (result.exit_code, result.stdout) == (1, "")
        assert "no cloud answers at nowhere.invalid:7243" in result.stderr

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("status", "--cloud", "localhost"), "not HOST:PORT: 'localhost'"),
            (("status", "--cloud", ""), "not HOST:PORT: ''"),
            (("status", "--cloud", "http://127.0.0.1:8233"), "not HOST:PORT: 'http://127.0.0.1:8233'"),
            (("status", "--api-key", "a b"), "an API key has no blanks"),
            (("operations", "--limit", "0"), "0 is not in the range"),
            (("namespace", "create", "x", "--retention-days", "99999999999"), "is not in the range"),
        ],
    )
    def test_options_that_make_no_sense(self, words: tuple[str, ...], message: str) -> None:
        result = CliRunner().invoke(main, words, terminal_width=200)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr


class TestEvents:
    def test_what_has_happened(self, shell: Shell, cloud: BlockingCloud) -> None:
        cloud.link(EAST, WEST).delay(0.01, name="slow").remove()
        cloud.namespace("default").failover(WEST)
        cloud.region(EAST).kill()
        lines = [
            line[24:].strip() for line in re.sub(r"(?m)^\S+", " " * 24, shell.text("events")).splitlines()
        ]
        for line in (
            f"namespace     default: active in {EAST}, version 1",
            "audit         CreateNamespaceAPI by mockcloud: OK",
            f"operation     CreateNamespace of default {EAST}: FULFILLED",
        ):
            assert line in lines[:-10]
        assert f"fault         added slow: delay {EAST} ↔ {WEST}" in lines
        ended = f"operation     FailoverNamespaceRegion of default {WEST}: FULFILLED graceful"
        told = f"notification  Failover of namespace default to {WEST} has completed: kept"
        assert lines[-3:] == [ended, told, f"region        {EAST} killed"]
        values = [json.loads(line) for line in shell.text("events", "-o", "json").splitlines()]
        assert len(values) == len(lines)
        assert values[-1] | {"id": "", "time": ""} == {
            "id": "",
            "time": "",
            "kind": "region",
            "region": EAST,
            "state": "killed",
        }


class TestNotifications:
    def test_a_failover(self, shell: Shell, cloud: BlockingCloud) -> None:
        assert shell.text("notifications") == ""
        cloud.namespace("default").failover(WEST)
        (notification,) = shell.json("notifications")
        assert moment(notification["time"]) < datetime.now(UTC)
        assert notification["sent_time"] is None
        assert notification["subject"] == f"Failover of namespace default to {WEST} has completed"
        assert (notification["delivery"], notification["recipients"]) == ("kept", [])
        assert shell.text("notifications").endswith(f"  {notification['subject']}: kept\n")


class TestLag:
    def test_both_directions(self, shell: Shell, cloud: BlockingCloud) -> None:
        cloud.namespace("default").replicated()
        cloud.link(EAST, WEST).partition()
        start_workflow(cloud, "w1")
        rows = shell.json("lag", "default")
        assert {(row["source"], row["target"]) for row in rows} == {(EAST, WEST), (WEST, EAST)}
        (behind,) = (row for row in rows if row["source"] == EAST)
        assert behind["namespace"] == "default"
        assert behind["tasks"] == 1
        assert behind["age"] > 0
        assert set(behind) == {"namespace", "source", "target", "tasks", "age", "p50", "p95", "p99"}

        cloud.link(EAST, WEST).heal()
        cloud.namespace("default").replicated()
        assert [row["tasks"] for row in shell.json("lag")] == [0, 0]
        assert re.search(rf"default\W+{EAST}\W+{WEST}\W+0\W+0\.0 ms", shell.text("lag"))

    def test_an_unknown_namespace(self, shell: Shell) -> None:
        assert "nothing" in shell.error("lag", "nothing")

    def test_a_deleted_namespace_is_told_for_as_long_as_it_replicates(
        self, shell: Shell, cloud: BlockingCloud
    ) -> None:
        cloud.create_namespace("orders")
        cut = cloud.link(EAST, WEST).partition()
        start_workflow(cloud, "w1", "orders")
        cloud.delete_namespace("orders")

        def names() -> list[str]:
            return [row["namespace"] for row in shell.json("lag")]

        assert [re.sub("-deleted-.*", "-deleted", name) for name in names() if name != "default"] == [
            "orders-deleted"
        ]
        cut.remove()
        until(lambda: names() == ["default", "default"])

    def test_of_a_namespace_that_is_not_everywhere(self, shell: Shell, cloud: BlockingCloud) -> None:
        cloud.create_namespace("orders", [WEST])
        assert shell.json("lag", "orders") == []
        assert cloud.namespace("orders").lag() == []
        cloud.namespace("default").delete_region(WEST)
        assert shell.json("lag", "default") == []


class TestNamespaces:
    def test_made_given_a_region_and_deleted(self, shell: Shell, cloud: BlockingCloud) -> None:
        endpoint = shell.text("namespace", "create", "orders", "--region", EAST).strip()
        assert endpoint == cloud.namespace("orders").endpoint
        assert re.search(rf"AddNamespaceRegion\W+orders\W+{WEST}\W+FULFILLED", shell.text(*_ADD))
        assert shell.json("failover", "orders", WEST)["state"] == "FULFILLED"
        deleted = shell.json("namespace", "delete-region", "orders", EAST)
        assert (deleted["kind"], deleted["state"], deleted["who"]) == (
            "DeleteNamespaceRegion",
            "FULFILLED",
            "mockcloud",
        )
        assert shell.json("namespace", "delete", "orders")["state"] == "FULFILLED"
        assert [entry.name for entry in cloud.status().namespaces] == ["default"]

        listed = shell.json("operations")
        assert [each["kind"] for each in listed] == [
            "DeleteNamespace",
            "DeleteNamespaceRegion",
            "FailoverNamespaceRegion",
            "AddNamespaceRegion",
            "CreateNamespace",
            "CreateNamespace",
        ]
        assert [each.kind for each in cloud.operations()] == [each["kind"] for each in listed]
        assert len(shell.json("operations", "default")) == 1
        assert [each["kind"] for each in shell.json("operations", "orders")] == [
            each["kind"] for each in listed[:-1]
        ], "a deleted one is known by them"
        assert "DeleteNamespace of orders: FULFILLED\n" in shell.text("events")
        assert len(shell.json("operations", "--limit", "2")) == 2

    def test_a_name_and_a_retention_that_the_cloud_would_refuse(
        self, shell: Shell, cloud: BlockingCloud
    ) -> None:
        shell.text("namespace", "create", "My_Orders", "--retention-days", "365")
        assert shell.json("failover", "My_Orders", WEST)["state"] == "FULFILLED"
        spec = {"name": "Other_Orders", "regions": [EAST], "retentionDays": 365}
        answer = httpx.post(f"{cloud.http}/cloud/namespaces", json={"spec": spec})
        assert answer.status_code == 400
        assert "invalid namespace name 'Other_Orders'" in answer.json()["message"]

    def test_refused(self, shell: Shell) -> None:
        assert "exists" in shell.error("namespace", "create", "default")
        assert "is active" in shell.error("namespace", "delete-region", "default", EAST)
        assert "is in region" in shell.error("namespace", "add-region", "default", WEST)
        assert "nobody" in shell.error("namespace", "delete", "nobody")
        assert "nobody" in shell.error("operations", "nobody")


_ADD = ("namespace", "add-region", "orders", WEST)


class TestFailover:
    def test_graceful_as_text_and_back_forced_as_json(self, shell: Shell, cloud: BlockingCloud) -> None:
        line = shell.text("failover", "default", WEST)
        assert re.fullmatch(rf"FULFILLED default to {WEST}, graceful, \d+\.\d{{3}} s\n", line)
        assert cloud.status().namespaces[0].active_region == WEST

        operation = shell.json("failover", "default", EAST, "--forced")
        assert {key: operation[key] for key in ("namespace", "region", "state", "mode", "who")} == {
            "namespace": "default",
            "region": EAST,
            "state": "FULFILLED",
            "mode": "forced",
            "who": "mockcloud failover",
        }
        assert cloud.status().namespaces[0].active_region == EAST

    def test_as_temporal_would(self, shell: Shell, cloud: BlockingCloud) -> None:
        assert shell.json("failover", "default", WEST, "--by", "temporal")["mode"] == "graceful"

    def test_to_the_region_that_is_active(self, shell: Shell) -> None:
        assert shell.json("failover", "default", EAST)["mode"] == "none"
        assert f"FULFILLED default to {EAST}, active there already, " in shell.text(
            "failover", "default", EAST
        )

    def test_while_another_one_runs_to_the_same_region(
        self, shell: Shell, cloud: BlockingCloud, mockcloud: MockCloud
    ) -> None:
        cut = cloud.link(EAST, WEST).partition()
        request = FailoverRequest(namespace="default", region=WEST, no_wait=True)
        first = mockcloud.wait(mockcloud.cloud.failover_message(request))
        command = [sys.executable, "-m", "mockcloud", "failover", "default", WEST, "--forced"]
        with subprocess.Popen(
            [*command, "--cloud", cloud.cloud_ops], stdout=subprocess.PIPE, text=True
        ) as second:
            until(lambda: shell.json("operations")[0]["step"] == "following")
            assert f"{WEST}: following failover {first.id}\n" in shell.text("events")
            assert f"default is being failed over to {WEST}: " in shell.text("status")
            cut.remove()
            line, _ = second.communicate(timeout=10)
        by = f"by failover {first.id} that ran already"
        assert re.fullmatch(rf"FULFILLED default to {WEST}, {by}, \d+\.\d{{3}} s\n", line)
        last, before = shell.json("namespace", "failovers", "default")
        assert (last["mode"], last["after_id"], before["id"]) == ("none", first.id, first.id)
        assert re.search(rf"{WEST}\W+joined another\W", shell.text("namespace", "failovers", "default"))

    @pytest.mark.parametrize(
        ("namespace", "region", "words"),
        [
            ("nothing", WEST, "nothing"),
            ("default", "aws-nowhere-1", "aws-nowhere-1"),
        ],
    )
    def test_what_cannot_be(self, shell: Shell, namespace: str, region: str, words: str) -> None:
        assert words in shell.error("failover", namespace, region)

    def test_one_that_takes_longer_than_the_command_waits(
        self, shell: Shell, cloud: BlockingCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mockcloud.cli.client.TIMEOUT_SECONDS", 0.5)
        cloud.link(EAST, WEST).partition()
        assert "no answer within 0.5 s; what was asked for goes on" in shell.error(
            "failover", "default", WEST
        )
        assert [each["state"] for each in shell.json("namespace", "failovers", "default")] == ["IN_PROGRESS"]

    def test_while_the_control_plane_is_down(self, shell: Shell) -> None:
        shell.text("control", "kill")
        assert "the control plane is down" in shell.error("failover", "default", WEST)


class TestFailovers:
    def test_by_whom_and_how(self, shell: Shell, cloud: BlockingCloud) -> None:
        shell.text("failover", "default", WEST)
        shell.text("failover", "default", EAST, "--forced", "--by", "temporal")
        last, first = shell.json("namespace", "failovers", "default")
        assert (first["trigger"], first["source"], first["region"], first["mode"]) == (
            "user",
            EAST,
            WEST,
            "graceful",
        )
        assert (last["trigger"], last["mode"], last["failback_region"]) == ("temporal", "forced", WEST)
        assert last["unreplicated"]["events"] == 0
        assert moment(first["started_time"]) < moment(first["finished_time"]) < moment(last["started_time"])
        text = shell.text("namespace", "failovers", "default")
        assert re.search(
            rf"temporal\W+mockcloud failover\W+{WEST}\W+{EAST}\W+forced\W+[\d.]+\W+0 events", text
        )
        assert re.search(rf"user\W+mockcloud failover\W+{EAST}\W+{WEST}\W+graceful", text)

    def test_of_a_namespace_that_is_not_there(self, shell: Shell) -> None:
        assert "nowhere" in shell.error("namespace", "failovers", "nowhere")


class TestFaults:
    def test_add_list_remove_and_reset(self, shell: Shell, cloud: BlockingCloud) -> None:
        assert shell.text("fault", "add", "partition", EAST, WEST) == "partition-1\n"
        added = shell.json(
            "fault", "add", "drop", EAST, WEST, "--one-way", "--probability", "0.25", "--name", "lossy"
        )
        assert added == {
            "name": "lossy",
            "kind": "drop",
            "source": EAST,
            "target": WEST,
            "one_way": True,
            "seconds": 0.0,
            "probability": 0.25,
        }
        shell.text("fault", "add", "delay", WEST, EAST, "--seconds", "1.5")

        assert shell.text("fault", "list").splitlines() == [
            f"partition-1: partition {EAST} ↔ {WEST}",
            f"lossy: drop {EAST} → {WEST}, probability 0.25",
            f"delay-2: delay {WEST} ↔ {EAST}, 1.5 s",
        ]
        assert [fault["name"] for fault in shell.json("fault", "list")] == [
            "partition-1",
            "lossy",
            "delay-2",
        ]
        assert [fault.name for fault in cloud.faults()] == ["partition-1", "lossy", "delay-2"]

        assert shell.text("fault", "remove", "lossy") == ""
        assert shell.json("fault", "remove", "delay-2") == {"removed": ["delay-2"]}
        assert shell.json("fault", "reset") == {"removed": ["partition-1"]}
        assert shell.text("fault", "reset") == ""
        assert shell.json("fault", "list") == []
        assert cloud.faults() == []

    def test_it_is_in_force_when_the_command_ends(self, shell: Shell, cloud: BlockingCloud) -> None:
        cloud.namespace("default").replicated()
        shell.text("fault", "add", "partition", EAST, WEST)
        start_workflow(cloud, "w1")
        history = cloud.namespace("default").history("w1")
        assert (len(history[EAST]), len(history[WEST])) == (1, 0)
        shell.text("fault", "reset")
        cloud.namespace("default").replicated()
        assert len(cloud.namespace("default").history("w1")[WEST]) == 1

    def test_what_a_region_works_with(self, shell: Shell, cloud: BlockingCloud) -> None:
        shell.text("fault", "add", "delay", "frontend", EAST, "--seconds", "0.05")
        shell.text("fault", "add", "drop", "database", WEST, "--probability", "0.5")
        assert shell.text("fault", "list").splitlines() == [
            f"delay-1: delay frontend ↔ {EAST}, 0.05 s",
            f"drop-2: drop database ↔ {WEST}, probability 0.5",
        ]
        begin = time.monotonic()
        start_workflow(cloud, "w")
        assert time.monotonic() - begin >= 0.05

    def test_the_ways_of_clients_and_of_the_control_plane(self, shell: Shell, cloud: BlockingCloud) -> None:
        assert shell.text("fault", "add", "partition", "clients", EAST) == "partition-1\n"
        with pytest.raises(RuntimeError, match="connect"):
            asyncio.run(Client.connect(cloud.region(EAST).address))
        shell.text("fault", "add", "delay", "clients", "default", "--seconds", "0.01")
        asyncio.run(Client.connect(cloud.namespace("default").endpoint))
        shell.text("fault", "add", "partition", "control", WEST)
        assert f"link control → {WEST} is cut" in shell.error("failover", "default", WEST)
        assert shell.text("fault", "list").splitlines() == [
            f"partition-1: partition clients ↔ {EAST}",
            "delay-2: delay clients ↔ default, 0.01 s",
            f"partition-3: partition control ↔ {WEST}",
        ]
        shell.text("fault", "reset")
        asyncio.run(Client.connect(cloud.region(EAST).address))

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("remove", "nothing"), "no fault is named nothing"),
            (("add", "drop", "clients", EAST), "a client's connection is a stream of bytes"),
            (("add", "reorder", "frontend", EAST), "a call is answered, late, not at all or with an error"),
            (("add", "pause", "database", EAST), "a transaction is committed, late, or fails"),
            (("add", "partition", "database", EAST, "--one-way"), "the database of a region has no two ways"),
            (("add", "partition", "clients", "orders"), "region or namespace 'orders' does not exist"),
            (("add", "partition", EAST, "aws-nowhere-1"), "region 'aws-nowhere-1' does not exist"),
            (("add", "partition", EAST, EAST), "a link has two regions"),
            (("add", "delay", EAST, WEST), "a delay has seconds"),
        ],
    )
    def test_what_makes_no_sense(self, shell: Shell, words: tuple[str, ...], message: str) -> None:
        assert message in shell.error("fault", *words)

    def test_an_unknown_kind_is_a_matter_of_usage(self, shell: Shell) -> None:
        result = shell.run("fault", "add", "earthquake", EAST, WEST)
        assert result.exit_code == 2
        assert "'earthquake' is not one of" in result.stderr


class TestRegion:
    def test_kill_and_start(self, shell: Shell, cloud: BlockingCloud) -> None:
        assert shell.text("region", "kill", EAST) == ""
        assert re.search(rf"{EAST}\W+{re.escape(cloud.region(EAST).address)}\W+down", shell.text("status"))
        assert f"region {EAST} is down already" in shell.error("region", "kill", EAST)
        assert shell.json("region", "start", EAST) == {"region": EAST, "up": True}
        assert f"region {EAST} is up already" in shell.error("region", "start", EAST)
        assert shell.json("region", "kill", WEST) == {"region": WEST, "up": False}
        assert shell.text("region", "start", WEST) == ""
        assert all(region.up for region in cloud.status().regions)
        start_workflow(cloud, "w1")

    def test_an_unknown_region(self, shell: Shell) -> None:
        for verb in ("kill", "start"):
            assert "'aws-nowhere-1' does not exist" in shell.error("region", verb, "aws-nowhere-1")


class TestControl:
    def test_kill_and_start(self, shell: Shell, cloud: BlockingCloud) -> None:
        assert shell.json("control", "kill") == {"control": "down"}
        assert "control plane: down" in shell.text("status")
        assert shell.json("status")["control_up"] is False
        assert "the control plane is down already" in shell.error("control", "kill")
        assert shell.text("control", "start") == ""
        assert "the control plane is up already" in shell.error("control", "start")
        assert shell.text("control", "kill") == ""
        assert shell.json("control", "start") == {"control": "up"}
        assert cloud.namespace("default").failover(WEST).state == "FULFILLED"


class TestHistory:
    def test_text_and_json(self, shell: Shell, cloud: BlockingCloud) -> None:
        start_workflow(cloud, "w1")
        cloud.namespace("default").replicated()
        (run,) = cloud.namespace("default").history("w1")[EAST]
        text = shell.text("history", "default", "w1")
        for region in (EAST, WEST):
            assert f"{region}: run {run.run_id} (running, current)" in text
        assert "current 2@v1" in text
        assert text.count("v1 workflow execution started") == 2

        values = shell.json("history", "default", "w1")
        assert set(values) == {EAST, WEST}
        assert values[EAST] == values[WEST]
        (shown,) = values[EAST]
        assert (shown["run_id"], shown["status"], shown["current"]) == (run.run_id, "running", True)
        (branch,) = shown["branches"]
        assert branch["items"] == [[2, 1]]
        assert [event["eventType"] for event in branch["events"]] == [
            "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
            "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED",
        ]

    def test_names_are_printed_as_they_are(self, shell: Shell, cloud: BlockingCloud) -> None:
        start_workflow(cloud, "w1")
        name = "[bold]no markup[/] :smile:"

        async def signal() -> None:
            client = await Client.connect(cloud.namespace("default").endpoint)
            await client.get_workflow_handle("w1").signal(name)

        asyncio.run(signal())
        assert name in shell.text("history", "default", "w1")

    def test_of_nothing(self, shell: Shell) -> None:
        for output in ("text", "json"):
            line = shell.error("history", "default", "nothing", "-o", output)
            assert line == "Error: no region knows a workflow 'nothing'"

    def test_of_an_unknown_namespace(self, shell: Shell) -> None:
        assert "Namespace nothing is not found" in shell.error("history", "nothing", "w1")


class TestDeadLetters:
    @pytest.fixture
    def letter(self, mockcloud: MockCloud) -> int:
        """A task that the west could not apply; its id there."""
        return mockcloud.wait(put_letter(mockcloud))

    def test_none(self, shell: Shell) -> None:
        assert shell.text("dlq", "list") == ""
        assert shell.json("dlq", "list", "default") == []
        assert "1" in shell.error("dlq", "show", WEST, "1")

    def test_list_and_show(self, shell: Shell, letter: int) -> None:
        line = f"{WEST} {letter}: default/w1/r1: it makes no sense\n"
        assert shell.text("dlq", "list") == line
        (listed,) = shell.json("dlq", "list", "default")
        assert (listed["region"], listed["workflow_id"], listed["reason"]) == (
            WEST,
            "w1",
            "it makes no sense",
        )
        text = shell.text("dlq", "show", WEST, str(letter))
        assert text.startswith(line)
        assert 'workflow_id: "w1"' in text
        shown = shell.json("dlq", "show", WEST, str(letter))
        assert shown["task"]["history"]["workflow_id"] == "w1"
        assert shell.json("status")["namespaces"][0]["regions"][1]["dead_letters"] == 1

    def test_what_is_about_no_run_is_named(self, shell: Shell, mockcloud: MockCloud) -> None:
        task = ReplicationTask(position=5)
        task.namespace_record.name = "default"
        number = mockcloud.wait(put_letter(mockcloud, task))
        assert (
            shell.text("dlq", "list") == f"{WEST} {number}: namespace record of default: it makes no sense\n"
        )

    def test_replay_what_still_fails(self, shell: Shell, letter: int) -> None:
        result = shell.run("dlq", "replay", WEST)
        assert result.exit_code == 1
        assert result.stdout.startswith("0 applied, 1 failed\n")
        assert "a batch without events or version history" in result.stdout
        (listed,) = shell.json("dlq", "list")
        assert (listed["id"], listed["attempts"]) == (letter, 9)
        assert moment(listed["failed_at"]) > moment("2020-01-01T00:00:00Z")
        assert "a batch without events" in listed["reason"]

    def test_replay_after_repair(self, shell: Shell, letter: int, mockcloud: MockCloud) -> None:
        mockcloud.wait(repair(mockcloud, letter))
        assert shell.json("dlq", "replay", WEST, str(letter)) == {"applied": [letter], "failed": []}
        assert shell.json("dlq", "list") == []
        assert len(shell.json("history", "default", "w1")[WEST]) == 1

    def test_purge(self, shell: Shell, letter: int) -> None:
        assert shell.text("dlq", "purge", WEST, str(letter)) == "1 purged\n"
        assert shell.text("dlq", "list") == ""
        assert "has no dead letter" in shell.error("dlq", "purge", WEST, str(letter))
        assert shell.json("dlq", "purge", WEST) == {"purged": []}


async def repair(mockcloud: MockCloud, letter: int) -> None:
    """Put a whole batch into a dead letter."""
    started = HistoryEvent(event_id=1, version=1, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
    started.workflow_execution_started_event_attributes.workflow_type.name = "any"
    task = ReplicationTask(position=7)
    task.history.workflow_id = "w1"
    task.history.run_id = "r1"
    task.history.items.add(event_id=1, version=1)
    task.history.events = History(events=[started]).SerializeToString()
    await mockcloud.cloud.node(WEST).region.store.transact(
        lambda c: c.execute(
            "UPDATE dead_letters SET task = ? WHERE message_id = ?", (task.SerializeToString(), letter)
        )
    )


async def put_letter(mockcloud: MockCloud, task: ReplicationTask | None = None) -> int:
    """Bury `task`, by default one of a run; the dead letter's id."""
    region = mockcloud.cloud.node(WEST).region
    namespace_id = region.namespaces.by_name("default").id
    if task is None:
        task = ReplicationTask(position=7)
        task.history.workflow_id = "w1"
        task.history.run_id = "r1"
    letter = dead_letters.DeadLetter(
        message_id=0,
        namespace_id=namespace_id,
        workflow_id=task.history.workflow_id,
        run_id=task.history.run_id,
        source=EAST,
        position=task.position,
        failed_at=1,
        attempts=8,
        reason="it makes no sense",
        task=task.SerializeToString(),
    )

    def put(connection: sqlite3.Connection) -> int:
        dead_letters.put_dead_letter(connection, letter)
        (stored,) = dead_letters.list_dead_letters(connection, namespace_id)
        return stored.message_id

    return await region.store.transact(put)


def test_the_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert re.fullmatch(r"\S+, version \d+\.\d+\.\d+\n", result.stdout)


@pytest.mark.parametrize(
    ("conditions", "words"), [([], "healthy"), (["slow calls", "failing calls"], "slow calls, failing calls")]
)
def test_a_regions_health_in_words(conditions: list[str], words: str) -> None:
    data = json.dumps({"region": EAST, "conditions": conditions})
    assert events.line(TimelineEvent(kind="health", data=data)).endswith(f"health        {EAST} {words}")
