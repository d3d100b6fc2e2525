"""Keys, who has them, and what they open: over the door that both transports pass."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.cloud.cloudservice import v1 as api
from temporalio.api.cloud.identity.v1 import (
    Access,
    AccountAccess,
    ApiKeySpec,
    NamespaceAccess,
    NamespaceScopedAccess,
    ServiceAccountSpec,
    UserSpec,
)
from temporalio.api.cloud.namespace.v1 import NamespaceSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.control import access
from mockcloud.control.access import Identity, Permission, Role
from mockcloud.control.cloud_ops import CLOUD_SERVICE
from mockcloud.control.settings import ControlSettings
from mockcloud.core import times
from mockcloud.core.errors import (
    AlreadyExists,
    Code,
    FailedPrecondition,
    InvalidArgument,
    NamespaceAlreadyExists,
    NamespaceNotFound,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unauthenticated,
)
from mockcloud.rpc.methods import Call
from tests.control.fakes import EAST, WEST, World, raising, world

OWNER_KEY = "the-owners-key"
SETTINGS = ControlSettings(owner_key=OWNER_KEY)
ORDERS = "orders.local"


async def asked(cloud: World, request: Message, key: str | None = OWNER_KEY) -> Any:
    method = request.DESCRIPTOR.name.removesuffix("Request")
    metadata = {} if key is None else {"authorization": f"Bearer {key}"}
    name = f"/{CLOUD_SERVICE.full_name}/{method}"
    raw = await cloud.plane.dispatch(
        Call(CLOUD_SERVICE.full_name, method, name, request.SerializeToString(), metadata)
    )
    return GetMessageClass(CLOUD_SERVICE.methods_by_name[method].output_type).FromString(raw)


def role(value: AccountAccess.Role.ValueType, **permissions: NamespaceAccess.Permission.ValueType) -> Access:
    return Access(
        account_access=AccountAccess(role=value),
        namespace_accesses={
            name: NamespaceAccess(permission=permission) for name, permission in permissions.items()
        },
    )


async def key_for(cloud: World, owner_id: str, days: int = 1, asked_by: str = OWNER_KEY) -> tuple[str, str]:
    """A new key of somebody: its id and itself."""
    expiry = times.timestamp(cloud.clock.now() + days * times.DAY)
    spec = ApiKeySpec(owner_id=owner_id, display_name="key", expiry_time=expiry)
    made = await asked(cloud, api.CreateApiKeyRequest(spec=spec), asked_by)
    return made.key_id, made.token


async def account(cloud: World, name: str, access: Access) -> tuple[str, str]:
    """A new service account: its id and a key."""
    spec = ServiceAccountSpec(name=name, access=access)
    made = await asked(cloud, api.CreateServiceAccountRequest(spec=spec))
    return made.service_account_id, (await key_for(cloud, made.service_account_id))[1]


async def entries(cloud: World, status: str) -> list[tuple[str, str, str]]:
    logs = (await asked(cloud, api.GetAuditLogsRequest())).logs
    return [
        (log.operation, log.principal.name, log.principal.api_key_id) for log in logs if log.status == status
    ]


def contents(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


class TestKeys:
    async def test_without_an_owners_key_nobody_is_asked(self, tmp_path: Path) -> None:
        async with world(tmp_path) as cloud:
            for key in (None, "whatever"):
                answer = await asked(cloud, api.GetCurrentIdentityRequest(), key)
                assert answer.user.spec.access.account_access.role == AccountAccess.ROLE_OWNER

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            (None, "API key is missing: send it as authorization: Bearer KEY"),
            ("Bearer wrong", "API key is invalid"),
            ("Bearer ", "API key is invalid"),
            ("Bearer", "API key is invalid"),
            (OWNER_KEY, "API key is invalid"),
            (f"Basic {OWNER_KEY}", "API key is invalid"),
        ],
    )
    async def test_a_wrong_or_missing_key(self, tmp_path: Path, header: str | None, message: str) -> None:
        async with world(tmp_path, SETTINGS) as cloud:
            request = api.FailoverNamespaceRegionRequest(namespace="orders", region=WEST)
            name = f"/{CLOUD_SERVICE.full_name}/FailoverNamespaceRegion"
            metadata = {} if header is None else {"authorization": header}
            call = Call(
                CLOUD_SERVICE.full_name, name.rpartition("/")[2], name, request.SerializeToString(), metadata
            )
            with pytest.raises(Unauthenticated) as caught:
                await cloud.plane.dispatch(call)
            assert caught.value.message == message
            assert cloud.journal == [], "nothing was changed"
            assert await entries(cloud, "ERROR") == [("FailoverNamespace", "unknown", "")]

    async def test_the_owners_key_opens_everything(self, tmp_path: Path) -> None:
        async with world(tmp_path, SETTINGS) as cloud:
            me = await asked(cloud, api.GetCurrentIdentityRequest())
            await asked(cloud, api.FailoverNamespaceRegionRequest(namespace="orders", region=WEST))
            assert me.user.id == "owner"
            (operation,) = await cloud.plane._running.operations.latest("", 1)
            assert operation.who == me.user.spec.email
            assert ("FailoverNamespace", me.user.spec.email, "owner") in await entries(cloud, "OK")

    async def test_a_key_lives_until_it_expires(self, tmp_path: Path) -> None:
        async with world(tmp_path, SETTINGS) as cloud:
            key_id, token = await key_for(cloud, "owner", days=2)
            me = await asked(cloud, api.GetCurrentIdentityRequest(), token)
            assert (me.user.id, me.principal_api_key.id) == ("owner", key_id)
            await cloud.restart()
            await asked(cloud, api.GetRegionsRequest(), token)
            cloud.clock.skip(2 * times.DAY)
            with pytest.raises(Unauthenticated, match="API key has expired"):
                await asked(cloud, api.GetRegionsRequest(), token)
            assert ("GetRegions", "unknown", "") in await entries(cloud, "ERROR")

    async def test_a_key_that_is_disabled_or_deleted_is_closed(self, tmp_path: Path) -> None:
        async with world(tmp_path, SETTINGS) as cloud:
            key_id, token = await key_for(cloud, "owner")
            key = (await asked(cloud, api.GetApiKeyRequest(key_id=key_id))).api_key
            key.spec.disabled = True
            update = api.UpdateApiKeyRequest(
                key_id=key_id, spec=key.spec, resource_version=key.resource_version
            )
            operation = (await asked(cloud, update)).async_operation
            assert operation.state == AsyncOperation.STATE_FULFILLED
            with pytest.raises(Unauthenticated, match="API key is disabled"):
                await asked(cloud, api.GetRegionsRequest(), token)
            with pytest.raises(FailedPrecondition, match="resource version mismatch"):
                await asked(cloud, update)
            await asked(cloud, api.DeleteApiKeyRequest(key_id=key_id, resource_version="2"))
            for _ in range(2):
                with pytest.raises(Unauthenticated, match="API key is invalid"):
                    await asked(cloud, api.GetRegionsRequest(), token)
                await cloud.restart()

    async def test_a_key_is_told_once_and_never_kept(self, tmp_path: Path) -> None:
        async with world(tmp_path, SETTINGS) as cloud:
            expiry = times.timestamp(cloud.clock.now() + times.DAY)
            spec = ApiKeySpec(owner_id="owner", display_name="key", expiry_time=expiry)
            request = api.CreateApiKeyRequest(spec=spec, async_operation_id="op-1")
            first = await asked(cloud, request)
            again = await asked(cloud, request)
            assert (again.key_id, again.token) == (first.key_id, "")
            asking = api.GetAsyncOperationRequest(async_operation_id="op-1")
            operation = (await asked(cloud, asking)).async_operation
            assert operation.operation_type == "CreateApiKey"
            with pytest.raises(AlreadyExists):
                await asked(cloud, api.DeleteApiKeyRequest(key_id=first.key_id, async_operation_id="op-1"))
        assert first.token
        stored = contents(tmp_path)
        assert first.key_id.encode() in stored
        assert first.token.encode() not in stored
        assert OWNER_KEY.encode() not in stored


class TestRoles:
    async def test_who_sees_a_namespace_and_who_may_change_it(self, tmp_path: Path) -> None:
        failover = api.FailoverNamespaceRegionRequest(namespace="orders", region=WEST)
        async with world(tmp_path, SETTINGS) as cloud:
            _, stranger = await account(cloud, "stranger", role(AccountAccess.ROLE_DEVELOPER))
            reading = role(AccountAccess.ROLE_READ, orders=NamespaceAccess.PERMISSION_READ)
            _, reader = await account(cloud, "reader", reading)
            administering = role(AccountAccess.ROLE_READ, **{ORDERS: NamespaceAccess.PERMISSION_ADMIN})
            _, administrator = await account(cloud, "administrator", administering)

            for request in (api.GetNamespaceRequest(namespace="orders"), failover):
                with pytest.raises(NamespaceNotFound) as hidden:
                    await asked(cloud, request, stranger)
                none = copy.deepcopy(request)
                none.namespace = "none"
                with pytest.raises(NamespaceNotFound) as missing:
                    await asked(cloud, none, stranger)
                assert hidden.value.message.replace("orders", "none") == missing.value.message
            assert list((await asked(cloud, api.GetNamespacesRequest(), stranger)).namespaces) == []

            shown = (await asked(cloud, api.GetNamespacesRequest(), reader)).namespaces
            assert [each.namespace for each in shown] == [ORDERS]
            with pytest.raises(PermissionDenied, match=r"Request unauthorized\."):
                await asked(cloud, failover, reader)
            assert cloud.journal == []

            operation = (await asked(cloud, failover, administrator)).async_operation
            asking = api.GetAsyncOperationRequest(async_operation_id=operation.id)
            assert (await asked(cloud, asking, reader)).async_operation.id == operation.id
            with pytest.raises(NotFound, match=f"async operation {operation.id} not found"):
                await asked(cloud, asking, stranger)
            with pytest.raises(PermissionDenied):
                await asked(cloud, api.GetAuditLogsRequest(), administrator)
            refused = await entries(cloud, "ERROR")
            assert ("FailoverNamespace", "stranger") in {entry[:2] for entry in refused}
            assert ("GetAuditLogs", "administrator") in {entry[:2] for entry in refused}

    async def test_a_developer_administers_what_they_made(self, tmp_path: Path) -> None:
        spec = NamespaceSpec(name="billing", regions=[EAST, WEST], retention_days=3)
        async with world(tmp_path, SETTINGS) as cloud:
            account_id, developer = await account(cloud, "developer", role(AccountAccess.ROLE_DEVELOPER))
            _, reader = await account(cloud, "reader", role(AccountAccess.ROLE_READ))
            with pytest.raises(PermissionDenied):
                await asked(cloud, api.CreateNamespaceRequest(spec=spec), reader)
            tagged = api.CreateNamespaceRequest(spec=spec, tags={"team": "payments"})
            with pytest.raises(PermissionDenied):
                await asked(cloud, tagged, developer)
            creation = api.CreateNamespaceRequest(spec=spec, async_operation_id="made")
            await asked(cloud, creation, developer)
            for _ in range(2):
                found = await asked(cloud, api.GetServiceAccountRequest(service_account_id=account_id))
                accesses = found.service_account.spec.access.namespace_accesses
                assert accesses["billing.local"].permission == NamespaceAccess.PERMISSION_ADMIN
                await cloud.restart()

            revoked = api.SetServiceAccountNamespaceAccessRequest(
                namespace="billing", service_account_id=account_id, resource_version="1"
            )
            with pytest.raises(FailedPrecondition, match="resource version mismatch"):
                await asked(cloud, revoked)
            revoked.resource_version = "2"
            await asked(cloud, revoked)
            await asked(cloud, creation, developer)
            with pytest.raises(NamespaceNotFound):
                await asked(cloud, api.GetNamespaceRequest(namespace="billing"), developer)

    async def test_everybody_has_their_own_keys(self, tmp_path: Path) -> None:
        async with world(tmp_path, SETTINGS) as cloud:
            mine, me = await account(cloud, "me", role(AccountAccess.ROLE_READ))
            theirs, _ = await account(cloud, "they", role(AccountAccess.ROLE_READ))
            _, another = await key_for(cloud, mine, asked_by=me)
            keys = (await asked(cloud, api.GetApiKeysRequest(), another)).api_keys
            assert {key.spec.owner_id for key in keys} == {mine}
            assert len(keys) == 2
            every = (await asked(cloud, api.GetApiKeysRequest())).api_keys
            (other,) = [key for key in every if key.spec.owner_id == theirs]
            for old, count in (("service-account", 3), ("user", 0)):
                typed = api.GetApiKeysRequest(owner_type_deprecated=old)
                assert len((await asked(cloud, typed)).api_keys) == count
            with pytest.raises(NotFound):
                await asked(cloud, api.GetApiKeyRequest(key_id=other.id), me)
            with pytest.raises(NotFound):
                await asked(cloud, api.DeleteApiKeyRequest(key_id=other.id, resource_version="1"), me)
            with pytest.raises(PermissionDenied):
                await key_for(cloud, theirs, asked_by=me)

    async def test_an_account_of_one_namespace(self, tmp_path: Path) -> None:
        async with world(tmp_path, SETTINGS) as cloud:
            await cloud.plane.tools.create_namespace(admin.CreateNamespaceRequest(name="billing"))
            scoped = NamespaceScopedAccess(
                namespace="orders", access=NamespaceAccess(permission_deprecated="write")
            )
            spec = ServiceAccountSpec(name="one", namespace_scoped_access=scoped)
            made = await asked(cloud, api.CreateServiceAccountRequest(spec=spec))
            _, key = await key_for(cloud, made.service_account_id)
            shown = (await asked(cloud, api.GetNamespacesRequest(), key)).namespaces
            assert [each.namespace for each in shown] == [ORDERS]
            spec.namespace_scoped_access.namespace = "billing"
            moved = api.UpdateServiceAccountRequest(
                service_account_id=made.service_account_id, spec=spec, resource_version="1"
            )
            with pytest.raises(InvalidArgument, match="cannot be changed"):
                await asked(cloud, moved)

    async def test_with_a_namespace_go_the_permissions_for_it(self, tmp_path: Path) -> None:
        async with world(tmp_path, SETTINGS) as cloud:
            await cloud.plane.tools.create_namespace(admin.CreateNamespaceRequest(name="billing"))
            reading = NamespaceAccess.PERMISSION_READ
            access = role(AccountAccess.ROLE_READ, orders=reading, billing=reading)
            spec = UserSpec(email="ada@example.com", access=access)
            user_id = (await asked(cloud, api.CreateUserRequest(spec=spec))).user_id
            _, key = await account(cloud, "reader", access)

            administering = role(AccountAccess.ROLE_READ, orders=NamespaceAccess.PERMISSION_ADMIN)
            _, administrator = await account(cloud, "administrator", administering)

            version = (
                await asked(cloud, api.GetNamespaceRequest(namespace="orders"))
            ).namespace.resource_version
            deletion = api.DeleteNamespaceRequest(namespace="orders", resource_version=version)
            operation = (await asked(cloud, deletion, administrator)).async_operation
            await cloud.plane._running.operations.end_of(operation.id)
            asking = api.GetAsyncOperationRequest(async_operation_id=operation.id)
            ended = (await asked(cloud, asking, administrator)).async_operation
            assert ended.state == AsyncOperation.STATE_FULFILLED
            with pytest.raises(NotFound):
                await asked(cloud, asking, key)
            await cloud.plane.tools.create_namespace(admin.CreateNamespaceRequest(name="orders"))
            await cloud.restart()

            shown = (await asked(cloud, api.GetNamespacesRequest(), key)).namespaces
            assert [each.namespace for each in shown] == ["billing.local"]
            user = (await asked(cloud, api.GetUserRequest(user_id=user_id))).user
            assert set(user.spec.access.namespace_accesses) == {"billing.local"}
            user.spec.access.account_access.role = AccountAccess.ROLE_DEVELOPER
            update = api.UpdateUserRequest(
                user_id=user_id, spec=user.spec, resource_version=user.resource_version
            )
            await asked(cloud, update)

    async def test_a_name_that_was_taken_gives_no_permission(self, tmp_path: Path) -> None:
        spec = NamespaceSpec(name="billing", regions=[EAST, WEST], retention_days=3)
        async with world(tmp_path, SETTINGS) as cloud:
            account_id, developer = await account(cloud, "developer", role(AccountAccess.ROLE_DEVELOPER))
            taken = NamespaceAlreadyExists('Namespace "billing" already exists')
            cloud.east.hooks["create"] = raising(taken)
            made = await asked(cloud, api.CreateNamespaceRequest(spec=spec), developer)
            operation = await cloud.plane._running.operations.end_of(made.async_operation.id)

            assert operation.state == "FAILED"
            found = await asked(cloud, api.GetServiceAccountRequest(service_account_id=account_id))
            assert not found.service_account.spec.access.namespace_accesses

    async def test_who_administers_a_namespace_manages_its_accounts(self, tmp_path: Path) -> None:
        def scoped(namespace: str, name: str = "one") -> ServiceAccountSpec:
            reading = NamespaceAccess(permission=NamespaceAccess.PERMISSION_READ)
            scope = NamespaceScopedAccess(namespace=namespace, access=reading)
            return ServiceAccountSpec(name=name, namespace_scoped_access=scope)

        async with world(tmp_path, SETTINGS) as cloud:
            await cloud.plane.tools.create_namespace(admin.CreateNamespaceRequest(name="billing"))
            administering = role(AccountAccess.ROLE_READ, orders=NamespaceAccess.PERMISSION_ADMIN)
            _, administrator = await account(cloud, "administrator", administering)
            writing = role(AccountAccess.ROLE_READ, orders=NamespaceAccess.PERMISSION_WRITE)
            _, writer = await account(cloud, "writer", writing)
            of_billing = api.CreateServiceAccountRequest(spec=scoped("billing", "other"))
            other = (await asked(cloud, of_billing)).service_account_id

            for spec, key, refusal in (
                (scoped("orders"), writer, PermissionDenied),
                (scoped("billing"), administrator, NamespaceNotFound),
                (ServiceAccountSpec(name="one", access=administering), administrator, PermissionDenied),
            ):
                with pytest.raises(refusal):
                    await asked(cloud, api.CreateServiceAccountRequest(spec=spec), key)
            made = await asked(cloud, api.CreateServiceAccountRequest(spec=scoped("orders")), administrator)
            update = api.UpdateServiceAccountRequest(
                service_account_id=made.service_account_id,
                spec=scoped("orders", "another"),
                resource_version="1",
            )
            deletion = api.DeleteServiceAccountRequest(
                service_account_id=made.service_account_id, resource_version="2"
            )
            for request in (update, deletion):
                with pytest.raises(PermissionDenied):
                    await asked(cloud, request, writer)
                foreign = copy.deepcopy(request)
                foreign.service_account_id, foreign.resource_version = other, "1"
                with pytest.raises(NamespaceNotFound):
                    await asked(cloud, foreign, administrator)
                await asked(cloud, request, administrator)
            await cloud.plane.tools.delete_namespace(admin.DeleteNamespaceRequest(namespace="billing"))
            orphan = api.DeleteServiceAccountRequest(service_account_id=other, resource_version="1")
            with pytest.raises(NamespaceNotFound):
                await asked(cloud, orphan, administrator)
            await asked(cloud, orphan)
            accounts = (await asked(cloud, api.GetServiceAccountsRequest())).service_account
            assert {each.spec.name for each in accounts} == {"administrator", "writer"}

    async def test_users_come_and_go_with_their_keys(self, tmp_path: Path) -> None:
        async with world(tmp_path, SETTINGS) as cloud:
            spec = UserSpec(email="ada@example.com", access=role(AccountAccess.ROLE_ADMIN))
            made = await asked(cloud, api.CreateUserRequest(spec=spec))
            _, key = await key_for(cloud, made.user_id)
            await asked(cloud, api.GetAuditLogsRequest(), key)
            spec.access.account_access.role = AccountAccess.ROLE_READ
            update = api.UpdateUserRequest(user_id=made.user_id, spec=spec, resource_version="1")
            await asked(cloud, update)
            with pytest.raises(PermissionDenied):
                await asked(cloud, api.GetAuditLogsRequest(), key)
            update.resource_version = "2"
            with pytest.raises(InvalidArgument, match="nothing to change"):
                await asked(cloud, update)
            grant = api.SetUserNamespaceAccessRequest(
                namespace="orders",
                user_id=made.user_id,
                access=NamespaceAccess(permission=NamespaceAccess.PERMISSION_READ),
                resource_version="2",
            )
            await asked(cloud, grant)
            await asked(cloud, api.GetNamespaceRequest(namespace="orders"), key)
            assert len((await asked(cloud, api.GetUsersRequest(namespace="orders"))).users) == 1
            grant.resource_version, grant.access.permission = "3", 0  # type: ignore[assignment]
            await asked(cloud, grant)
            with pytest.raises(NamespaceNotFound):
                await asked(cloud, api.GetNamespaceRequest(namespace="orders"), key)
            await asked(cloud, api.DeleteUserRequest(user_id=made.user_id, resource_version="4"))
            with pytest.raises(Unauthenticated):
                await asked(cloud, api.GetCurrentIdentityRequest(), key)
            await cloud.restart()
            assert [user.id for user in (await asked(cloud, api.GetUsersRequest())).users] == ["owner"]
            assert list((await asked(cloud, api.GetApiKeysRequest())).api_keys) == []


def _with_custom_role() -> Access:
    return Access(
        account_access=AccountAccess(role=AccountAccess.ROLE_READ, custom_roles=["auditor"]),
    )


FUTURE = Timestamp(seconds=4_000_000_000)


@pytest.mark.parametrize(
    ("request_message", "kind", "text"),
    [
        (api.CreateUserRequest(), InvalidArgument, "not an e-mail address"),
        (
            api.CreateUserRequest(spec=UserSpec(email="a@b")),
            InvalidArgument,
            "role must be one of owner, admin",
        ),
        (
            api.CreateUserRequest(spec=UserSpec(email="a@b", access=role(AccountAccess.ROLE_READ, none=1))),  # type: ignore[arg-type]
            NamespaceNotFound,
            "none",
        ),
        (api.CreateUserRequest(spec=UserSpec(email="a@b", access=role(77))), InvalidArgument, "role"),  # type: ignore[arg-type]
        (api.UpdateUserRequest(user_id="owner"), InvalidArgument, "resource_version is required"),
        (api.DeleteUserRequest(user_id="owner", resource_version="1"), FailedPrecondition, "owner"),
        (
            api.UpdateUserRequest(
                user_id="owner",
                spec=UserSpec(email="owner@local.invalid", access=role(AccountAccess.ROLE_READ)),
                resource_version="1",
            ),
            FailedPrecondition,
            "the owner of the account keeps that role",
        ),
        (
            api.CreateUserRequest(spec=UserSpec(email="a@b", access=_with_custom_role())),
            InvalidArgument,
            "custom role 'auditor' not found",
        ),
        (api.GetUserRequest(user_id="none"), NotFound, "user 'none' not found"),
        (api.GetUserRequest(), InvalidArgument, "required"),
        (api.CreateServiceAccountRequest(), InvalidArgument, "name must have between"),
        (
            api.CreateServiceAccountRequest(spec=ServiceAccountSpec(name="x")),
            InvalidArgument,
            "either access or",
        ),
        (api.GetServiceAccountRequest(service_account_id="none"), NotFound, "not found"),
        (api.CreateApiKeyRequest(), InvalidArgument, "display_name must have between"),
        (api.CreateApiKeyRequest(spec=ApiKeySpec(display_name="k")), InvalidArgument, "owner '' not found"),
        (
            api.CreateApiKeyRequest(spec=ApiKeySpec(display_name="k", owner_id="owner")),
            InvalidArgument,
            "expiry_time is required",
        ),
        (
            api.CreateApiKeyRequest(
                spec=ApiKeySpec(display_name="k", owner_id="owner", expiry_time=Timestamp(seconds=1))
            ),
            InvalidArgument,
            "in the future",
        ),
        (
            api.CreateApiKeyRequest(
                spec=ApiKeySpec(display_name="k", owner_id="owner", owner_type=2, expiry_time=FUTURE)  # type: ignore[arg-type]
            ),
            InvalidArgument,
            "of another type",
        ),
        (
            api.CreateApiKeyRequest(
                spec=ApiKeySpec(
                    display_name="k",
                    owner_id="owner",
                    owner_type_deprecated="service-account",
                    expiry_time=FUTURE,
                )
            ),
            InvalidArgument,
            "of another type",
        ),
        (api.GetApiKeysRequest(page_size=5000), InvalidArgument, "page size"),
        (api.GetApiKeysRequest(page_token="x"), InvalidArgument, "invalid page token"),
    ],
)
async def test_bad_requests_change_nothing(
    tmp_path: Path, request_message: Message, kind: type[ServiceError], text: str
) -> None:
    async with world(tmp_path, SETTINGS) as cloud:
        with pytest.raises(kind) as caught:
            await asked(cloud, request_message)
        assert text in caught.value.message
        assert [user.id for user in (await asked(cloud, api.GetUsersRequest())).users] == ["owner"]
        assert list((await asked(cloud, api.GetServiceAccountsRequest())).service_account) == []
        assert list((await asked(cloud, api.GetApiKeysRequest())).api_keys) == []


def refusal(check: Callable[[], None]) -> Code | None:
    try:
        check()
    except ServiceError as error:
        return error.code
    return None


METHODS = [method.name for method in CLOUD_SERVICE.methods]


@given(
    method=st.sampled_from(METHODS),
    who=st.sampled_from(list(Role.values())),
    permission=st.sampled_from(list(Permission.values())),
)
def test_a_wider_permission_never_allows_less(method: str, who: int, permission: int) -> None:
    def check(of_permission: int) -> Code | None:
        permissions = {ORDERS: of_permission} if of_permission else {}
        identity = Identity("user", "u", "u", "", who, permissions)
        return refusal(lambda: access.check_call(identity, method, ORDERS, "orders"))

    if permission and check(permission) is None:
        assert all(check(wider) is None for wider in range(1, permission))
    if who in {Role.ROLE_OWNER, Role.ROLE_ADMIN}:
        assert check(permission) is None
    elif not permission:
        assert check(0) is Code.NOT_FOUND, "a namespace that somebody has no permission for is not there"


@given(method=st.sampled_from(METHODS), who=st.sampled_from(list(Role.values())))
def test_only_admins_change_what_is_not_of_a_namespace(method: str, who: int) -> None:
    allowed = refusal(lambda: access.check_call(Identity("user", "u", "u", "", who), method, "", "")) is None
    # Of these some are their own, says who answers: `test_everybody_has_their_own_keys`, `test_who_administers_…`.
    own = {
        f"{verb}{what}" for verb in ("Create", "Update", "Delete") for what in ("ApiKey", "ServiceAccount")
    }
    if allowed and not method.startswith("Get") and method not in own | {"CreateNamespace"}:
        assert who in {Role.ROLE_OWNER, Role.ROLE_ADMIN}
