"""Old and new fields, by the version of the API that a caller says it speaks."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    CreateUserRequest,
    CreateUserResponse,
    GetNamespaceRequest,
    GetNamespaceResponse,
    GetNamespacesRequest,
    GetUserRequest,
    GetUserResponse,
)
from temporalio.api.cloud.identity.v1 import Access, AccountAccess, NamespaceAccess, UserSpec
from temporalio.api.cloud.resource.v1 import ResourceState

from mockcloud.control import api_versions
from mockcloud.control.api_versions import Version
from tests.control.fakes import ask, shown, world

HEADER = "temporal-cloud-api-version"


@pytest.mark.parametrize(
    ("header", "version"),
    [
        ({}, None),
        ({HEADER: "v0.15.0"}, Version(0, 15, 0)),
        ({HEADER: "2025-07-09-00"}, None),
        ({HEADER: "0.15.0"}, None),
        ({HEADER: "v0.15.0\n"}, None),
    ],
)
def test_what_a_caller_says(header: dict[str, str], version: Version | None) -> None:
    assert api_versions.version_of(header) == version


@pytest.mark.parametrize(
    ("version", "old", "new"),
    [
        ("", True, True),
        ("v0.12.0", True, False),
        ("v0.13.0", True, True),
        ("v0.15.0", True, True),
        ("v0.15.1", False, True),
        ("v1.0.0", False, True),
    ],
)
async def test_regions_end_where_replicas_have_begun(
    tmp_path: Path, version: str, old: bool, new: bool
) -> None:
    async with world(tmp_path) as cloud:
        namespace = await shown(cloud, "orders", {HEADER: version} if version else None)

    assert bool(namespace.region_status) is bool(namespace.spec.regions) is old
    assert bool(namespace.replicas) is bool(namespace.spec.replicas) is new


async def test_states_by_name_are_for_old_callers(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        oldest = await shown(cloud, "orders", {HEADER: "v0.2.0"})
        newest = await shown(cloud, "orders", {HEADER: "v0.19.0"})
        listed = await ask(cloud, GetNamespacesRequest(), {HEADER: "v0.19.0"})
        whole = await ask(cloud, GetNamespaceRequest(namespace="orders"))

    assert (oldest.state_deprecated, oldest.state) == ("active", 0)
    statuses = oldest.region_status.values()
    assert {(status.state_deprecated, status.state) for status in statuses} == {("active", 0), ("passive", 0)}
    assert (newest.state_deprecated, newest.state) == ("", 3)
    assert b"active" not in listed.SerializeToString()
    assert isinstance(whole, GetNamespaceResponse)
    assert (whole.namespace.state_deprecated, whole.namespace.state) == ("active", 3)


@pytest.mark.parametrize(
    ("version", "old", "new"), [("", True, True), ("v0.2.0", True, False), ("v0.4.0", False, True)]
)
async def test_words_and_enums_of_who_may_call(tmp_path: Path, version: str, old: bool, new: bool) -> None:
    """Roles, permissions and states are words for old callers, and what was given by a word is an enum as well."""
    access = Access(
        account_access=AccountAccess(role_deprecated="developer"),
        namespace_accesses={"orders": NamespaceAccess(permission=NamespaceAccess.PERMISSION_WRITE)},
    )
    header = {HEADER: version} if version else {}
    async with world(tmp_path) as cloud:
        made = await ask(cloud, CreateUserRequest(spec=UserSpec(email="ada@example.com", access=access)))
        assert isinstance(made, CreateUserResponse)
        answer = await ask(cloud, GetUserRequest(user_id=made.user_id), header)
        assert isinstance(answer, GetUserResponse)

    user = answer.user
    account, namespace = user.spec.access.account_access, user.spec.access.namespace_accesses["orders.local"]
    words = (user.state_deprecated, account.role_deprecated, namespace.permission_deprecated)
    assert words == (("active", "developer", "write") if old else ("", "", ""))
    enums = (user.state, account.role, namespace.permission)
    active, developer = ResourceState.RESOURCE_STATE_ACTIVE, AccountAccess.ROLE_DEVELOPER
    assert enums == ((active, developer, NamespaceAccess.PERMISSION_WRITE) if new else (0, 0, 0))
