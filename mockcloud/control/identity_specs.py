"""What users, service accounts and API keys may be: their specifications, checked and made whole.

Fields of old versions of the API stand in for the new ones where only they are set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from temporalio.api.cloud.identity.v1 import (
    Access,
    AccountAccess,
    ApiKeySpec,
    NamespaceAccess,
    OwnerType,
    ServiceAccountSpec,
    User,
    UserSpec,
)

from mockcloud.control import identities
from mockcloud.control.access import Identity, denied
from mockcloud.control.context import Context
from mockcloud.control.identities import Identities
from mockcloud.core import times
from mockcloud.core.errors import InvalidArgument

_EMAIL: Final = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")
_LONGEST_NAME: Final = 64
_LATEST: Final = 253_402_300_799  # seconds: the end of the year 9999, as protobuf has it

# Their names in old versions of the API.
_OLD_ROLES: Final[Mapping[str, AccountAccess.Role.ValueType]] = {
    "owner": AccountAccess.ROLE_OWNER,
    "admin": AccountAccess.ROLE_ADMIN,
    "developer": AccountAccess.ROLE_DEVELOPER,
    "financeadmin": AccountAccess.ROLE_FINANCE_ADMIN,
    "read": AccountAccess.ROLE_READ,
    "metricsread": AccountAccess.ROLE_METRICS_READ,
}
_OLD_PERMISSIONS: Final[Mapping[str, NamespaceAccess.Permission.ValueType]] = {
    "admin": NamespaceAccess.PERMISSION_ADMIN,
    "write": NamespaceAccess.PERMISSION_WRITE,
    "read": NamespaceAccess.PERMISSION_READ,
}


class Specs:
    """All of them raise InvalidArgument for what cannot be, and NamespaceNotFound."""

    def __init__(self, context: Context, known: Identities) -> None:
        self._context: Final = context
        self._known: Final = known

    def user(self, spec: UserSpec) -> UserSpec:
        if not _EMAIL.fullmatch(spec.email):
            raise InvalidArgument(f"not an e-mail address: {spec.email!r}")
        return UserSpec(email=spec.email, access=self._access(spec.access))

    def service_account(self, spec: ServiceAccountSpec, but: str = "") -> ServiceAccountSpec:
        check_name("name", spec.name)
        if any(
            each.spec.name == spec.name and each.id != but for each in self._known.service_accounts.values()
        ):
            raise InvalidArgument(f"there is a service account {spec.name!r} already")
        if spec.HasField("access") == spec.HasField("namespace_scoped_access"):
            raise InvalidArgument("a service account has either access or namespace_scoped_access")
        checked = ServiceAccountSpec(name=spec.name, description=spec.description)
        if spec.HasField("access"):
            checked.access.CopyFrom(self._access(spec.access))
        else:
            scoped = spec.namespace_scoped_access
            checked.namespace_scoped_access.namespace = self.namespace_id(scoped.namespace)
            checked.namespace_scoped_access.access.CopyFrom(namespace_access(scoped.access))
        return checked

    def key(self, spec: ApiKeySpec, identity: Identity) -> ApiKeySpec:
        check_name("display_name", spec.display_name)
        owner = self._known.owner(spec.owner_id)
        if owner is None:
            raise InvalidArgument(f"owner {spec.owner_id!r} not found")
        if owner.id != identity.id and not identity.is_admin:
            raise denied()
        kind = identities.owner_type(owner)
        word = "user" if isinstance(owner, User) else "service-account"
        if spec.owner_type not in {OwnerType.OWNER_TYPE_UNSPECIFIED, kind} or (
            spec.owner_type_deprecated not in {"", word}
        ):
            raise InvalidArgument(f"the owner {owner.id!r} is of another type")
        if not spec.HasField("expiry_time"):
            raise InvalidArgument("expiry_time is required")
        if not 0 <= spec.expiry_time.nanos < times.SECOND or spec.expiry_time.seconds > _LATEST:
            raise InvalidArgument("expiry_time is no time")
        if times.nanoseconds(spec.expiry_time) <= self._context.ports.clock.now():
            raise InvalidArgument("expiry_time must be in the future")
        checked = ApiKeySpec()
        checked.CopyFrom(spec)
        checked.owner_type = kind
        checked.owner_type_deprecated = word
        return checked

    def _access(self, access: Access) -> Access:
        given = access.account_access
        for custom in (*given.custom_roles, *access.custom_roles_deprecated):
            raise InvalidArgument(f"custom role {custom!r} not found")
        role = given.role or _OLD_ROLES.get(given.role_deprecated, AccountAccess.ROLE_UNSPECIFIED)
        if role not in _OLD_ROLES.values():
            raise InvalidArgument(f"access.account_access.role must be one of {', '.join(_OLD_ROLES)}")
        return Access(
            account_access=AccountAccess(role=role, role_deprecated=_word(_OLD_ROLES, role)),
            namespace_accesses={
                self.namespace_id(name): namespace_access(each)
                for name, each in access.namespace_accesses.items()
            },
        )

    def with_namespace(self, access: Access, namespace: str, wanted: NamespaceAccess) -> Access:
        """The access with another permission for a namespace; none where that is unspecified."""
        changed = Access()
        changed.CopyFrom(access)
        namespace_id = self.namespace_id(namespace)
        if wanted.permission or wanted.permission_deprecated:
            changed.namespace_accesses[namespace_id].CopyFrom(namespace_access(wanted))
        elif namespace_id in changed.namespace_accesses:
            del changed.namespace_accesses[namespace_id]
        return changed

    def namespace_id(self, namespace: str) -> str:
        """The id of a namespace. NamespaceNotFound."""
        self._context.directory.by_name(namespace)
        return self.named(namespace)

    def named(self, namespace: str) -> str:
        """The id of the namespace of that name, be there one or not."""
        directory = self._context.directory
        return directory.full_name(directory.plain_name(namespace))


def check_name(field: str, value: str) -> None:
    """Raises InvalidArgument for what is no name."""
    if not value.strip() or len(value) > _LONGEST_NAME:
        raise InvalidArgument(f"{field} must have between 1 and {_LONGEST_NAME} characters")


def namespace_access(access: NamespaceAccess) -> NamespaceAccess:
    """What somebody is given for a namespace. Raises InvalidArgument for no permission, and for an unknown one."""
    permission = access.permission or _OLD_PERMISSIONS.get(
        access.permission_deprecated, NamespaceAccess.PERMISSION_UNSPECIFIED
    )
    if permission not in _OLD_PERMISSIONS.values():
        raise InvalidArgument(f"the permission of a namespace must be one of {', '.join(_OLD_PERMISSIONS)}")
    return NamespaceAccess(permission=permission, permission_deprecated=_word(_OLD_PERMISSIONS, permission))


def _word(words: Mapping[str, int], number: int) -> str:
    return next(word for word, known in words.items() if known == number)
