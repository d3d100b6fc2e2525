"""The part of the Cloud Ops API about who calls it: users, service accounts, API keys.

Each change is an asynchronous operation that has ended when it is accepted. Everybody manages their own keys, admins
all of them; the rest of who may do what is in `control.access`.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Final

from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice import v1 as api
from temporalio.api.cloud.identity.v1 import (
    AccountAccess,
    ApiKey,
    ApiKeySpec,
    OwnerType,
    ServiceAccount,
    ServiceAccountSpec,
    User,
    UserSpec,
)

from mockcloud.control import access, identities
from mockcloud.control.access import Identity
from mockcloud.control.context import Caller, Context
from mockcloud.control.identities import OWNER, Identities
from mockcloud.control.identity_changes import IdentityChanges, check_version, found_record
from mockcloud.control.identity_specs import Specs, check_name
from mockcloud.control.operations import Also, Kind
from mockcloud.control.pages import page_of
from mockcloud.control.served import Handler, serves
from mockcloud.core.errors import FailedPrecondition, InvalidArgument, NotFound

SERVED: Final[dict[str, Handler[IdentityOps]]] = {}
"""Handlers of the methods that are here, by name."""


class IdentityOps:
    """The handlers, over the parts of one control plane."""

    def __init__(self, context: Context, known: Identities, changes: IdentityChanges) -> None:
        self._known: Final = known
        self._specs: Final = Specs(context, known)
        self._changes: Final = changes

    # Who

    @serves(SERVED, api.GetCurrentIdentityRequest)
    async def _current(self, _request: api.GetCurrentIdentityRequest, caller: Caller) -> Message:
        identity = caller.identity
        answer = api.GetCurrentIdentityResponse()
        if identity.id in self._known.users:
            answer.user.CopyFrom(self._known.users[identity.id])
        else:
            answer.service_account.CopyFrom(self._known.service_accounts[identity.id])
        if identity.api_key_id in self._known.keys:
            answer.principal_api_key.CopyFrom(self._known.keys[identity.api_key_id])
        return answer

    # Users

    @serves(SERVED, api.GetUsersRequest)
    async def _get_users(self, request: api.GetUsersRequest, _caller: Caller) -> Message:
        namespace = self._specs.namespace_id(request.namespace) if request.namespace else ""
        found = [
            user
            for user in self._known.users.values()
            if request.email in {"", user.spec.email}
            and (not namespace or namespace in user.spec.access.namespace_accesses)
        ]
        page, token = page_of(found, _id, request.page_size, request.page_token)
        return api.GetUsersResponse(users=page, next_page_token=token)

    @serves(SERVED, api.GetUserRequest)
    async def _get_user(self, request: api.GetUserRequest, _caller: Caller) -> Message:
        return api.GetUserResponse(user=found_record(self._known.users, request.user_id, "user"))

    @serves(SERVED, api.CreateUserRequest)
    async def _create_user(self, request: api.CreateUserRequest, caller: Caller) -> Message:
        def make(user_id: str) -> User:
            spec = self._specs.user(request.spec)
            if any(user.spec.email == spec.email for user in self._known.users.values()):
                raise InvalidArgument(f"there is a user {spec.email} already")
            return self._changes.new(User(id=user_id, spec=spec))

        user_id, operation = await self._changes.create(Kind.CREATE_USER, request, caller, make)
        return api.CreateUserResponse(user_id=user_id, async_operation=operation)

    @serves(SERVED, api.UpdateUserRequest)
    async def _update_user(self, request: api.UpdateUserRequest, caller: Caller) -> Message:
        def change() -> User:
            user = found_record(self._known.users, request.user_id, "user")
            check_version(user.resource_version, request.resource_version)
            spec = self._specs.user(request.spec)
            if spec.email != user.spec.email:
                raise InvalidArgument("the email of a user cannot be changed")
            if user.id == OWNER and spec.access.account_access.role != AccountAccess.ROLE_OWNER:
                raise FailedPrecondition("the owner of the account keeps that role")
            return self._changes.changed(user, User(spec=spec))

        return api.UpdateUserResponse(
            async_operation=await self._changes.update(Kind.UPDATE_USER, request, caller, change)
        )

    @serves(SERVED, api.DeleteUserRequest)
    async def _delete_user(self, request: api.DeleteUserRequest, caller: Caller) -> Message:
        def find() -> User:
            user = found_record(self._known.users, request.user_id, "user")
            check_version(user.resource_version, request.resource_version)
            if user.id == OWNER:
                raise FailedPrecondition("the owner of the account cannot be deleted")
            return user

        return api.DeleteUserResponse(
            async_operation=await self._changes.delete(Kind.DELETE_USER, request, caller, find)
        )

    @serves(SERVED, api.SetUserNamespaceAccessRequest)
    async def _set_user_access(self, request: api.SetUserNamespaceAccessRequest, caller: Caller) -> Message:
        def change() -> User:
            user = found_record(self._known.users, request.user_id, "user")
            check_version(user.resource_version, request.resource_version)
            granted = self._specs.with_namespace(user.spec.access, request.namespace, request.access)
            return self._changes.changed(user, User(spec=UserSpec(email=user.spec.email, access=granted)))

        operation = await self._changes.update(Kind.USER_ACCESS, request, caller, change)
        return api.SetUserNamespaceAccessResponse(async_operation=operation)

    # Service accounts

    @serves(SERVED, api.GetServiceAccountsRequest)
    async def _get_accounts(self, request: api.GetServiceAccountsRequest, _caller: Caller) -> Message:
        accounts = self._known.service_accounts.values()
        page, token = page_of(accounts, _id, request.page_size, request.page_token)
        return api.GetServiceAccountsResponse(service_account=page, next_page_token=token)

    @serves(SERVED, api.GetServiceAccountRequest)
    async def _get_account(self, request: api.GetServiceAccountRequest, _caller: Caller) -> Message:
        found = found_record(self._known.service_accounts, request.service_account_id, "service account")
        return api.GetServiceAccountResponse(service_account=found)

    @serves(SERVED, api.CreateServiceAccountRequest)
    async def _create_account(self, request: api.CreateServiceAccountRequest, caller: Caller) -> Message:
        def make(account_id: str) -> ServiceAccount:
            self._check_managing(caller.identity, request.spec)
            return self._changes.new(
                ServiceAccount(id=account_id, spec=self._specs.service_account(request.spec))
            )

        account_id, operation = await self._changes.create(Kind.CREATE_SERVICE_ACCOUNT, request, caller, make)
        return api.CreateServiceAccountResponse(service_account_id=account_id, async_operation=operation)

    @serves(SERVED, api.UpdateServiceAccountRequest)
    async def _update_account(self, request: api.UpdateServiceAccountRequest, caller: Caller) -> Message:
        def change() -> ServiceAccount:
            account = found_record(
                self._known.service_accounts, request.service_account_id, "service account"
            )
            self._check_managing(caller.identity, account.spec)
            check_version(account.resource_version, request.resource_version)
            spec = self._specs.service_account(request.spec, but=account.id)
            before, after = account.spec.namespace_scoped_access, spec.namespace_scoped_access
            if before.namespace != after.namespace:
                raise InvalidArgument("the namespace of a service account cannot be changed")
            return self._changes.changed(account, ServiceAccount(spec=spec))

        operation = await self._changes.update(Kind.UPDATE_SERVICE_ACCOUNT, request, caller, change)
        return api.UpdateServiceAccountResponse(async_operation=operation)

    @serves(SERVED, api.DeleteServiceAccountRequest)
    async def _delete_account(self, request: api.DeleteServiceAccountRequest, caller: Caller) -> Message:
        def find() -> ServiceAccount:
            account = found_record(
                self._known.service_accounts, request.service_account_id, "service account"
            )
            self._check_managing(caller.identity, account.spec)
            check_version(account.resource_version, request.resource_version)
            return account

        operation = await self._changes.delete(Kind.DELETE_SERVICE_ACCOUNT, request, caller, find)
        return api.DeleteServiceAccountResponse(async_operation=operation)

    @serves(SERVED, api.SetServiceAccountNamespaceAccessRequest)
    async def _set_account_access(
        self, request: api.SetServiceAccountNamespaceAccessRequest, caller: Caller
    ) -> Message:
        def change() -> ServiceAccount:
            account = found_record(
                self._known.service_accounts, request.service_account_id, "service account"
            )
            check_version(account.resource_version, request.resource_version)
            if account.spec.HasField("namespace_scoped_access"):
                raise InvalidArgument("the service account is one of a single namespace")
            spec = ServiceAccountSpec()
            spec.CopyFrom(account.spec)
            spec.access.CopyFrom(self._specs.with_namespace(spec.access, request.namespace, request.access))
            return self._changes.changed(account, ServiceAccount(spec=spec))

        operation = await self._changes.update(Kind.SERVICE_ACCOUNT_ACCESS, request, caller, change)
        return api.SetServiceAccountNamespaceAccessResponse(async_operation=operation)

    def _check_managing(self, identity: Identity, spec: ServiceAccountSpec) -> None:
        """Accounts of one namespace are for who administers that, the others for admins of the account."""
        asked = spec.namespace_scoped_access.namespace
        namespace = self._specs.named(asked) if spec.HasField("namespace_scoped_access") else ""
        access.check_managing(identity, namespace, asked)

    # Keys

    @serves(SERVED, api.GetApiKeysRequest)
    async def _get_keys(self, request: api.GetApiKeysRequest, caller: Caller) -> Message:
        found = [
            key
            for key in self._known.keys.values()
            if request.owner_id in {"", key.spec.owner_id}
            and request.owner_type in {OwnerType.OWNER_TYPE_UNSPECIFIED, key.spec.owner_type}
            and request.owner_type_deprecated in {"", key.spec.owner_type_deprecated}
            and _owns(caller.identity, key)
        ]
        page, token = page_of(found, _id, request.page_size, request.page_token)
        return api.GetApiKeysResponse(api_keys=page, next_page_token=token)

    @serves(SERVED, api.GetApiKeyRequest)
    async def _get_key(self, request: api.GetApiKeyRequest, caller: Caller) -> Message:
        return api.GetApiKeyResponse(api_key=self._key(request.key_id, caller))

    @serves(SERVED, api.CreateApiKeyRequest)
    async def _create_key(self, request: api.CreateApiKeyRequest, caller: Caller) -> Message:
        import secrets  # with OpenSSL: few clouds make keys

        token = f"mck_{secrets.token_urlsafe(32)}"

        def make(key_id: str) -> ApiKey:
            spec = self._specs.key(request.spec, caller.identity)
            return self._changes.new(ApiKey(id=key_id, spec=spec))

        key_id, operation = await self._changes.create(
            Kind.CREATE_API_KEY, request, caller, make, identities.digest(token)
        )
        made = self._known.holds(identities.digest(token))
        return api.CreateApiKeyResponse(key_id=key_id, token=token if made else "", async_operation=operation)

    @serves(SERVED, api.UpdateApiKeyRequest)
    async def _update_key(self, request: api.UpdateApiKeyRequest, caller: Caller) -> Message:
        def change() -> ApiKey:
            key = self._key(request.key_id, caller)
            check_version(key.resource_version, request.resource_version)
            spec = ApiKeySpec()
            spec.CopyFrom(request.spec)
            check_name("display_name", spec.display_name)
            same = (key.spec.owner_id, key.spec.owner_type)
            if (spec.owner_id or same[0], spec.owner_type or same[1]) != same:
                raise InvalidArgument("the owner of an API key cannot be changed")
            if spec.HasField("expiry_time") and spec.expiry_time != key.spec.expiry_time:
                raise InvalidArgument("the expiry time of an API key cannot be changed")
            spec.owner_id, spec.owner_type = same
            spec.owner_type_deprecated = key.spec.owner_type_deprecated
            spec.expiry_time.CopyFrom(key.spec.expiry_time)
            return self._changes.changed(key, ApiKey(spec=spec))

        return api.UpdateApiKeyResponse(
            async_operation=await self._changes.update(Kind.UPDATE_API_KEY, request, caller, change)
        )

    @serves(SERVED, api.DeleteApiKeyRequest)
    async def _delete_key(self, request: api.DeleteApiKeyRequest, caller: Caller) -> Message:
        def find() -> ApiKey:
            key = self._key(request.key_id, caller)
            check_version(key.resource_version, request.resource_version)
            return key

        return api.DeleteApiKeyResponse(
            async_operation=await self._changes.delete(Kind.DELETE_API_KEY, request, caller, find)
        )

    def _key(self, key_id: str, caller: Caller) -> ApiKey:
        key = found_record(self._known.keys, key_id, "API key")
        if not _owns(caller.identity, key):
            raise NotFound(f"API key {key_id!r} not found")
        return key

    def granting(self, identity: Identity, namespace: str) -> AbstractAsyncContextManager[Also]:
        """Around the transaction in which somebody makes a namespace: `IdentityChanges.granting`."""
        return self._changes.granting(identity, namespace)


def _id(record: User | ServiceAccount | ApiKey) -> str:
    return record.id


def _owns(identity: Identity, key: ApiKey) -> bool:
    return identity.is_admin or key.spec.owner_id == identity.id
