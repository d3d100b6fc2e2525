"""Routes as the annotations of a service have them."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodDescriptorProto
from google.protobuf.descriptor_pool import Default
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.cloud.cloudservice.v1 import service_pb2 as cloud_service

from mockcloud.rpc.http_routes import Route, Routes

CLOUD = cloud_service.DESCRIPTOR.services_by_name["CloudService"]
ROUTES = list(Routes(CLOUD))


def library() -> ServiceDescriptor:
    """A service with what CloudService has no example of."""
    file = FileDescriptorProto(
        name="mockcloud_test_library.proto",
        package="mockcloud.test.library",
        dependency=["google/api/annotations.proto", "google/protobuf/empty.proto"],
        syntax="proto3",
    )
    service = file.service.add(name="Library")

    def method(name: str) -> MethodDescriptorProto:
        return service.method.add(
            name=name, input_type=".google.protobuf.Empty", output_type=".google.protobuf.Empty"
        )

    rule = method("Publish").options.Extensions[annotations_pb2.http]
    rule.post, rule.body = "/v1/{name=shelves/*/books/*}:publish", "book"
    rule.additional_bindings.add(put="/v2/*/{path=**}")
    rule = method("Probe").options.Extensions[annotations_pb2.http]
    rule.custom.kind, rule.custom.path = "HEAD", "/v1/probe"
    method("NoHttp")
    return Default().AddSerializedFile(file.SerializeToString()).services_by_name["Library"]


LIBRARY = Routes(library())


def test_every_rpc_has_the_route_of_its_annotation() -> None:
    told = {method.name: method.GetOptions().Extensions[annotations_pb2.http] for method in CLOUD.methods}
    assert {route.rpc.name: (route.verb, route.template, route.body) for route in ROUTES} == {
        name: (kind.upper(), getattr(rule, kind), rule.body)
        for name, rule in told.items()
        for kind in [rule.WhichOneof("pattern")]
    }
    assert len(ROUTES) == len(CLOUD.methods)


@given(
    route=st.sampled_from(ROUTES),
    values=st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=2, max_size=2),
)
def test_what_is_put_into_a_path_is_found_in_it(route: Route, values: list[str]) -> None:
    bindings = dict(zip(route.fields, values, strict=False))
    path = route.template
    for name, value in bindings.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))

    assert route.bindings(path) == bindings
    found = Routes(CLOUD).find(route.verb, path)
    assert found is not None
    # A literal wins over a variable only by the order of the proto; no two routes of one verb share a path here.
    assert found.route.rpc is route.rpc


@pytest.mark.parametrize(
    ("verb", "path", "rpc", "bindings"),
    [
        ("POST", "/v1/shelves/3/books/7:publish", "Publish", {"name": "shelves/3/books/7"}),
        ("PUT", "/v2/any/a/b%2Fc", "Publish", {"path": "a/b/c"}),
        ("HEAD", "/v1/probe", "Probe", {}),
    ],
)
def test_templates_of_every_form(verb: str, path: str, rpc: str, bindings: dict[str, str]) -> None:
    found = LIBRARY.find(verb, path)
    assert found is not None
    assert (found.route.rpc.name, found.bindings) == (rpc, bindings)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/v1/probe"),
        ("POST", "/v1/shelves/3/books/7"),
        ("POST", "/v1/shelves/3/4/books/7:publish"),
        ("POST", "/v1/shelves//books/7:publish"),
        ("PUT", "/v2/any"),
        ("POST", "x/v1/shelves/3/books/7:publish"),
    ],
)
def test_what_is_no_route(verb: str, path: str) -> None:
    assert LIBRARY.find(verb, path) is None


def test_the_verbs_of_a_path() -> None:
    assert Routes(CLOUD).verbs("/cloud/namespaces/orders") == ["DELETE", "GET", "POST"]
    assert Routes(CLOUD).verbs("/cloud/nothing") == []
