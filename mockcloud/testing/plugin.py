"""pytest fixtures: `mockcloud`, a fresh two-region cloud per test, and `mockcloud_factory` for everything else.

Nothing but pytest is imported until a fixture is used. The fixtures are plain (not async) ones, so they work in tests
of any loop scope, in blocking tests (`mockcloud.blocking`) and under xdist: each cloud takes free ports.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mockcloud.cloud.facade import MockCloud
    from mockcloud.testing import CloudFactory


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "mockcloud(**options): options of the cloud that the fixture `mockcloud` starts, as of MockCloud(...)",
    )


@pytest.fixture(scope="session")
def mockcloud_factory() -> Iterator[CloudFactory]:
    """Start clouds with any options of `MockCloud`, from tests and from fixtures of any scope.

    A cloud lives until its `stop()`, and at the longest until the session (of the xdist worker) ends: a fixture of a
    narrower scope stops what it has started.
    """
    yield from _clouds()


@pytest.fixture
def mockcloud(request: pytest.FixtureRequest) -> Iterator[MockCloud]:
    """A fresh two-region cloud with the namespace `default`; `@pytest.mark.mockcloud(...)` sets its options."""
    marker = request.node.get_closest_marker("mockcloud")
    options: dict[str, Any] = dict(marker.kwargs) if marker else {}
    clouds = _clouds()
    yield next(clouds)(**options)
    for _ in clouds:
        raise AssertionError("the factory yields once")


def _clouds() -> Iterator[CloudFactory]:
    from mockcloud.cloud.facade import MockCloud

    with contextlib.ExitStack() as started:

        def start(**options: Any) -> MockCloud:
            cloud = MockCloud(**({"namespaces": ["default"]} | options))
            cloud.start()
            started.callback(cloud.stop)  # no error where it has been stopped
            return cloud

        yield start
