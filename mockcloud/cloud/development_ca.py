"""A certificate authority for development, made on the spot: its own certificate, the server's, and one for clients.

They lie in one directory: `ca.pem` is what clients trust, `server.pem` and `server.key` are the cloud's, `client.pem`
and `client.key` are for clients where the cloud asks for certificates. What is there and lasts is used again. Nothing
else may trust this CA: its key lies beside it.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mockcloud.core.errors import StartupError

_LIFE: Final = dt.timedelta(days=365)
_RENEWED_BEFORE: Final = dt.timedelta(days=7)
_NAMES: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def provide(directory: Path, hosts: Iterable[str]) -> None:
    """Make what is not there, or ends soon, or is not for all of `hosts`. StartupError: it cannot be used."""
    names = sorted({*_NAMES, *hosts})
    try:
        directory.mkdir(parents=True, exist_ok=True)
        ca = _read(directory, "ca")
        if ca is None or _ends(ca):
            ca = _write(directory, "ca", _issue("mockcloud development CA", None, [], ()))
        for name, usage, wanted in (
            ("server", ExtendedKeyUsageOID.SERVER_AUTH, names),
            ("client", ExtendedKeyUsageOID.CLIENT_AUTH, []),
        ):
            pair = _read(directory, name)
            if pair is None or _ends(pair) or not _is_of(pair, ca) or not set(wanted) <= _names_of(pair):
                _write(directory, name, _issue(f"mockcloud {name}", ca, wanted, (usage,)))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StartupError(f"no development CA can be made in {directory}: {reason}") from error


def _issue(
    name: str, ca: _Pair | None, hosts: Iterable[str], usages: Iterable[x509.ObjectIdentifier]
) -> _Pair:
    """A new certificate: of the CA, or the CA's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.certificate.subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((ca.key if ca else key).public_key()),
            critical=False,
        )
        .add_extension(_key_usage(of_ca=ca is None), critical=True)
    )
    names = [_general_name(host) for host in hosts]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    usages = list(usages)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return _Pair(builder.sign(ca.key if ca else key, hashes.SHA256()), key)


def _key_usage(*, of_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not of_ca,
        key_cert_sign=of_ca,
        crl_sign=of_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _names_of(pair: _Pair) -> set[str]:
    try:
        extension = pair.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    names = extension.value
    return {
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    }


def _is_of(pair: _Pair, ca: _Pair) -> bool:
    try:
        pair.certificate.verify_directly_issued_by(ca.certificate)
    except Exception:  # noqa: BLE001 - whatever it is, a new one is made
        return False
    return True


def _ends(pair: _Pair) -> bool:
    return pair.certificate.not_valid_after_utc - dt.datetime.now(dt.UTC) < _RENEWED_BEFORE


def _read(directory: Path, name: str) -> _Pair | None:
    """What is there; None: nothing. ValueError: it is something else."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    if not (certificate.exists() and key.exists()):
        return None
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{key.name} there is none of its keys")  # noqa: TRY004 - it is what the file holds
    return _Pair(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded)


def _write(directory: Path, name: str, pair: _Pair) -> _Pair:
    key = directory / f"{name}.key"
    key.touch(mode=0o600)
    key.write_bytes(
        pair.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (directory / f"{name}.pem").write_bytes(pair.certificate.public_bytes(serialization.Encoding.PEM))
    return pair
