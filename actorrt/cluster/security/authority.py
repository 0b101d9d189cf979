"""The certificate authority of a cluster: its certificate, by which cards are checked, and its key, which issues them.

The id of a cluster is the SHA-256 of its authority's certificate. Randomness and time are handed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from actorrt.cluster.security.card import BACKDATED_S, CARD_S, Card, Role, load_certificate, names_of
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.texts import duration, short_cluster
from actorrt.ids import NodeId

Draw = Callable[[int], bytes]
"""Returns so many random bytes."""

SIGNING_KEY_BYTES: Final = 32
_AUTHORITY_S: Final = 20 * 365 * 86_400.0
_SERIAL_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Authority:
    """The certificate of a cluster's authority.

    Attributes:
        certificate: the certificate (DER).
        fingerprint: its SHA-256, which is the id of the cluster.
    """

    certificate: bytes = field(repr=False)
    fingerprint: bytes
    _parsed: x509.Certificate = field(repr=False, compare=False)

    @classmethod
    def read(cls, certificate: bytes) -> Authority:
        """Read a certificate.

        Raises:
            RefusedError: it is not that of an authority.
        """
        parsed = load_certificate(certificate)
        try:
            parsed.verify_directly_issued_by(parsed)
            is_authority = parsed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound, UnsupportedAlgorithm) as error:
            raise RefusedError(Reason.MALFORMED, "the certificate is not that of a cluster's authority") from error
        if not is_authority or not isinstance(parsed.public_key(), Ed25519PublicKey):
            raise RefusedError(Reason.MALFORMED, "the certificate is not that of a cluster's authority")
        return cls(certificate, hashlib.sha256(certificate).digest(), parsed)

    def check(self, certificate: bytes, now_s: float, *, of: str = "the card") -> Card:
        """Return the card that a certificate is, if it belongs to this cluster and is valid.

        Args:
            certificate: the certificate (DER).
            now_s: the time of this machine, in seconds since 1970.
            of: the subject of the error texts.

        Raises:
            RefusedError: it is no card, of another cluster, not valid yet, or not any more.
        """
        self.check_signature(certificate, of=of)
        card = Card.read(certificate)
        if now_s < card.not_before_s:
            raise RefusedError(
                Reason.CARD_NOT_YET_VALID,
                f"{of} becomes valid in {duration(card.not_before_s - now_s)} by the clock of the machine that checks "
                f"it, so the clocks of two machines differ by {duration(card.not_before_s + BACKDATED_S - now_s)} or "
                "more: set them (NTP), and try again",
            )
        if now_s >= card.not_after_s:
            raise RefusedError(
                Reason.CARD_EXPIRED,
                f"{of} expired {duration(now_s - card.not_after_s)} ago by the clock of the machine that checks it: "
                "join with a new token (`actorrt token` makes it), or set the clocks (NTP) if this is wrong",
            )
        return card

    def check_signature(self, certificate: bytes, *, of: str = "the card") -> None:
        """Check that this authority has signed a certificate, whatever the clock says.

        Raises:
            RefusedError: it has not.
        """
        try:
            load_certificate(certificate).verify_directly_issued_by(self._parsed)
        except (ValueError, TypeError, InvalidSignature) as error:
            here = short_cluster(self.fingerprint)
            raise RefusedError(
                Reason.ANOTHER_CLUSTER,
                f"{of} is of another cluster than {here}: join with a token of this one (`actorrt token` makes it)",
            ) from error

    def pem(self) -> bytes:
        """Return the certificate as PEM."""
        return self._parsed.public_bytes(Encoding.PEM)


@dataclass(frozen=True, slots=True)
class Issuer:
    """An authority with its key, which every full node of the cluster has.

    Attributes:
        authority: the certificate.
        key: the key of the authority.
    """

    authority: Authority
    key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def make(cls, draw: Draw, now_s: float) -> Issuer:
        """Make the authority of a new cluster."""
        key = Ed25519PrivateKey.from_private_bytes(draw(SIGNING_KEY_BYTES))
        public_key = key.public_key()
        name = _name(f"actorrt cluster {draw(8).hex()}")
        identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
        certificate = (
            _certificate(draw, now_s - BACKDATED_S, now_s + _AUTHORITY_S)
            .subject_name(name)
            .issuer_name(name)
            .public_key(public_key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(issues=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, None)
        )
        return cls(Authority.read(certificate.public_bytes(Encoding.DER)), key)

    @classmethod
    def of_key(cls, authority: Authority, private_key: bytes) -> Issuer:
        """Pair an authority with its key, 32 bytes.

        Raises:
            RefusedError: it is another one's key.
        """
        try:
            key = Ed25519PrivateKey.from_private_bytes(private_key)
        except ValueError as error:
            raise RefusedError(Reason.MALFORMED, "the key of the cluster's authority is malformed") from error
        issuer = cls(authority, key)
        if key.public_key() != authority._parsed.public_key():
            raise RefusedError(Reason.MALFORMED, "the key is not that of the cluster's authority")
        return issuer

    def private_key(self) -> bytes:
        """Return the key, 32 bytes."""
        return private_bytes(self.key)

    def issue(self, node: NodeId, key: bytes, public_key: bytes, role: Role, draw: Draw, now_s: float) -> Card:
        """Issue the card of a node.

        Args:
            node: the id of the node.
            key: its CURVE key.
            public_key: the Ed25519 key that signs its TLS handshakes.
            role: its role.
            draw: the source of the serial number.
            now_s: the time, in seconds since 1970.

        Raises:
            ValueError: a key is malformed.
        """
        signing = Ed25519PublicKey.from_public_bytes(public_key)
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            _certificate(draw, now_s - BACKDATED_S, now_s + CARD_S)
            .subject_name(_name(f"actorrt node {node.hex()}"))
            .issuer_name(self.authority._parsed.subject)
            .public_key(signing)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(issues=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(names_of(node, key, role), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(signing), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, None)
        )
        return Card.read(certificate.public_bytes(Encoding.DER))


def private_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return a private key as 32 bytes."""
    return key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return the public key of a private key as 32 bytes."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """Return a private key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def private_key_of_pem(pem: bytes) -> Ed25519PrivateKey:
    """Return the private key in a PEM.

    Raises:
        ValueError: the PEM holds no such key.
    """
    try:
        key = load_pem_private_key(pem, None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("not an unencrypted Ed25519 key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")
    return key


def certificate_of_pem(pem: bytes) -> bytes:
    """Return the certificate in a PEM (DER).

    Raises:
        ValueError: the PEM holds no certificate.
    """
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def _certificate(draw: Draw, not_before_s: float, not_after_s: float) -> x509.CertificateBuilder:
    serial = int.from_bytes(draw(_SERIAL_BYTES), "big") >> 1 or 1
    return (
        x509.CertificateBuilder()
        .serial_number(serial)
        .not_valid_before(datetime.fromtimestamp(int(not_before_s), UTC))
        .not_valid_after(datetime.fromtimestamp(int(not_after_s), UTC))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, issues: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not issues,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issues,
        crl_sign=issues,
        encipher_only=False,
        decipher_only=False,
    )
