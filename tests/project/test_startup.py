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

_STARTED = """
import sys
from mockcloud import MockCloud
with MockCloud():
    print(*sys.modules)
"""

_COMMAND = """
import sys
from mockcloud.cli.main import main
main(sys.argv[1:], standalone_mode=False)
print(*sys.modules)
"""


def loaded(program: str, *arguments: str) -> set[str]:
    """The modules that a program shows in its last line."""
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return set(ran.stdout.splitlines()[-1].split())


def test_a_started_cloud_is_without_what_is_rarely_needed() -> None:
    modules = loaded(_STARTED)
    assert RARE & modules == set()
    assert {name for name in modules if name.startswith("mockcloud.core.sql")} == {"mockcloud.core.sql"}


def test_a_command_is_without_the_others_and_without_a_cloud() -> None:
    modules = loaded(_COMMAND, "up", "--help")
    assert {"importlib.metadata", "google.protobuf", "grpc", "temporalio"} & modules == set()
    assert {"connected", "dead_letters", "inquiries", "namespaces", "outages", "start_dev"} & {
        name.removeprefix("mockcloud.cli.") for name in modules
    } == set()
