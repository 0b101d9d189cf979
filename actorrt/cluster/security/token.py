"""Pure: a join token: one string that a person pastes, by which a machine finds, checks and joins a cluster.

The text is `art1.` and base32 of: the id of the token, its secret, the fingerprint of the cluster's authority, the
addresses of the entry node, and a checksum. Base32 has no character that chats, shells or terminals treat as special,
and letters of either case are the same. White space in a token is ignored, since line breaks come with pasting.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from actorrt.cluster.security.refusals import Reason, RefusedError

PREFIX: Final = "art1."
TOKEN_ID_BYTES: Final = 8
SECRET_BYTES: Final = 20
FINGERPRINT_BYTES: Final = 32
MAX_ADDRESSES_COUNT: Final = 8
MAX_ADDRESS_BYTES: Final = 255
MAX_TOKEN_CHARACTERS: Final = 4_096
_CHECKSUM_BYTES: Final = 4
_FIXED_BYTES: Final = TOKEN_ID_BYTES + SECRET_BYTES + FINGERPRINT_BYTES + 1
_ANY_PREFIX: Final = re.compile(r"art(\d{1,6})\.")
_AGAIN: Final = "copy it again, whole, from where `actorrt token` printed it"


@dataclass(frozen=True, slots=True)
class Token:
    """A join token.

    Attributes:
        id: names the token's row in the control store. It is no secret.
        secret: proves the right to join.
        fingerprint: the SHA-256 of the certificate of the cluster's authority.
        addresses: where the entry node listens, each `host:port`.
    """

    id: bytes
    secret: bytes = field(repr=False)
    fingerprint: bytes
    addresses: tuple[str, ...]

    def text(self) -> str:
        """Return the token as a string.

        Raises:
            ValueError: there are too many addresses, none, or one that is too long.
        """
        body = self.id + self.secret + self.fingerprint + _pack_addresses(self.addresses)
        return PREFIX + base64.b32encode(body + _checksum(body)).decode().rstrip("=").lower()

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a token.

        Raises:
            RefusedError: the text is no token, or a damaged one.
        """
        if len(text) > MAX_TOKEN_CHARACTERS:
            raise _malformed(f"this is no token: it has {len(text)} characters")
        text = "".join(text.split()).lower()
        prefix = _ANY_PREFIX.match(text)
        if prefix is None:
            raise _malformed(f"this is no token: a token begins with {PREFIX} (`actorrt token` makes one)")
        if prefix.group() != PREFIX:
            raise _malformed(
                f"this token is of another version of actorrt: it begins with {prefix.group()}, and this version "
                f"reads {PREFIX}; install the version that the cluster has"
            )
        encoded = text.removeprefix(PREFIX).upper()
        try:
            packed = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
        except (binascii.Error, ValueError):
            raise _malformed(f"the token is damaged or cut off: {_AGAIN}") from None
        body, checksum = packed[:-_CHECKSUM_BYTES], packed[-_CHECKSUM_BYTES:]
        if _checksum(body) != checksum or len(body) < _FIXED_BYTES:
            raise _malformed(f"the token is damaged or cut off: {_AGAIN}")
        token_id, rest = body[:TOKEN_ID_BYTES], body[TOKEN_ID_BYTES:]
        secret, rest = rest[:SECRET_BYTES], rest[SECRET_BYTES:]
        return cls(token_id, secret, rest[:FINGERPRINT_BYTES], _read_addresses(rest[FINGERPRINT_BYTES:]))


def split_host_port(address: str) -> tuple[str, int]:
    """Return the host and the port of an address `host:port`, of which the host may be in brackets.

    Raises:
        ValueError: the address has another form.
    """
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError(f"{address!r} is not HOST:PORT, such as 10.0.0.1:7001 or [::1]:7001")
    return host, int(port)


def join_host_port(host: str, port: int) -> str:
    """Return an address `host:port`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _pack_addresses(addresses: Sequence[str]) -> bytes:
    if not 0 < len(addresses) <= MAX_ADDRESSES_COUNT:
        raise ValueError(f"a token has 1 to {MAX_ADDRESSES_COUNT} addresses, not {len(addresses)}")
    packed = [address.encode() for address in addresses]
    for address, text in zip(packed, addresses, strict=True):
        split_host_port(text)
        if len(address) > MAX_ADDRESS_BYTES:
            raise ValueError(f"the address {text!r} has {len(address)} bytes; {MAX_ADDRESS_BYTES} are allowed")
    return bytes([len(packed)]) + b"".join(bytes([len(address)]) + address for address in packed)


def _read_addresses(packed: bytes) -> tuple[str, ...]:
    found: list[str] = []
    position = 1
    try:
        for _ in range(packed[0]):
            end = position + 1 + packed[position]
            found.append(packed[position + 1 : end].decode())
            position = end
        for address in found:
            split_host_port(address)
    except (IndexError, ValueError):
        raise _malformed(f"the token is damaged: {_AGAIN}") from None
    if not found or position != len(packed):
        raise _malformed(f"the token is damaged: {_AGAIN}")
    return tuple(found)


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(b"actorrt token" + body).digest()[:_CHECKSUM_BYTES]


def _malformed(text: str) -> RefusedError:
    return RefusedError(Reason.TOKEN_MALFORMED, text)
