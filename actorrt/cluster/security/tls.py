"""The TLS 1.3 of a cluster: contexts for both sides, and the card of the far end.

TLS proves that the far end has the private key of a certificate that this cluster's authority has signed.
`Authority.check` then reads the certificate as a card. OpenSSL does not compare the certificate with the clock, because
its alert would not say by how much the clocks of two machines differ; `Authority.check` does, and says it.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Final

from actorrt.cluster.security.authority import Authority
from actorrt.cluster.security.card import Card
from actorrt.cluster.security.refusals import Reason, RefusedError

_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME, which the module `ssl` has no name for."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a node shows to others.

    Attributes:
        authority: the authority of its cluster.
        card: its card.
        card_path, key_path: the files of its card and of the card's key.
    """

    authority: Authority
    card: Card
    card_path: str
    key_path: str


def server_context(credentials: Credentials) -> ssl.SSLContext:
    """Return the context of a node's TLS port.

    A client may show no certificate, since a node that joins by a token has none; one of another authority ends the
    handshake. Sessions are not resumed, since a resumed one would not show its card again.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=credentials.authority.certificate)
    context.load_cert_chain(credentials.card_path, credentials.key_path)
    return context


def client_context(credentials: Credentials | None) -> ssl.SSLContext:
    """Return the context of a client.

    Args:
        credentials: what the client shows. None: it has only the fingerprint of the authority; it must check the
            certificate of the far end itself before it sends anything that depends on a secret.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # a card names a node, not a host
    if credentials is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=credentials.authority.certificate)
        context.load_cert_chain(credentials.card_path, credentials.key_path)
    return context


def certificate_of(connection: ssl.SSLSocket) -> bytes | None:
    """Return the certificate (DER) of the far end of a connection after its handshake; None if it showed none."""
    return connection.getpeercert(binary_form=True)


def refusal_of(error: ssl.SSLError, far_end: str) -> RefusedError:
    """Return what an error of a handshake means, in words."""
    name = error.reason or ""
    is_alert = name.endswith(("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_DECRYPT_ERROR"))
    if is_alert or isinstance(error, ssl.SSLCertVerificationError):
        text = (
            f"{far_end} belongs to another cluster, or is no node: a node joins a cluster with a token of that cluster"
        )
        return RefusedError(Reason.ANOTHER_CLUSTER, text)
    if name in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"):
        text = f"{far_end} does not speak TLS: give the address that `actorrt node --listen` printed"
        return RefusedError(Reason.NO_TLS, text)
    return RefusedError(Reason.HANDSHAKE_FAILED, f"the TLS handshake with {far_end} failed: {name or error}")


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= _NO_CHECK_TIME
    return context
