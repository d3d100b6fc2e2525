"""Namespaces over the Cloud Ops API: made, changed, deleted, with the errors that its clients know."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    DeleteNamespaceRequest,
    GetNamespaceRequest,
    RenameCustomSearchAttributeRequest,
    UpdateNamespaceRequest,
    UpdateNamespaceTagsRequest,
)
from temporalio.api.cloud.namespace.v1 import (
    Capacity,
    CapacitySpec,
    CertificateFilterSpec,
    CodecServerSpec,
    HighAvailabilitySpec,
    LifecycleSpec,
    MtlsAuthSpec,
    NamespaceSpec,
    ReplicaSpec,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState

from mockcloud.api.admin.v1 import cloud_admin_pb2 as admin
from mockcloud.control.operations import Kind
from mockcloud.core import times
from mockcloud.core.errors import Code, NamespaceAlreadyExists, ServiceError, Unavailable
from tests.control.fakes import EAST, SOUTH, WEST, Gate, World, ended, raising, say, shown, world

_TYPES = NamespaceSpec.SearchAttributeType


def _spec(name: str = "billing", **fields: object) -> NamespaceSpec:
    made = NamespaceSpec(name=name, regions=[EAST, WEST], retention_days=7)
    made.MergeFrom(NamespaceSpec(**fields))  # type: ignore[arg-type]
    return made


async def _create(cloud: World, spec: NamespaceSpec, **fields: object) -> AsyncOperation:
    request = CreateNamespaceRequest(spec=spec, **fields)  # type: ignore[arg-type]
    return await ended(cloud, await say(cloud, request))


async def _update(
    cloud: World, spec: NamespaceSpec, version: str = "", name: str = "orders"
) -> AsyncOperation:
    version = version or (await shown(cloud, name)).resource_version
    request = UpdateNamespaceRequest(namespace=name, spec=spec, resource_version=version)
    return await ended(cloud, await say(cloud, request))


async def test_a_namespace_is_made_and_shown_as_it_was_asked_for(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        spec = _spec(
            search_attributes={"Customer": _TYPES.SEARCH_ATTRIBUTE_TYPE_KEYWORD},
            codec_server=CodecServerSpec(endpoint="https://codec.example", pass_access_token=True),
            high_availability=HighAvailabilitySpec(disable_managed_failover=True),
            lifecycle=LifecycleSpec(enable_delete_protection=True),
        )
        operation = await _create(cloud, spec, tags={"team": "payments"}, async_operation_id="make")
        namespace = await shown(cloud, "billing")

        assert (operation.state, operation.operation_type) == (
            AsyncOperation.STATE_FULFILLED,
            "CreateNamespace",
        )
        assert namespace.namespace == "billing.local"
        assert namespace.state == ResourceState.RESOURCE_STATE_ACTIVE
        assert namespace.async_operation_id == ""
        assert (namespace.active_region, namespace.spec.retention_days) == (EAST, 7)
        assert (
            [replica.region for replica in namespace.spec.replicas]
            == list(namespace.spec.regions)
            == [EAST, WEST]
        )
        assert namespace.spec.search_attributes == spec.search_attributes
        assert namespace.spec.custom_search_attributes == {"Customer": "keyword"}
        assert namespace.spec.codec_server == spec.codec_server
        assert namespace.spec.high_availability == spec.high_availability
        assert namespace.spec.lifecycle == spec.lifecycle
        assert namespace.tags == {"team": "payments"}
        assert namespace.endpoints.grpc_address == f"127.0.0.1:{cloud.endpoints.ports['billing']}"
        for region in (cloud.east, cloud.west):
            record = region.record("billing")
            assert (record.retention, dict(record.custom_search_attributes)) == (
                7 * times.DAY,
                {"Customer": 2},
            )
        assert (await cloud.plane.operation("make")).state == "FULFILLED"


async def test_as_many_search_attributes_as_the_cloud_has(tmp_path: Path) -> None:
    """More than a server of one's own has columns for, and with the names that the Cloud takes."""
    most = {1: 5, 2: 40, 3: 20, 4: 20, 5: 20, 6: 20, 7: 5}
    every = {
        f"{number}. of/type {kind}": _TYPES.ValueType(kind)
        for kind, count in most.items()
        for number in range(count)
    }
    half = dict(list(every.items())[::2])
    async with world(tmp_path) as cloud:
        await _create(cloud, _spec(search_attributes=half))
        spec = (await shown(cloud, "billing")).spec
        spec.search_attributes.update(every)
        spec.ClearField("custom_search_attributes")
        operation = await _update(cloud, spec, name="billing")

        assert operation.state == AsyncOperation.STATE_FULFILLED, operation.failure_reason
        assert dict((await shown(cloud, "billing")).spec.search_attributes) == every
        assert dict(cloud.east.record("billing").custom_search_attributes) == every


async def test_it_is_there_while_it_is_being_made(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = cloud.east.hooks["create"] = Gate()
        accepted = await say(cloud, CreateNamespaceRequest(spec=_spec()))
        await gate.reached.wait()

        namespace = await shown(cloud, "billing.local")
        assert namespace.state == ResourceState.RESOURCE_STATE_ACTIVATING
        assert namespace.async_operation_id == accepted.id
        for request in (
            CreateNamespaceRequest(spec=_spec()),
            DeleteNamespaceRequest(namespace="billing", resource_version=namespace.resource_version),
        ):
            with pytest.raises(ServiceError):
                await say(cloud, request)
        gate.open()
        assert (await ended(cloud, accepted)).state == AsyncOperation.STATE_FULFILLED


async def test_a_name_that_a_region_has_given_away_meanwhile(tmp_path: Path) -> None:
    """The control plane did not know of it: the operation fails, and what it had announced is gone."""
    async with world(tmp_path) as cloud:
        cloud.east.hooks["create"] = raising(NamespaceAlreadyExists('Namespace "billing" already exists'))
        operation = await _create(cloud, _spec())

        assert operation.state == AsyncOperation.STATE_FAILED
        assert operation.failure_reason == 'Namespace "billing" already exists'
        assert cloud.plane.find("billing") is None
        await cloud.restart()
        assert cloud.plane.find("billing") is None


async def test_an_update_changes_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        before = await shown(cloud, "orders")
        spec = NamespaceSpec()
        spec.CopyFrom(before.spec)
        spec.retention_days = 30
        spec.search_attributes["Amount"] = _TYPES.SEARCH_ATTRIBUTE_TYPE_DOUBLE
        spec.custom_search_attributes["Amount"] = "double"
        spec.codec_server.endpoint = "https://codec.example"
        operation = await _update(cloud, spec)
        after = await shown(cloud, "orders")

        assert operation.state == AsyncOperation.STATE_FULFILLED
        assert after.spec == spec
        assert after.resource_version != before.resource_version
        assert after.HasField("last_modified_time")
        record = cloud.east.record()
        assert (record.retention, dict(record.custom_search_attributes)) == (30 * times.DAY, {"Amount": 4})
        await cloud.restart()
        assert (await shown(cloud, "orders")).spec == spec


async def test_capacity_is_there_as_soon_as_it_is_asked_for(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        assert not (await shown(cloud, "orders")).HasField("capacity")
        for spec, capacity in (
            (_capacity(4.0), Capacity(provisioned=Capacity.Provisioned(current_value=4.0))),
            (CapacitySpec(on_demand=CapacitySpec.OnDemand()), Capacity(on_demand=Capacity.OnDemand())),
        ):
            wanted = (await shown(cloud, "orders")).spec
            wanted.capacity_spec.CopyFrom(spec)
            await _update(cloud, wanted)

            namespace = await shown(cloud, "orders")
            assert (namespace.spec.capacity_spec, namespace.capacity) == (spec, capacity)


async def test_disabling_managed_failover_cancels_a_failback_at_once(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        away = admin.FailoverRequest(namespace="orders", region=WEST, by_temporal=True)
        await cloud.plane.failover(away)
        (failover,) = await cloud.plane.failovers("orders")
        assert failover.failback_region == EAST
        for disabled in (True, False):
            spec = (await shown(cloud, "orders")).spec
            spec.high_availability.disable_managed_failover = disabled
            await _update(cloud, spec)

            (failover,) = await cloud.plane.failovers("orders")
            assert failover.failback_region == ""
        await cloud.restart()
        (failover,) = await cloud.plane.failovers("orders")
        assert failover.failback_region == ""


async def test_disabling_managed_failover_cancels_the_failback_of_one_that_runs(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        gate = cloud.east.hooks["caught-up"] = Gate()
        away = admin.FailoverRequest(namespace="orders", region=WEST, by_temporal=True, no_wait=True)
        running = await cloud.plane.failover(away)
        await gate.reached.wait()
        spec = (await shown(cloud, "orders")).spec
        spec.high_availability.disable_managed_failover = True
        await _update(cloud, spec)

        gate.open()

        await cloud.plane._running.operations.end_of(running.id)
        assert (running.failback_region, (await cloud.plane.operation(running.id)).failback_region) == (
            EAST,
            "",
        )


async def test_what_an_older_client_cannot_say_stays(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        spec = (await shown(cloud, "orders")).spec
        spec.high_availability.disable_managed_failover = True
        spec.high_availability.disable_passive_poller_forwarding = True
        spec.lifecycle.enable_delete_protection = True
        await _update(cloud, spec)
        assert cloud.east.record().disable_passive_poller_forwarding

        version = {"temporal-cloud-api-version": "v0.3.0"}
        old = await shown(cloud, "orders", version)
        assert not old.spec.HasField("high_availability")
        old.spec.retention_days = 9
        request = UpdateNamespaceRequest(
            namespace="orders", spec=old.spec, resource_version=old.resource_version
        )
        await ended(cloud, await say(cloud, request, version))
        after = (await shown(cloud, "orders")).spec

        assert after.retention_days == 9
        assert after.high_availability == spec.high_availability
        assert after.lifecycle.enable_delete_protection


async def test_what_a_client_leaves_out_is_switched_off(tmp_path: Path) -> None:
    """As the Terraform provider counts on for delete protection."""
    async with world(tmp_path) as cloud:
        spec = (await shown(cloud, "orders")).spec
        spec.lifecycle.enable_delete_protection = True
        spec.fairness.task_queue_fairness_enabled = True
        await _update(cloud, spec)
        await _update(cloud, NamespaceSpec(name="orders", regions=[WEST, EAST], retention_days=3))
        after = (await shown(cloud, "orders")).spec

        assert not after.lifecycle.enable_delete_protection
        assert after.fairness.task_queue_fairness_enabled, "once set it stays"


async def test_tags(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        first = UpdateNamespaceTagsRequest(namespace="orders", tags_to_upsert={"a": "1", "b": "2"})
        await ended(cloud, await say(cloud, first))
        second = UpdateNamespaceTagsRequest(
            namespace="orders.local", tags_to_upsert={"b": "3"}, tags_to_remove=["a", "never-there"]
        )
        operation = await ended(cloud, await say(cloud, second))

        assert operation.operation_type == "UpdateNamespaceTags"
        assert (await shown(cloud, "orders")).tags == {"b": "3"}


async def test_a_search_attribute_is_renamed(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        spec = (await shown(cloud, "orders")).spec
        spec.search_attributes["Customer"] = _TYPES.SEARCH_ATTRIBUTE_TYPE_KEYWORD
        await _update(cloud, spec)
        version = (await shown(cloud, "orders")).resource_version

        def request(name: str, new_name: str, version: str = version) -> RenameCustomSearchAttributeRequest:
            return RenameCustomSearchAttributeRequest(
                namespace="orders",
                existing_custom_search_attribute_name=name,
                new_custom_search_attribute_name=new_name,
                resource_version=version,
            )

        before = await shown(cloud, "orders")
        for wrong, code in (
            (request("Absent", "Client"), Code.INVALID_ARGUMENT),
            (request("Customer", ""), Code.INVALID_ARGUMENT),
            (request("Customer", "Customer"), Code.INVALID_ARGUMENT),
            (request("Customer", "RunId"), Code.INVALID_ARGUMENT),
            (request("Customer", "Client", "0"), Code.FAILED_PRECONDITION),
        ):
            with pytest.raises(ServiceError) as caught:
                await say(cloud, wrong)
            assert caught.value.code == code, wrong
        assert await shown(cloud, "orders") == before
        gate = cloud.east.hooks["configure"] = Gate()
        accepted = await say(cloud, request("Customer", "Client"))
        await gate.reached.wait()
        await cloud.plane.kill()
        del cloud.east.hooks["configure"]
        await cloud.restart()
        operation = await ended(cloud, accepted)

        assert operation.state == AsyncOperation.STATE_FULFILLED
        assert dict((await shown(cloud, "orders")).spec.search_attributes) == {"Client": 2}


async def test_a_deleted_namespace_is_gone_everywhere_and_its_name_is_free(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        version = (await shown(cloud, "orders")).resource_version
        request = DeleteNamespaceRequest(
            namespace="orders.local", resource_version=version, async_operation_id="gone"
        )
        operation = await ended(cloud, await say(cloud, request))

        assert operation.state == AsyncOperation.STATE_FULFILLED
        for region in (cloud.east, cloud.west):
            assert "orders" not in region.records
            assert all(record.deleted_time for record in region.records.values())
        assert "orders" not in cloud.endpoints.ports
        with pytest.raises(ServiceError) as caught:
            await say(cloud, GetNamespaceRequest(namespace="orders"))
        assert caught.value.code == Code.NOT_FOUND
        assert (await say(cloud, request)).id == "gone", "asked again, the same operation is found"
        assert (await _create(cloud, _spec("orders"))).state == AsyncOperation.STATE_FULFILLED
        assert (await shown(cloud, "orders")).spec.retention_days == 7


async def test_deleting_cancels_what_cannot_end(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        before = await shown(cloud, "orders")
        cloud.east.hooks["configure"] = raising(Unavailable("overloaded"))
        spec = before.spec
        spec.retention_days = 30
        update = await say(
            cloud,
            UpdateNamespaceRequest(namespace="orders", spec=spec, resource_version=before.resource_version),
        )
        request = DeleteNamespaceRequest(namespace="orders", resource_version=before.resource_version)
        deletion = await ended(cloud, await say(cloud, request))
        update = await ended(cloud, update)

        assert deletion.state == AsyncOperation.STATE_FULFILLED
        assert update.state == AsyncOperation.STATE_CANCELLED
        assert update.failure_reason == "the namespace is being deleted"


@pytest.mark.parametrize("kind", [Kind.CREATE, Kind.UPDATE, Kind.TAGS, Kind.DELETE])
async def test_the_same_id_finds_the_same_operation_and_no_other(tmp_path: Path, kind: Kind) -> None:
    async with world(tmp_path) as cloud:
        namespace = await shown(cloud, "orders")
        changed = NamespaceSpec()
        changed.CopyFrom(namespace.spec)
        changed.retention_days = 8
        version = namespace.resource_version
        requests: dict[Kind, tuple[Message, Message]] = {
            Kind.CREATE: (
                CreateNamespaceRequest(spec=_spec(), async_operation_id="mine"),
                CreateNamespaceRequest(spec=_spec("other"), async_operation_id="mine"),
            ),
            Kind.UPDATE: (
                UpdateNamespaceRequest(
                    namespace="orders", spec=changed, resource_version=version, async_operation_id="mine"
                ),
                UpdateNamespaceRequest(
                    namespace="orders",
                    spec=namespace.spec,
                    resource_version=version,
                    async_operation_id="mine",
                ),
            ),
            Kind.TAGS: (
                UpdateNamespaceTagsRequest(
                    namespace="orders", tags_to_upsert={"a": "1"}, async_operation_id="mine"
                ),
                UpdateNamespaceTagsRequest(
                    namespace="orders", tags_to_upsert={"a": "2"}, async_operation_id="mine"
                ),
            ),
            Kind.DELETE: (
                DeleteNamespaceRequest(
                    namespace="orders", resource_version=version, async_operation_id="mine"
                ),
                DeleteNamespaceRequest(
                    namespace="orders", resource_version="2.0.0", async_operation_id="mine"
                ),
            ),
        }
        same, other = requests[kind]
        first = await ended(cloud, await say(cloud, same))
        count = len(cloud.journal)
        again = await say(cloud, same)

        assert (again.id, again.started_time) == (first.id, first.started_time)
        if kind is not Kind.DELETE:
            with pytest.raises(ServiceError) as caught:
                await say(cloud, other)
            assert caught.value.code == Code.ALREADY_EXISTS
        assert len(cloud.journal) == count


def _capacity(value: float) -> CapacitySpec:
    return CapacitySpec(provisioned=CapacitySpec.Provisioned(value=value))


_CERTIFICATE = MtlsAuthSpec(enabled=True, accepted_client_ca=b"-----BEGIN CERTIFICATE-----\nno\n")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (_spec("A"), "invalid namespace name"),
        (_spec("x"), "invalid namespace name"),
        (_spec("two--hyphens"), "invalid namespace name"),
        (_spec("ends-"), "invalid namespace name"),
        (_spec("n" * 40), "invalid namespace name"),
        (NamespaceSpec(name="billing", retention_days=7), "at least one region"),
        (NamespaceSpec(name="billing", regions=["mars-1"], retention_days=7), "does not exist"),
        (NamespaceSpec(name="billing", regions=[EAST, EAST], retention_days=7), "named twice"),
        (
            NamespaceSpec(
                name="billing", regions=[EAST], replicas=[ReplicaSpec(region=WEST)], retention_days=7
            ),
            "disagree",
        ),
        (NamespaceSpec(name="billing", regions=[EAST]), "retention_days must be between 1 and 90"),
        (NamespaceSpec(name="billing", regions=[EAST], retention_days=91), "between 1 and 90"),
        (_spec(search_attributes={"Customer": 99}), "unknown type 99"),
        (_spec(search_attributes={"Customer": 0}), "unknown type 0"),
        (_spec(search_attributes={"WorkflowId": 2}), "reserved by system"),
        (_spec(search_attributes={"no#hash": 2}), "invalid search attribute name"),
        (_spec(search_attributes={" ": 2}), "invalid search attribute name"),
        (_spec(search_attributes={"n" * 65: 2}), "invalid search attribute name"),
        (
            _spec(search_attributes={f"Text{number}": 1 for number in range(6)}),
            "more than 5 search attribute",
        ),
        (_spec(custom_search_attributes={"Customer": "colour"}), "unknown type 'colour'"),
        (_spec(codec_server=CodecServerSpec(endpoint="http://codec.example")), "https://"),
        (_spec(codec_server=CodecServerSpec(pass_access_token=True)), "needs an endpoint"),
        (_spec(capacity_spec=_capacity(0.0)), "finite and greater than 0"),
        (_spec(capacity_spec=_capacity(math.inf)), "finite and greater than 0"),
        (_spec(mtls_auth=MtlsAuthSpec(enabled=True)), "needs an accepted_client_ca"),
        (_spec(mtls_auth=_CERTIFICATE), "not a PEM encoded certificate"),
        (_spec(mtls_auth=MtlsAuthSpec(accepted_client_ca_deprecated="%")), "not base64"),
        (_spec(mtls_auth=MtlsAuthSpec(certificate_filters=[CertificateFilterSpec()])), "filter is empty"),
        (_spec(connectivity_rule_ids=["rule"]), "connectivity rule 'rule' not found"),
    ],
)
async def test_specs_that_no_namespace_can_have(tmp_path: Path, spec: NamespaceSpec, text: str) -> None:
    async with world(tmp_path) as cloud:
        with pytest.raises(ServiceError, match=text) as caught:
            await say(cloud, CreateNamespaceRequest(spec=spec))

        assert caught.value.code == Code.INVALID_ARGUMENT
        assert cloud.journal == []
        assert [known.name for known in cloud.plane.namespaces()] == ["orders"]


async def test_updates_that_are_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        spec = (await shown(cloud, "orders")).spec
        spec.search_attributes["Customer"] = _TYPES.SEARCH_ATTRIBUTE_TYPE_KEYWORD
        spec.ClearField("custom_search_attributes")
        await _update(cloud, spec)
        before = await shown(cloud, "orders")
        cloud.journal.clear()

        def changed(**fields: object) -> NamespaceSpec:
            made = NamespaceSpec()
            made.CopyFrom(before.spec)
            made.ClearField("custom_search_attributes")
            for field, value in fields.items():
                made.ClearField(field)  # type: ignore[arg-type]
                made.MergeFrom(NamespaceSpec(**{field: value}))  # type: ignore[arg-type]
            return made

        version = before.resource_version
        for wanted, resource_version, code, text in (
            (before.spec, version, Code.INVALID_ARGUMENT, "nothing to change"),
            (changed(retention_days=4), "", Code.INVALID_ARGUMENT, "resource_version is required"),
            (changed(retention_days=4), "1.0.0", Code.FAILED_PRECONDITION, "resource version mismatch"),
            (changed(retention_days=0), version, Code.INVALID_ARGUMENT, "between 1 and 90"),
            (changed(name="other"), version, Code.INVALID_ARGUMENT, "name of a namespace cannot be changed"),
            (
                changed(regions=[EAST], replicas=[]),
                version,
                Code.INVALID_ARGUMENT,
                "regions of a namespace cannot be changed",
            ),
            (
                changed(replicas=[ReplicaSpec(region=EAST), ReplicaSpec(region="mars-1")]),
                version,
                Code.INVALID_ARGUMENT,
                "one replica at a time",
            ),
            (
                changed(replicas=[ReplicaSpec(region=region) for region in (EAST, WEST, "mars-1")]),
                version,
                Code.INVALID_ARGUMENT,
                "does not exist",
            ),
            (
                changed(replicas=[ReplicaSpec(region=WEST)]),
                version,
                Code.FAILED_PRECONDITION,
                "is active in region",
            ),
            (changed(search_attributes={}), version, Code.INVALID_ARGUMENT, "'Customer' is missing"),
            (
                changed(search_attributes={"Customer": 2, "WorkflowId": 2}),
                version,
                Code.INVALID_ARGUMENT,
                "reserved by system",
            ),
            (
                changed(search_attributes={"Customer": 2} | {f"Many{number}": 2 for number in range(40)}),
                version,
                Code.INVALID_ARGUMENT,
                "cannot have more than 40 search attribute of type Keyword",
            ),
            (changed(search_attributes={"Customer": 3}), version, Code.INVALID_ARGUMENT, "cannot be changed"),
        ):
            request = UpdateNamespaceRequest(
                namespace="orders", spec=wanted, resource_version=resource_version
            )
            with pytest.raises(ServiceError, match=text) as caught:
                await say(cloud, request)
            assert caught.value.code == code, text
        assert cloud.journal == []
        assert await shown(cloud, "orders") == before


async def test_deletions_and_tags_that_are_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        spec = (await shown(cloud, "orders")).spec
        spec.lifecycle.enable_delete_protection = True
        await _update(cloud, spec)
        before = await shown(cloud, "orders")
        cloud.journal.clear()

        for request, code in (
            (
                DeleteNamespaceRequest(namespace="orders", resource_version=before.resource_version),
                Code.FAILED_PRECONDITION,
            ),
            (DeleteNamespaceRequest(namespace="orders", resource_version="stale"), Code.FAILED_PRECONDITION),
            (DeleteNamespaceRequest(namespace="orders"), Code.INVALID_ARGUMENT),
            (DeleteNamespaceRequest(namespace="orders.elsewhere", resource_version="1"), Code.NOT_FOUND),
            (UpdateNamespaceTagsRequest(namespace="orders"), Code.INVALID_ARGUMENT),
            (
                UpdateNamespaceTagsRequest(namespace="orders", tags_to_upsert={"No Good": "1"}),
                Code.INVALID_ARGUMENT,
            ),
            (
                UpdateNamespaceTagsRequest(namespace="orders", tags_to_remove=["absent"]),
                Code.INVALID_ARGUMENT,
            ),
            (
                UpdateNamespaceTagsRequest(
                    namespace="orders", tags_to_upsert={str(number): "1" for number in range(11)}
                ),
                Code.INVALID_ARGUMENT,
            ),
        ):
            with pytest.raises(ServiceError) as caught:
                await say(cloud, request)
            assert caught.value.code == code, request
        assert cloud.journal == []
        assert await shown(cloud, "orders") == before


async def test_three_replicas_only_where_there_are_as_many_regions(tmp_path: Path) -> None:
    async with world(tmp_path) as cloud:
        spec = NamespaceSpec(name="wide", regions=[EAST, WEST, SOUTH], retention_days=7)
        assert (await _create(cloud, spec)).state == AsyncOperation.STATE_FULFILLED


@pytest.mark.parametrize("word", ["create", "adopt", "configure", "delete"])
async def test_control_plane_killed_at_each_step(tmp_path: Path, word: str) -> None:
    """Killed before a region has answered: after a restart the operation ends as if nothing had been."""
    async with world(tmp_path) as cloud:
        place = cloud.west if word == "adopt" else cloud.east
        gate = place.hooks[word] = Gate()
        before = await shown(cloud, "orders")
        requests: dict[str, Message] = {
            "create": CreateNamespaceRequest(spec=_spec()),
            "adopt": CreateNamespaceRequest(spec=_spec()),
            "configure": UpdateNamespaceRequest(
                namespace="orders",
                spec=NamespaceSpec(retention_days=30),
                resource_version=before.resource_version,
            ),
            "delete": DeleteNamespaceRequest(namespace="orders", resource_version=before.resource_version),
        }
        accepted = await say(cloud, requests[word])
        await gate.reached.wait()
        await cloud.plane.kill()
        del place.hooks[word]
        await cloud.restart()
        operation = await ended(cloud, accepted)

        assert operation.state == AsyncOperation.STATE_FULFILLED
        if word == "configure":
            assert (await shown(cloud, "orders")).spec.retention_days == 30
        elif word == "delete":
            assert cloud.plane.find("orders") is None
        else:
            assert (await shown(cloud, "billing")).state == ResourceState.RESOURCE_STATE_ACTIVE
