"""What a cloud, and a command, starts without: time and memory depend on it."""

from __future__ import annotations

import subprocess
import sys

# Some clouds need them, late or never.
RARE = {
    "email",
    "grpc_reflection.v1alpha._async",
    "hashlib",
    "importlib.metadata",
    "lark",
    "mockcloud.cloud.failover_views",
    "mockcloud.cloud.operation_views",
    "mockcloud.cloud.views",
    "rich",
    "smtplib",
    "starlette",
    "uvicorn",
    "zoneinfo",
}
# Of the SDK a server needs the messages only.
SDK = {
    "temporalio.bridge",
    "temporalio.client",
    "temporalio.common",
    "temporalio.runtime",
    "temporalio.service",
}

_IN_PYTHON = """
import sys
from mockcloud import MockCloud
with MockCloud():
    print(*sys.modules)
"""

_IN_THE_FOREGROUND = """
import sys
from mockcloud.cli import foreground

def settings():
    from mockcloud.cloud.settings import CloudSettings
    return CloudSettings()

async def serving(cloud, stop):
    print(*sys.modules)
    from temporalio.client import Client
    client = await Client.connect(cloud.endpoint("default"))
    print((await client.count_workflows()).count)

foreground.run(settings, serving)
"""

_COMMAND = """
import sys
from mockcloud.cli.main import main
main(sys.argv[1:], standalone_mode=False)
print(*sys.modules)
"""


def lines(program: str, *arguments: str) -> list[set[str]]:
    """The words of each line that a program prints."""
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    assert "event_engine_listener" not in ran.stderr  # where gRPC names a switch that it does not know
    return [set(line.split()) for line in ran.stdout.splitlines()]


def test_a_started_cloud_is_without_what_is_rarely_needed() -> None:
    (modules,) = lines(_IN_PYTHON)
    assert RARE & modules == set()
    assert {name for name in modules if name.startswith("mockcloud.core.sql")} == {"mockcloud.core.sql"}


def test_a_cloud_in_the_foreground_is_without_the_sdk_too_until_that_is_imported() -> None:
    modules, counted = lines(_IN_THE_FOREGROUND)
    assert (RARE | SDK) & modules == set()
    assert counted == {"0"}


def test_a_command_is_without_the_others_and_without_a_cloud() -> None:
    *_, modules = lines(_COMMAND, "up", "--help")
    assert {"importlib.metadata", "google.protobuf", "grpc", "temporalio"} & modules == set()
    assert {"connected", "dead_letters", "inquiries", "namespaces", "outages", "start_dev"} & {
        name.removeprefix("mockcloud.cli.") for name in modules
    } == set()
