"""Who may do what: the rules, on values. Real: the documentation, cloud/manage-access/permissions-reference.

An account role says what somebody may do to the account, a permission what to one namespace; owners and admins of the
account have every permission. A namespace that somebody has no permission for does not exist for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from temporalio.api.cloud.auditlog.v1 import Principal
from temporalio.api.cloud.identity.v1 import Access, AccountAccess, NamespaceAccess

from mockcloud.core.errors import NamespaceNotFound, PermissionDenied

Role = AccountAccess.Role
Permission = NamespaceAccess.Permission

_ADMINS: Final = frozenset({Role.ROLE_OWNER, Role.ROLE_ADMIN})
_EVERYBODY: Final = frozenset(Role.values()) - {Role.ROLE_METRICS_READ}
_METRICS: Final = _ADMINS | {Role.ROLE_METRICS_READ}

# What is not here is for admins.
_ROLES: Final[Mapping[str, frozenset[int]]] = {
    "GetCurrentIdentity": _EVERYBODY | _METRICS,
    "CreateNamespace": _ADMINS | {Role.ROLE_DEVELOPER},
    **dict.fromkeys(
        (
            "GetAsyncOperation",
            "GetNamespaces",
            "GetRegion",
            "GetRegions",
            "GetServiceAccount",
            "GetServiceAccounts",
            "GetUser",
            "GetUsers",
            # One's own, says `control.identity_ops`.
            "CreateApiKey",
            "DeleteApiKey",
            "GetApiKey",
            "GetApiKeys",
            "UpdateApiKey",
            # Those of a namespace that one administers: `check_managing`.
            "CreateServiceAccount",
            "DeleteServiceAccount",
            "UpdateServiceAccount",
        ),
        _EVERYBODY,
    ),
}
_PERMISSIONS: Final[Mapping[str, int]] = {
    "GetNamespace": Permission.PERMISSION_READ,
    **dict.fromkeys(
        (
            "AddNamespaceRegion",
            "DeleteNamespace",
            "DeleteNamespaceRegion",
            "FailoverNamespaceRegion",
            "RenameCustomSearchAttribute",
            "SetServiceAccountNamespaceAccess",
            "SetUserNamespaceAccess",
            "UpdateNamespace",
        ),
        Permission.PERMISSION_ADMIN,
    ),
}

# Methods of regions.
_FOR_EVERYBODY: Final = frozenset({"GetSystemInfo", "GetClusterInfo"})
_OF_NAMESPACE_ADMINS: Final = frozenset(
    {
        "AddSearchAttributes",
        "DeleteNamespace",
        "DeprecateNamespace",
        "RegisterNamespace",
        "RemoveSearchAttributes",
        "UpdateNamespace",
    }
)
_READING: Final = ("Count", "Describe", "Get", "List", "Scan")
_ALSO_READING: Final = frozenset({"FetchWorkerConfig", "QueryWorkflow"})


class Identity(NamedTuple):
    """Somebody who has shown a key."""

    type: str  # user, serviceaccount
    id: str
    name: str
    api_key_id: str
    role: int
    permissions: Mapping[str, int] = MappingProxyType({})  # by namespace id: `name.account`

    @classmethod
    def of(cls, kind: str, owner_id: str, name: str, api_key_id: str, access: Access) -> Identity:
        """Whoever has this access."""
        permissions = {key: value.permission for key, value in access.namespace_accesses.items()}
        return cls(kind, owner_id, name, api_key_id, access.account_access.role, permissions)

    @property
    def is_admin(self) -> bool:
        return self.role in _ADMINS

    @property
    def principal(self) -> Principal:
        """As the audit log has it."""
        return Principal(type=self.type, id=self.id, name=self.name, api_key_id=self.api_key_id)

    def sees(self, namespace: str) -> bool:
        """Whether a namespace exists for them, by its id."""
        return self.is_admin or namespace in self.permissions

    def may(self, namespace: str, permission: int) -> bool:
        """Whether they have a permission, or a wider one: those of smaller numbers are wider."""
        return self.is_admin or 0 < self.permissions.get(namespace, 0) <= permission


def check_call(identity: Identity, method: str, namespace: str, asked: str) -> None:
    """Whether somebody may call a method of the Cloud Ops API.

    Args:
        identity: who.
        method: of the service.
        namespace: the id of the namespace that it is about; empty: none.
        asked: its name as the request has it.

    Raises:
        NamespaceNotFound: as if there were none.
        PermissionDenied: they may not.
    """
    if identity.is_admin:
        return
    if namespace and not identity.sees(namespace):
        raise NamespaceNotFound(asked)
    permission = _PERMISSIONS.get(method)
    if permission is not None:
        if identity.may(namespace, permission):
            return
    elif identity.role in _ROLES.get(method, _ADMINS):
        return
    raise denied()


def check_managing(identity: Identity, namespace: str, asked: str) -> None:
    """Whether somebody may manage the service accounts of a namespace, or if it is empty, of the account.

    Raises as `check_call`.
    """
    if identity.is_admin:
        return
    if namespace and not identity.sees(namespace):
        raise NamespaceNotFound(asked)
    if not namespace or not identity.may(namespace, Permission.PERMISSION_ADMIN):
        raise denied()


def check_workflow_call(identity: Identity, method: str, namespace: str, asked: str) -> None:
    """Whether somebody may call a method of a region; as `check_call`."""
    if identity.is_admin or method in _FOR_EVERYBODY:
        return
    if not namespace:
        raise denied()
    if not identity.sees(namespace):
        raise NamespaceNotFound(asked)
    if not identity.may(namespace, _needed(method)):
        raise denied()


def _needed(method: str) -> int:
    if method in _OF_NAMESPACE_ADMINS:
        return Permission.PERMISSION_ADMIN
    reads = method.startswith(_READING) or method in _ALSO_READING
    return Permission.PERMISSION_READ if reads else Permission.PERMISSION_WRITE


def check_metrics(identity: Identity) -> None:
    """Whether somebody may read metrics. PermissionDenied."""
    if identity.role not in _METRICS:
        raise denied()


def check_admin(identity: Identity) -> None:
    """Whether somebody may do what concerns the whole account. PermissionDenied."""
    if not identity.is_admin:
        raise denied()


def denied() -> PermissionDenied:
    """The words of the Cloud."""
    return PermissionDenied("Request unauthorized.")
