"""CA certificates and filters of a namespace, as the documentation of the Cloud has their rules."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from temporalio.api.cloud.namespace.v1 import CertificateFilterSpec, MtlsAuthSpec

from mockcloud.control import client_certificates
from mockcloud.core.errors import InvalidArgument

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


_RSA = rsa.generate_private_key(65_537, 2048)


@dataclass(frozen=True)
class Pair:
    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def made(
    name: str,
    issuer: Pair | None = None,
    *,
    ca: bool | None = True,
    key: Key | None = None,
    algorithm: hashes.SHA256 | hashes.SHA224 | None = hashes.SHA256(),  # noqa: B008 - it has no state
) -> Pair:
    """A certificate, of itself or of an issuer; `ca` of None: it does not say."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return Pair(builder.sign(issuer.key if issuer else key, algorithm), key)


def refusal(bundle: bytes = b"", *filters: CertificateFilterSpec, enabled: bool = False) -> str:
    """Why a namespace cannot have these; empty: it can."""
    mtls = MtlsAuthSpec(enabled=enabled, accepted_client_ca=bundle, certificate_filters=filters)
    try:
        client_certificates.check(mtls)
    except InvalidArgument as error:
        return error.message
    return ""


def test_authorities() -> None:
    root, old = made("root"), made("old")
    between = made("between", root)

    assert refusal(made("rsa", key=_RSA).pem) == ""
    assert refusal(root.pem) == refusal(root.pem + old.pem) == ""
    assert refusal(root.pem + between.pem) == refusal(between.pem + root.pem) == ""
    assert "'CN=between' of accepted_client_ca is neither a root" in refusal(between.pem)
    assert "'CN=between' of accepted_client_ca is neither a root" in refusal(between.pem + made("root").pem)


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        (made("leaf", ca=False), "'CN=leaf' of accepted_client_ca is not one of a CA"),
        (made("silent", ca=None), "'CN=silent' of accepted_client_ca is not one of a CA"),
        (made("weak", algorithm=hashes.SHA224()), "must be signed by RSA or ECDSA with SHA-256 or stronger"),
        (made("fine but weak", made("rsa", key=_RSA), algorithm=hashes.SHA224()), "with SHA-256 or stronger"),
        (
            made("edwards", key=ed25519.Ed25519PrivateKey.generate(), algorithm=None),
            "must be signed by RSA or ECDSA",
        ),
    ],
)
def test_what_is_no_authority(pair: Pair, problem: str) -> None:
    assert problem in refusal(pair.pem)
    assert problem in refusal(made("root").pem + pair.pem)


def test_how_many() -> None:
    root = made("root")
    assert refusal(root.pem * 16) == ""
    assert "at most 16 certificates, not 17" in refusal(root.pem * 17)
    assert "at most 32768 bytes, not 32769" in refusal(root.pem.ljust(32_769, b"\n"))
    assert refusal(root.pem.ljust(32_768, b"\n")) == ""


@pytest.mark.parametrize("bundle", [b"nonsense", b"\xff", b"-----BEGIN CERTIFICATE-----\nno\n"])
def test_what_is_no_certificate(bundle: bytes) -> None:
    assert refusal(bundle) == "accepted_client_ca is not a PEM encoded certificate"


def test_clients_are_asked_by_certificates_that_are_there() -> None:
    assert refusal(enabled=True) == "mTLS needs an accepted_client_ca"
    assert refusal(made("root").pem, enabled=True) == refusal() == ""


@pytest.mark.parametrize("value", ["worker", "*.example.com", "Example Code*", "a"])
def test_filters(value: str) -> None:
    assert refusal(b"", CertificateFilterSpec(common_name=value)) == ""
    assert refusal(b"", *[CertificateFilterSpec(organization=value)] * 25) == ""
    assert "at most 25 certificate filters" in refusal(b"", *[CertificateFilterSpec(organization=value)] * 26)


@pytest.mark.parametrize("value", ["*", "**", ".example.*.", "code.*.com", "*.example.*"])
def test_filters_that_match_in_the_middle_or_everything(value: str) -> None:
    wanted = CertificateFilterSpec(common_name="worker", subject_alternative_name=value)
    assert "one '*' may stand at its beginning or at its end" in refusal(b"", wanted)


def test_an_empty_filter() -> None:
    assert refusal(b"", CertificateFilterSpec()) == "a certificate filter is empty"
