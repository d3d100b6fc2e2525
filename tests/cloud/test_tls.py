"""TLS at every endpoint, with certificates of a development CA, and what is refused without them."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from click.testing import CliRunner
from cryptography import x509
from temporalio.api.cloud.cloudservice.v1 import GetNamespacesRequest
from temporalio.client import Client, CloudOperationsClient
from temporalio.service import TLSConfig

from mockcloud import MockCloud
from mockcloud.cli.main import main
from mockcloud.cloud import development_ca
from mockcloud.cloud.settings import CloudSettings
from mockcloud.core.errors import StartupError
from mockcloud.rpc.tls import Tls
from tests.control.fakes import EAST, WEST


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "ca"


def started(settings: CloudSettings) -> Iterator[MockCloud]:
    made = MockCloud(namespaces=["orders"], settings=settings)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def cloud(directory: Path) -> Iterator[MockCloud]:
    """Only the cloud has a certificate."""
    yield from started(CloudSettings(development_ca=directory))


@pytest.fixture
def mutual(directory: Path) -> Iterator[MockCloud]:
    """Clients need one, too."""
    tls = Tls(directory / "server.pem", directory / "server.key", directory / "ca.pem")
    yield from started(CloudSettings(development_ca=directory, tls=tls))


def trusting(directory: Path, *, with_certificate: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=directory / "ca.pem")
    if with_certificate:
        context.load_cert_chain(directory / "client.pem", directory / "client.key")
    return context


async def test_every_endpoint_speaks_tls(cloud: MockCloud, directory: Path) -> None:
    trusted = TLSConfig(server_root_ca_cert=(directory / "ca.pem").read_bytes())
    orders = cloud.namespace("orders")
    for endpoint in (orders.endpoint, cloud.region(EAST).address, cloud.region(WEST).address):
        client = await Client.connect(endpoint, namespace="orders", tls=trusted)
        assert [each async for each in client.list_workflows()] == []
    operations = await CloudOperationsClient.connect(target_host=cloud.cloud_ops, tls=trusted)
    shown = await operations.cloud_service.get_namespaces(GetNamespacesRequest())
    assert len(shown.namespaces) == 1
    assert cloud.http.startswith("https://127.0.0.1:")
    async with httpx.AsyncClient(base_url=cloud.http, verify=trusting(directory)) as http:
        assert (await http.get("/cloud/namespaces/orders")).status_code == 200
    await orders.failover(WEST)
    await (await orders.client()).start_workflow("any", id="w", task_queue="nobody")


async def test_who_does_not_trust_the_ca_or_speaks_no_tls_is_not_served(cloud: MockCloud) -> None:
    endpoint = cloud.namespace("orders").endpoint
    for options in ({}, {"tls": True}):
        with pytest.raises(RuntimeError):
            await Client.connect(endpoint, namespace="orders", **options)  # type: ignore[arg-type]
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{cloud.http}/cloud/namespaces")
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"{cloud.http}/cloud/namespaces".replace("https", "http"))


async def test_clients_show_certificates(mutual: MockCloud, directory: Path) -> None:
    client = await mutual.namespace("orders").client()
    await client.start_workflow("any", id="w", task_queue="nobody")
    trusted = TLSConfig(server_root_ca_cert=(directory / "ca.pem").read_bytes())
    with pytest.raises(RuntimeError):
        await Client.connect(mutual.namespace("orders").endpoint, namespace="orders", tls=trusted)
    context = trusting(directory, with_certificate=True)
    async with httpx.AsyncClient(base_url=mutual.http, verify=context) as http:
        assert (await http.get("/cloud/namespaces/orders")).status_code == 200
    async with httpx.AsyncClient(base_url=mutual.http, verify=trusting(directory)) as http:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await http.get("/cloud/namespaces/orders")


def test_the_command_line_with_certificates(mutual: MockCloud, directory: Path) -> None:
    def run(*options: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["lag", "--cloud", mutual.cloud_ops, *options])
        return result.exit_code, result.stderr

    files = [
        f"--tls-{name}={directory / file}"
        for name, file in (("ca", "ca.pem"), ("cert", "client.pem"), ("key", "client.key"))
    ]
    assert run(*files)[0] == 0
    assert run("--tls-ca=/none") == (1, "Error: /none cannot be read: No such file or directory\n")


class TestWhatACloudWantsOfTheCommandLine:
    """Each time the library only says that it could not connect."""

    def error(self, cloud: MockCloud, *options: str) -> str:
        result = CliRunner().invoke(main, ["lag", "--cloud", cloud.cloud_ops, *options])
        assert (result.exit_code, result.stdout) == (1, "")
        return result.stderr.removeprefix("Error: ").rstrip("\n").replace(cloud.cloud_ops, "ADDRESS")

    def test_without_tls(self, cloud: MockCloud) -> None:
        assert self.error(cloud) == "the cloud at ADDRESS speaks TLS: name its CA with --tls-ca"

    def test_with_another_ca(self, cloud: MockCloud, tmp_path: Path) -> None:
        development_ca.provide(tmp_path, [])
        assert self.error(cloud, f"--tls-ca={tmp_path / 'ca.pem'}").startswith(
            "the certificate of the cloud at ADDRESS is not to be trusted: "
        )

    def test_without_a_certificate(self, mutual: MockCloud, directory: Path) -> None:
        shown = "a certificate, by --tls-cert and --tls-key"
        assert self.error(mutual).endswith(f"name its CA with --tls-ca, and show {shown}")
        assert self.error(mutual, f"--tls-ca={directory / 'ca.pem'}") == (
            f"the cloud at ADDRESS wants to be shown {shown}"
        )

    def test_with_a_certificate_of_another_ca(
        self, mutual: MockCloud, directory: Path, tmp_path: Path
    ) -> None:
        development_ca.provide(tmp_path, [])
        strange = [f"--tls-cert={tmp_path / 'client.pem'}", f"--tls-key={tmp_path / 'client.key'}"]
        assert self.error(mutual, f"--tls-ca={directory / 'ca.pem'}", *strange) == (
            f"the cloud at ADDRESS does not take the certificate in {tmp_path / 'client.pem'}"
        )

    def test_tls_where_there_is_none(self, mockcloud: MockCloud, tmp_path: Path) -> None:
        development_ca.provide(tmp_path, [])
        assert self.error(mockcloud, f"--tls-ca={tmp_path / 'ca.pem'}") == (
            "the cloud at ADDRESS speaks no TLS: leave out --tls-ca"
        )

    def test_files_that_make_no_sense(self, cloud: MockCloud, directory: Path) -> None:
        ca, certificate, key = directory / "ca.pem", directory / "client.pem", directory / "server.key"
        assert self.error(cloud, f"--tls-ca={key}") == f"{key} is no certificate"
        assert "shown with its key" in self.error(cloud, f"--tls-ca={ca}", f"--tls-cert={certificate}")
        assert "with --tls-ca" in self.error(cloud, f"--tls-cert={certificate}", f"--tls-key={key}")
        assert self.error(cloud, f"--tls-ca={ca}", f"--tls-cert={certificate}", f"--tls-key={key}") == (
            f"{certificate} and {key} are no certificate and its key"
        )


class TestDevelopmentCa:
    def certificate(self, directory: Path, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((directory / f"{name}.pem").read_bytes())

    def test_what_is_there_is_used_again(self, directory: Path) -> None:
        development_ca.provide(directory, ["127.0.0.1"])
        before = {path.name: path.read_bytes() for path in directory.iterdir()}
        development_ca.provide(directory, ["127.0.0.1"])
        assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
        assert set(before) == {
            f"{name}.{end}" for name in ("ca", "server", "client") for end in ("pem", "key")
        }
        for name in ("ca", "server", "client"):
            mode = stat.S_IMODE((directory / f"{name}.key").stat().st_mode)
            assert mode == 0o600, "keys are for their owner only"

    def test_another_host_gets_another_certificate_of_the_same_ca(self, directory: Path) -> None:
        development_ca.provide(directory, [])
        ca, server = self.certificate(directory, "ca"), self.certificate(directory, "server")
        development_ca.provide(directory, ["mock.example", "203.0.113.7"])
        after = self.certificate(directory, "server")
        assert self.certificate(directory, "ca") == ca
        assert after != server
        names = after.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert {"mock.example", "localhost"} <= set(names.get_values_for_type(x509.DNSName))
        assert "203.0.113.7" in {str(each) for each in names.get_values_for_type(x509.IPAddress)}

    def test_a_new_ca_makes_all_new(self, directory: Path) -> None:
        development_ca.provide(directory, [])
        server = self.certificate(directory, "server")
        (directory / "ca.key").unlink()
        development_ca.provide(directory, [])
        assert self.certificate(directory, "server") != server
        self.certificate(directory, "server").verify_directly_issued_by(self.certificate(directory, "ca"))

    def test_a_place_where_none_can_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StartupError, match="no development CA can be made"):
            development_ca.provide(tmp_path / "file", [])
        (tmp_path / "ca.pem").write_text("no certificate")
        (tmp_path / "ca.key").write_text("no key")
        with pytest.raises(StartupError, match="no development CA can be made"):
            development_ca.provide(tmp_path, [])
        assert (tmp_path / "ca.key").read_text() == "no key"


def test_files_that_are_no_certificates(directory: Path) -> None:
    development_ca.provide(directory, [])
    server, key, text = directory / "server.pem", directory / "server.key", directory / "text"
    text.write_text("hello")
    for tls, problem in (
        (Tls(directory / "none", key), "none cannot be read: No such file or directory"),
        (Tls(server, directory / "client.key"), "are no certificate and its key"),
        (Tls(text, key), "are no certificate and its key"),
        (Tls(server, key, text), "text is no certificate"),
    ):
        with pytest.raises(StartupError, match=problem):
            CloudSettings(tls=tls).check()
    CloudSettings(tls=Tls(server, key, directory / "ca.pem")).check()


def test_plain_is_the_default(mockcloud: MockCloud) -> None:
    with grpc.insecure_channel(mockcloud.cloud_ops) as channel:
        grpc.channel_ready_future(channel).result(10)
    assert mockcloud.http.startswith("http://")
