"""What clients of a namespace may show: its CA certificates, and the filters of what these have issued.

Rules: the Cloud's documentation of certificates (cloud/certificates). That a certificate is of an authority that
everybody knows is not found out. Nobody is asked for certificates here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from temporalio.api.cloud.namespace.v1 import CertificateFilterSpec, MtlsAuthSpec

from mockcloud.core.errors import InvalidArgument

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MOST_CERTIFICATES: Final = 16
MOST_BYTES: Final = 32 * 1024
MOST_FILTERS: Final = 25


def check(mtls: MtlsAuthSpec) -> None:
    """Raises InvalidArgument for what no namespace can have."""
    if mtls.accepted_client_ca:
        _check_bundle(mtls.accepted_client_ca)
    elif mtls.enabled:
        raise InvalidArgument("mTLS needs an accepted_client_ca")
    if len(mtls.certificate_filters) > MOST_FILTERS:
        raise InvalidArgument(
            f"a namespace has at most {MOST_FILTERS} certificate filters, not {len(mtls.certificate_filters)}"
        )
    for each in mtls.certificate_filters:
        _check_filter(each)


def _check_bundle(bundle: bytes) -> None:
    # Only who has certificates waits for the library to be loaded.
    from cryptography import x509

    if len(bundle) > MOST_BYTES:
        raise InvalidArgument(f"accepted_client_ca has at most {MOST_BYTES} bytes, not {len(bundle)}")
    try:
        certificates = x509.load_pem_x509_certificates(bundle)
    except ValueError:
        raise InvalidArgument("accepted_client_ca is not a PEM encoded certificate") from None
    if len(certificates) > MOST_CERTIFICATES:
        raise InvalidArgument(
            f"accepted_client_ca has at most {MOST_CERTIFICATES} certificates, not {len(certificates)}"
        )
    for each in certificates:
        _check_authority(each, certificates)


def _check_authority(certificate: Certificate, bundle: Sequence[Certificate]) -> None:
    from cryptography import x509

    name = certificate.subject.rfc4514_string()
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        constraints = None
    if constraints is None or not constraints.ca:
        raise InvalidArgument(f"certificate {name!r} of accepted_client_ca is not one of a CA")
    if not _is_strong(certificate):
        raise InvalidArgument(
            f"certificate {name!r} of accepted_client_ca must be signed by RSA or ECDSA with SHA-256 or stronger"
        )
    if not any(_is_issued_by(certificate, each) for each in bundle):
        raise InvalidArgument(
            f"certificate {name!r} of accepted_client_ca is neither a root certificate nor issued by another of them"
        )


def _is_strong(certificate: Certificate) -> bool:
    """Whether it is signed by RSA or ECDSA, with SHA-256 or stronger."""
    from cryptography.x509.oid import SignatureAlgorithmOID as Signed

    if certificate.signature_algorithm_oid == Signed.RSASSA_PSS:
        used = certificate.signature_hash_algorithm
        return used is not None and used.name in {"sha256", "sha384", "sha512"}
    return certificate.signature_algorithm_oid in {
        Signed.RSA_WITH_SHA256,
        Signed.RSA_WITH_SHA384,
        Signed.RSA_WITH_SHA512,
        Signed.ECDSA_WITH_SHA256,
        Signed.ECDSA_WITH_SHA384,
        Signed.ECDSA_WITH_SHA512,
    }


def _is_issued_by(certificate: Certificate, issuer: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _check_filter(wanted: CertificateFilterSpec) -> None:
    values = [value for _, value in wanted.ListFields()]
    if not values:
        raise InvalidArgument("a certificate filter is empty")
    for value in values:
        inner = value.removeprefix("*") if value.startswith("*") else value.removesuffix("*")
        if "*" in inner or not inner:
            raise InvalidArgument(
                f"invalid value {value!r} of a certificate filter: one '*' may stand at its beginning or at its end"
            )
