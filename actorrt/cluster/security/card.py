"""The card of a node: an X.509 certificate whose names are the node's id, its CURVE key and its role.

A card says that a node belongs to a cluster. It does not name the incarnation of the node's daemon, so a node has one
card over restarts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.ids import ID_BYTES, NodeId
from actorrt.transport.zeromq.security import KEY_BYTES

CARD_S: Final = 30 * 86_400.0
"""How long a card is valid. It is renewed at half of this."""
BACKDATED_S: Final = 600.0
"""A card is valid from so long before it was issued, since the clocks of two nodes may differ."""
_NODE, _KEY, _ROLE = "actorrt:node:", "actorrt:curve:", "actorrt:role:"


class Role(StrEnum):
    """What a node does in its cluster.

    FULL nodes host actors, have the authority's key, and admit others. DRIVER nodes run drivers only.
    """

    FULL = "full"
    DRIVER = "driver"


@dataclass(frozen=True, slots=True)
class Card:
    """A card that has been read, but not yet checked; `Authority.check` checks it.

    Attributes:
        node: the id of the node.
        key: its CURVE key.
        role: its role.
        public_key: the Ed25519 key that signs the TLS handshakes of the node.
        not_before_s, not_after_s: the card is valid between these times, in seconds since 1970.
        certificate: the certificate itself (DER).
    """

    node: NodeId
    key: bytes
    role: Role
    public_key: bytes
    not_before_s: float
    not_after_s: float
    certificate: bytes = field(repr=False)

    @classmethod
    def read(cls, certificate: bytes) -> Card:
        """Read a certificate.

        Raises:
            RefusedError: it is not the card of a node.
        """
        found = load_certificate(certificate)
        try:
            public_key = found.public_key()
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uris = names.get_values_for_type(x509.UniformResourceIdentifier)
            node, key = bytes.fromhex(_named(uris, _NODE)), bytes.fromhex(_named(uris, _KEY))
            role = Role(_named(uris, _ROLE))
        except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension, UnsupportedAlgorithm) as error:
            raise RefusedError(Reason.CARD_MALFORMED, f"the certificate is not the card of a node: {error}") from error
        if len(node) != ID_BYTES or len(key) != KEY_BYTES or not isinstance(public_key, Ed25519PublicKey):
            raise RefusedError(
                Reason.CARD_MALFORMED, "the certificate is not the card of a node: a key has another form"
            )
        return cls(
            NodeId(node),
            key,
            role,
            public_key.public_bytes(Encoding.Raw, PublicFormat.Raw),
            found.not_valid_before_utc.timestamp(),
            found.not_valid_after_utc.timestamp(),
            certificate,
        )

    @property
    def fingerprint(self) -> bytes:
        """The SHA-256 of the certificate."""
        return hashlib.sha256(self.certificate).digest()

    @property
    def renewal_s(self) -> float:
        """The time at which the card is to be renewed, in seconds since 1970."""
        return self.not_after_s - CARD_S / 2

    def pem(self) -> bytes:
        """Return the certificate as PEM."""
        return x509.load_der_x509_certificate(self.certificate).public_bytes(Encoding.PEM)


def load_certificate(certificate: bytes) -> x509.Certificate:
    """Parse a certificate (DER). Nothing is known of its signature.

    Raises:
        RefusedError: the bytes are no certificate.
    """
    try:
        return x509.load_der_x509_certificate(certificate)
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise RefusedError(Reason.CARD_MALFORMED, f"the bytes are no certificate: {error}") from error


def names_of(node: NodeId, key: bytes, role: Role) -> x509.SubjectAlternativeName:
    """Return the names of a card, as an extension of its certificate."""
    uris = (f"{_NODE}{node.hex()}", f"{_KEY}{key.hex()}", f"{_ROLE}{role.value}")
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])


def _named(uris: list[str], prefix: str) -> str:
    found = [uri.removeprefix(prefix) for uri in uris if uri.startswith(prefix)]
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} names that begin with {prefix!r}")
    return found[0]
