"""Joins a cluster: by a token, or again by the card of a node that belongs to it."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.applicant import Applicant, Joined
from actorrt.cluster.joining.dialling import DIAL_S, dial
from actorrt.cluster.joining.fitting import own_versions
from actorrt.cluster.joining.messages import Question, Refusal
from actorrt.cluster.joining.tls_stream import TlsStream
from actorrt.cluster.security.card import Role
from actorrt.cluster.security.identity import Identity
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.tls import Credentials, client_context, refusal_of
from actorrt.cluster.security.token import Token
from actorrt.errors import PeerUnreachableError

T = TypeVar("T")

JOIN_S: Final = 25.0
_TRY_NEXT: Final = {Reason.ANOTHER_CLUSTER, Reason.NO_TLS, Reason.HANDSHAKE_FAILED, Reason.NO_MEMBER}
"""Refusals after which another address is tried: at this one may be another machine than was meant."""


def read_token(text: str) -> Token:
    """Read a token.

    Raises:
        AuthenticationError: the text is no token, or a damaged one.
    """
    try:
        return Token.parse(text)
    except RefusedError as error:
        raise error.public() from None


async def join(
    by: Token | Credentials,
    identity: Identity,
    *,
    wall: Callable[[], float],
    role: Role = Role.FULL,
    addresses: Sequence[str] = (),
    about: bytes = b"",
    timeout_s: float = JOIN_S,
) -> Joined:
    """Join a cluster. Nothing is kept here: the caller keeps what it gets, by `StateDirectory.keep_membership`.

    A join that was cut short can be repeated; with the same identity it uses the token once.

    Args:
        by: a token, or what a node of the cluster shows.
        identity: the identity of this node.
        wall: the time in seconds since 1970.
        role: what this node does in the cluster.
        addresses: where nodes of the cluster listen, each `host:port`; those in the token if none are given. They are
            tried in turn.
        about: what the membership of the entry node is to know about this node, at most `messages.ABOUT_BYTES`.
        timeout_s: how long the conversation at one address may take.

    Raises:
        AuthenticationError: the entry node refuses this one, or is none of the cluster; the text says why.
        WireVersionError: the versions of actorrt do not fit.
        ControlUnavailableError: the cluster can't admit anybody now.
        PeerUnreachableError: no address can be reached.
    """
    if len(about) > messages.ABOUT_BYTES:
        raise ValueError(f"about has {len(about)} bytes; {messages.ABOUT_BYTES} are allowed")
    if isinstance(by, Token):
        addresses = addresses or by.addresses
    context = client_context(None if isinstance(by, Token) else by)

    async def converse(address: str) -> Joined:
        applicant = Applicant(
            identity,
            role,
            own_versions(sys.version_info[:2]),
            about,
            token=by if isinstance(by, Token) else None,
            authority=None if isinstance(by, Token) else by.authority,
        )
        connection = await dial(address, min(timeout_s, DIAL_S))
        local_host = connection.getsockname()[0]
        stream = TlsStream(connection, context, is_server=False)
        try:
            message = applicant.begin(await stream.handshake(), wall())
            while True:
                await stream.send(message)
                outcome = applicant.received(await stream.receive(messages.ANSWER_BYTES), wall())
                if isinstance(outcome, Joined):
                    return replace(outcome, local_host=local_host)
                message = outcome
        finally:
            stream.close()

    return await _first_success(addresses, converse, timeout_s)


async def ask_why(
    credentials: Credentials, addresses: Sequence[str], wall: Callable[[], float], timeout_s: float = JOIN_S
) -> None:
    """Ask a node of the cluster whether it accepts this one: for a node whose connections are refused without words.

    Raises:
        AuthenticationError: it does not; the text says why.
        PeerUnreachableError: no address can be reached.
    """

    context = client_context(credentials)

    async def converse(address: str) -> None:
        stream = TlsStream(await dial(address, min(timeout_s, DIAL_S)), context, is_server=False)
        try:
            certificate = await stream.handshake()
            assert certificate is not None, "the context requires one"
            credentials.authority.check(certificate, wall(), of=f"the card of {address}")
            await stream.send(messages.pack(messages.ASK, Question()))
            message = messages.read(await stream.receive(messages.ANSWER_BYTES))
        finally:
            stream.close()
        if message.kind == messages.REFUSAL:
            raise messages.contents_of(message, Refusal).error()
        if message.kind != messages.ACCEPTED:
            raise RefusedError(Reason.MALFORMED, f"{address} sent a message {message.kind[:40]!r} out of turn")

    await _first_success(addresses, converse, timeout_s)


async def _first_success(
    addresses: Sequence[str], converse: Callable[[str], Coroutine[Any, Any, T]], timeout_s: float
) -> T:
    """Return the outcome of the first conversation that succeeds, with one address after the other."""
    refusal: tuple[RefusedError, str] | None = None
    failures: list[str] = []
    for address in addresses:
        try:
            async with asyncio.timeout(timeout_s):
                return await converse(address)
        except PeerUnreachableError as error:
            failures.append(str(error))
        except (RefusedError, ssl.SSLError) as error:
            refused = error if isinstance(error, RefusedError) else refusal_of(error, "the far end")
            if refused.reason not in _TRY_NEXT:
                raise refused.public(address) from error
            refusal = refusal or (refused, address)
        except TimeoutError:
            failures.append(f"{address} did not finish the conversation within {timeout_s:g} s")
        except OSError as error:
            failures.append(f"{address} closed the connection without a reason ({error}): is it a node of the cluster?")
    if refusal is not None:
        raise refusal[0].public(refusal[1])
    raise PeerUnreachableError(f"{'; '.join(failures) or 'there is no address to join at'}{_hint(addresses)}")


def _hint(addresses: Sequence[str]) -> str:
    """Return the next step if all addresses are those of any machine itself."""
    if addresses and all(_is_loopback(address) for address in addresses):
        return (
            "; such an address is this machine's own: to join from another machine, start the entry node with "
            "--listen HOST, and make a new token there"
        )
    return ""


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
