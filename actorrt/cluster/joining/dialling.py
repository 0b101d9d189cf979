"""Connects to the TLS port of another node."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Final

from actorrt.cluster.joining.tls_stream import TlsStream
from actorrt.cluster.security.card import Card
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.tls import Credentials, client_context, refusal_of
from actorrt.cluster.security.token import split_host_port
from actorrt.errors import PeerUnreachableError
from actorrt.ids import NodeId

DIAL_S: Final = 5.0
_WHY: Final = {
    errno.ECONNREFUSED: "no node listens there (connection refused)",
    errno.EHOSTUNREACH: "this machine has no route to it",
    errno.ENETUNREACH: "this machine has no route to it",
}


async def dial(address: str, timeout_s: float = DIAL_S) -> socket.socket:
    """Return a TCP connection to `host:port`, as a socket that does not block.

    Raises:
        PeerUnreachableError: nothing answers there; the text names the address and what is wrong with it.
    """
    host, port = _split(address)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            family, kind, protocol, _, place = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
            connection = socket.socket(family, kind, protocol)
            try:
                connection.setblocking(False)
                await loop.sock_connect(connection, place)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except BaseException:
                connection.close()
                raise
    except OSError as error:
        raise _unreachable(address, error, timeout_s) from error
    return connection


async def is_open(address: str, timeout_s: float = DIAL_S) -> bool:
    """Whether a port takes connections: the probe by which a member looks after a reset.

    Returns:
        True if it does, or if nothing answers in time; False if the connection is refused, so that no process listens.
    """
    try:
        (await dial(address, timeout_s)).close()
    except PeerUnreachableError as error:
        cause = error.__cause__
        return not (isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED)
    return True


async def open_as_member(
    address: str,
    credentials: Credentials,
    opening: bytes,
    wall: Callable[[], float],
    *,
    expected: NodeId,
) -> TlsStream:
    """Connect to another member and send the first message; return the connection.

    Args:
        address: the TLS port of the other node, `host:port`.
        credentials: what this node shows.
        opening: the first message, which names the route at the other node.
        wall: the time in seconds since 1970.
        expected: the node that has to be there.

    Raises:
        PeerUnreachableError: nothing answers there, or the connection broke.
        RefusedError: the far end is not the expected node.
    """
    stream = TlsStream(await dial(address), client_context(credentials), is_server=False)
    try:
        check_member(credentials, await stream.handshake(), expected, wall(), address)
        await stream.send(opening)
    except ssl.SSLError as error:
        stream.close()
        raise refusal_of(error, address) from error
    except OSError as error:
        stream.close()
        raise _unreachable(address, error, DIAL_S) from error
    except BaseException:
        stream.close()
        raise
    return stream


def check_member(
    credentials: Credentials, certificate: bytes | None, expected: NodeId, now_s: float, address: str
) -> Card:
    """Return the card of the far end, if it is the expected node.

    Raises:
        RefusedError: it is not.
    """
    if certificate is None:
        raise RefusedError(Reason.CARD_MISSING, f"{address} shows no card")
    card = credentials.authority.check(certificate, now_s, of=f"the card of {address}")
    if card.node != expected:
        raise RefusedError(
            Reason.NO_MEMBER, f"{address} is node {card.node.hex()[:12]}, and not node {expected.hex()[:12]} any more"
        )
    return card


def _split(address: str) -> tuple[str, int]:
    try:
        return split_host_port(address)
    except ValueError as error:
        raise PeerUnreachableError(str(error)) from error


def _unreachable(address: str, error: OSError, timeout_s: float) -> PeerUnreachableError:
    if isinstance(error, TimeoutError):
        why = f"no answer within {timeout_s:g} s: a firewall may be between, or the machine is off"
    elif isinstance(error, socket.gaierror):
        why = "no machine has this name"
    else:
        why = _WHY.get(error.errno or 0, error.strerror or str(error))
    return PeerUnreachableError(f"{address} can't be reached: {why}")
