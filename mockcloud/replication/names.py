"""Names on the wire of the replication service: methods and metadata."""

from __future__ import annotations

from typing import Final

from mockcloud.api.replication.v1 import replication_pb2

_SERVICE: Final = replication_pb2.DESCRIPTOR.services_by_name["ReplicationService"].full_name

REPLICATE: Final = f"/{_SERVICE}/Replicate"
GET_HISTORY_RANGE: Final = f"/{_SERVICE}/GetHistoryRange"
REAPPLY_EVENTS: Final = f"/{_SERVICE}/ReapplyEvents"
GET_NAMESPACE_RECORD: Final = f"/{_SERVICE}/GetNamespaceRecord"
PUT_NAMESPACE_RECORD: Final = f"/{_SERVICE}/PutNamespaceRecord"

NAMESPACE_ID: Final = "mockcloud-namespace-id"
SOURCE_REGION: Final = "mockcloud-source-region"
