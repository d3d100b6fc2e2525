"""Requests from path, query and body; answers as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    DeleteNamespaceRequest,
    FailoverNamespaceRegionRequest,
    GetApiKeysRequest,
    GetAuditLogsRequest,
    GetNamespacesRequest,
    GetNamespacesResponse,
    GetUsersRequest,
    UpdateNamespaceExportSinkRequest,
)
from temporalio.api.cloud.cloudservice.v1 import service_pb2 as cloud_service
from temporalio.api.cloud.namespace.v1 import ExportSinkSpec, HighAvailabilitySpec, Namespace, NamespaceSpec
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure

from mockcloud.core.errors import CurrentBranchChanged, InvalidArgument, NamespaceNotFound, Unavailable
from mockcloud.rpc.http_json import error_json, request_message, response_json
from mockcloud.rpc.http_routes import Found, Route, Routes

ROUTES = Routes(cloud_service.DESCRIPTOR.services_by_name["CloudService"])
FAILOVER = "/cloud/namespaces/orders/failover-region"


def asked(verb: str, path: str, body: bytes = b"", query: Mapping[str, str] | None = None) -> Message:
    found = ROUTES.find(verb, path)
    assert found is not None
    return request_message(found, (query or {}).items(), body)


def test_a_body_with_json_names_and_a_path() -> None:
    body = json.dumps({"region": "aws-us-west-2", "asyncOperationId": "op-1"}).encode()
    wanted = FailoverNamespaceRegionRequest(
        namespace="orders", region="aws-us-west-2", async_operation_id="op-1"
    )
    assert asked("POST", FAILOVER, body) == wanted
    assert asked("POST", FAILOVER, body.replace(b"asyncOperationId", b"async_operation_id")) == wanted


def test_the_path_says_what_it_is_about() -> None:
    body = b'{"namespace": "billing", "region": "r"}'
    assert asked("POST", FAILOVER, body) == FailoverNamespaceRegionRequest(namespace="orders", region="r")


def test_a_path_binds_a_field_of_a_message() -> None:
    request = asked("POST", "/cloud/namespaces/orders/export-sinks/s1", b'{"spec": {"enabled": true}}')
    assert request == UpdateNamespaceExportSinkRequest(
        namespace="orders", spec=ExportSinkSpec(name="s1", enabled=True)
    )


def test_keys_of_a_map_are_no_names_of_fields() -> None:
    body = b'{"tags": {"team_a": "1", "teamA": "2"}, "spec": null}'
    request = asked("POST", "/cloud/namespaces", body)
    assert request == CreateNamespaceRequest(tags={"team_a": "1", "teamA": "2"})


def test_an_empty_body_is_an_empty_request() -> None:
    assert asked("POST", "/cloud/namespaces") == CreateNamespaceRequest()


def test_numbers_of_64_bits_may_be_strings_and_enums_names_or_numbers() -> None:
    body = b'{"spec": {"name": "orders", "retentionDays": "7", "searchAttributes": {"a": 2}}}'
    request = asked("POST", "/cloud/namespaces", body)
    assert isinstance(request, CreateNamespaceRequest)
    assert (request.spec.retention_days, dict(request.spec.search_attributes)) == (7, {"a": 2})
    named = asked("POST", "/cloud/namespaces", body.replace(b"2}", b'"SEARCH_ATTRIBUTE_TYPE_KEYWORD"}'))
    assert isinstance(named, CreateNamespaceRequest)
    assert dict(named.spec.search_attributes) == {"a": NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_KEYWORD}


@pytest.mark.parametrize(
    ("path", "query", "wanted"),
    [
        (
            "/cloud/namespaces",
            {"pageSize": "5", "name": "a b"},
            GetNamespacesRequest(page_size=5, name="a b"),
        ),
        ("/cloud/users", {"page_token": "t"}, GetUsersRequest(page_token="t")),
        ("/cloud/api-keys", {"ownerType": "OWNER_TYPE_USER"}, GetApiKeysRequest(owner_type=1)),  # type: ignore[arg-type]
        ("/cloud/api-keys", {"ownerType": "1"}, GetApiKeysRequest(owner_type=1)),  # type: ignore[arg-type]
    ],
)
def test_a_query(path: str, query: dict[str, str], wanted: Message) -> None:
    assert asked("GET", path, query=query) == wanted


def test_a_query_has_times() -> None:
    request = asked("GET", "/cloud/audit-logs", query={"startTimeInclusive": "2026-11-27T10:00:00Z"})
    assert isinstance(request, GetAuditLogsRequest)
    assert request.start_time_inclusive.ToJsonString() == "2026-11-27T10:00:00Z"


def test_a_query_has_fields_of_messages_lists_and_truth_values() -> None:
    found = ROUTES.find("POST", "/cloud/namespaces")
    assert found is not None
    without_body = Found(replace(found.route, body=""), {})
    query = [
        ("spec.name", "orders"),
        ("spec.regions", "a"),
        ("spec.regions", "b"),
        ("spec.highAvailability.disableManagedFailover", "true"),
    ]
    assert request_message(without_body, query, b"") == CreateNamespaceRequest(
        spec=NamespaceSpec(
            name="orders",
            regions=["a", "b"],
            high_availability=HighAvailabilitySpec(disable_managed_failover=True),
        )
    )
    for name, text, problem in (
        ("spec.highAvailability.disableManagedFailover", "yes", "is true or false, not 'yes'"),
        ("spec.highAvailability", "x", "cannot be a parameter"),
        ("spec.tags.a", "x", "unknown field"),
    ):
        with pytest.raises(InvalidArgument, match=problem):
            request_message(without_body, [(name, text)], b"")


def test_a_delete_takes_its_fields_from_the_query() -> None:
    request = asked("DELETE", "/cloud/namespaces/orders", query={"resourceVersion": "3"})
    assert request == DeleteNamespaceRequest(namespace="orders", resource_version="3")


@pytest.mark.parametrize(
    ("ask", "problem"),
    [
        (lambda: asked("POST", FAILOVER, b"{nope"), "the body is not JSON: "),
        (lambda: asked("POST", FAILOVER, b"\xff\xfe"), "the body is not JSON: "),
        (lambda: asked("POST", FAILOVER, b"[" * 100_000), "the body is nested too deeply"),
        (lambda: asked("POST", FAILOVER, b'{"region": NaN}'), "the body is not JSON: NaN is no JSON value"),
        (lambda: asked("POST", FAILOVER, b'{"region": "\\ud800"}'), "the body is not JSON: "),
        (lambda: asked("POST", FAILOVER, b"[]"), "the body is not a JSON object"),
        (lambda: asked("POST", FAILOVER, b"null"), "the body is not a JSON object"),
        (lambda: asked("POST", FAILOVER, b'{"region": 1}'), "Failed to parse region field"),
        (lambda: asked("POST", FAILOVER, b'{"region": "a", "region": "b"}'), "duplicate field 'region'"),
        (
            lambda: asked("POST", FAILOVER, b'{"asyncOperationId": "a", "async_operation_id": "b"}'),
            "duplicate field 'async_operation_id'",
        ),
        (lambda: asked("POST", "/cloud/namespaces", b'{"spec": []}'), "field 'spec' is not a JSON object"),
        (
            lambda: asked("POST", "/cloud/namespaces", b'{"spec": {"replicas": [[]]}}'),
            "field 'replicas' is not a JSON object",
        ),
        (
            lambda: asked("POST", "/cloud/namespaces", b'{"spec": {"mtls_auth": {}, "mtlsAuth": null}}'),
            "duplicate field 'mtlsAuth'",
        ),
        (lambda: asked("POST", FAILOVER, b'{"asyncOperatioId": "x"}'), "unknown field 'asyncOperatioId'"),
        (lambda: asked("POST", "/cloud/namespaces", b'{"spec": {"nme": "x"}}'), "unknown field 'nme'"),
        (lambda: asked("POST", FAILOVER, b"{}", {"region": "x"}), "unknown field 'region'"),
        (lambda: asked("GET", "/cloud/namespaces", query={"pageSise": "1"}), "unknown field 'pageSise'"),
        (
            lambda: asked("GET", "/cloud/namespaces", query={"pageSize": "many"}),
            "Failed to parse page_size field",
        ),
        (
            lambda: asked("GET", "/cloud/namespaces", query={"pageSize": "3000000000"}),
            "Failed to parse page_size field",
        ),
        (lambda: asked("GET", "/cloud/namespaces", query={"name.first": "x"}), "unknown field 'name.first'"),
        (lambda: asked("GET", "/cloud/audit-logs", query={"endTimeExclusive.seconds": "7"}), "unknown field"),
        (
            lambda: asked("GET", "/cloud/api-keys", query={"ownerType": "WIZARD"}),
            "Failed to parse owner_type field",
        ),
        (lambda: asked("GET", "/cloud/namespaces", b"{}"), "GET /cloud/namespaces takes no body"),
        (lambda: asked("GET", "/cloud/audit-logs", query={"startTimeInclusive": "today"}), "Failed to parse"),
    ],
)
def test_what_is_refused(ask: Callable[[], Message], problem: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        ask()
    assert problem in caught.value.message
    assert "\n" not in caught.value.message


def test_a_parameter_given_twice_is_refused() -> None:
    found = ROUTES.find("GET", "/cloud/namespaces")
    assert found is not None
    with pytest.raises(InvalidArgument, match="parameter 'name' is given twice"):
        request_message(found, [("name", "a"), ("name", "b")], b"")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["spec", "name", "region", "regions", "retentionDays", "accessToken", "tags", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    route=st.sampled_from(list(ROUTES)),
    body=st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode()),
    query=st.lists(
        st.tuples(
            st.sampled_from(["name", "pageSize", "spec", "spec.name", "a.b", ""]) | st.text(), st.text()
        )
    ),
)
def test_whatever_comes_is_a_request_or_refused(
    route: Route, body: bytes, query: list[tuple[str, str]]
) -> None:
    found = Found(route, dict.fromkeys(route.fields, "here"))
    try:
        message = request_message(found, query, body)
    except InvalidArgument:
        return
    assert type(message).FromString(message.SerializeToString()) == message


async def test_an_answer_is_proto3_json_with_every_field() -> None:
    answer = GetNamespacesResponse(
        namespaces=[Namespace(namespace=f"n{number}") for number in range(50)], next_page_token="n49"
    )
    value = json.loads(await response_json(answer))
    assert value == json.loads(MessageToJson(answer, always_print_fields_with_no_presence=True))
    assert value["namespaces"][49]["activeRegion"] == ""


def test_an_error_is_code_message_and_details() -> None:
    assert json.loads(error_json(NamespaceNotFound("nope"))) == {
        "code": 5,
        "message": "Namespace nope is not found.",
        "details": [
            {
                "@type": f"type.googleapis.com/{NamespaceNotFoundFailure.DESCRIPTOR.full_name}",
                "namespace": "nope",
            }
        ],
    }
    assert json.loads(error_json(Unavailable("down"))) == {"code": 14, "message": "down", "details": []}


def test_a_detail_that_is_not_public_is_carried_along() -> None:
    detail = json.loads(error_json(CurrentBranchChanged(b"a", b"b")))["details"][0]
    assert detail["@type"].endswith("CurrentBranchChangedFailure")
    assert detail["value"]


def test_requests_of_every_rpc_survive_the_way() -> None:
    """What the library writes of a default request is read again."""
    for route in ROUTES:
        message = GetMessageClass(route.rpc.input_type)()
        if route.body:
            text = MessageToJson(message, always_print_fields_with_no_presence=True)
            assert request_message(Found(route, {}), [], text.encode()) == message
