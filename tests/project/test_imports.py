"""The layers are the law of the house: imports point downward."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "mockcloud"

# What each layer may use of mockcloud, besides itself and the generated messages in mockcloud.api: layers, or single
# modules of one.
ALLOWED = {
    "api": set[str](),
    "core": set[str](),
    "store": {"core"},
    "engine": {"core", "store"},
    "rpc": {"core"},
    "replication": {"core", "store", "engine", "rpc"},
    "frontend": {"core", "store", "engine", "replication", "rpc"},
    "control": {"core", "rpc", "store.blank", "store.writer"},
    "endpoints": {"core"},
    "coverage": {"core", "frontend", "control"},
}

# Libraries that would bring I/O, a clock or randomness into the rules.
FORBIDDEN_IN_CORE = {
    "asyncio",
    "grpc",
    "sqlite3",
    "aiosqlite",
    "socket",
    "threading",
    "os",
    "structlog",
    "logging",
}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" if module == "mockcloud" else module for alias in node.names)


def _files(layer: str) -> list[Path]:
    return [path for path in (PACKAGE / layer).rglob("*.py") if "_pb2" not in path.name]


@pytest.mark.parametrize("layer", sorted(ALLOWED))
def test_imports_point_downward(layer: str) -> None:
    files = _files(layer)
    assert files, f"layer {layer} has no modules"
    wrong = [
        f"{path.relative_to(PACKAGE)} uses {name}"
        for path in files
        for name in _imports(path)
        if name.split(".")[0] == "mockcloud"
        and not {name.split(".")[1], ".".join(name.split(".")[1:3])} & (ALLOWED[layer] | {layer, "api"})
    ]
    assert not wrong


def test_core_is_pure() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} uses {name}"
        for path in _files("core")
        for name in _imports(path)
        if name.split(".")[0] in FORBIDDEN_IN_CORE
        or (name.split(".")[0] in {"time", "random", "uuid"} and path.name != "ports.py")
    ]
    assert not wrong


def test_the_package_and_the_plugin_stay_light() -> None:
    """Importing mockcloud or its pytest plugin must not import grpc: it costs a quarter of a second."""
    for path in (
        PACKAGE / "__init__.py",
        PACKAGE / "testing" / "plugin.py",
        PACKAGE / "testing" / "__init__.py",
    ):
        tree = ast.parse(path.read_text())
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {
            (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name for node in top
        }
        assert not {name for name in names if name.split(".")[0] in {"grpc", "temporalio", "mockcloud"}}, path
