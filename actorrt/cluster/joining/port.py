"""The TLS port of a node: accepts connections, bounds those that never get anywhere, and dispatches by first messages.

```
accept ─▶ first byte ─▶ handshake ─▶ first message ─▶ the route of its purpose ─▶ authenticated, or refused
└──────────────────────────── half-open: bounded in number, time and bytes ────┘
```

A route takes a visit over. It answers on the loop, or checks the client's card and lends the connection to a thread.
A connection that is closed before its first byte is a probe, by which a member looks whether the port is open; it is
counted and no refusal.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.half_open import HalfOpen
from actorrt.cluster.joining.messages import Message, Refusal
from actorrt.cluster.joining.refusal_log import RefusalLog
from actorrt.cluster.joining.tls_stream import TlsStream, first_byte, linger, no_tls
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.tls import Credentials, refusal_of, server_context
from actorrt.cluster.security.token import join_host_port
from actorrt.machine.clock import Clock
from actorrt.scopes import Scope

logger = logging.getLogger(__name__)

MOST_HALF_OPEN: Final = 128
OPENING_S: Final = 10.0
"""How long a client may take until its first message has arrived."""
BACKLOG_COUNT: Final = 128
ACCEPTED_AT_ONCE: Final = 16
NO_DESCRIPTORS_PAUSE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class PortStatistics:
    """The counts of a port.

    Attributes:
        half_open, most_half_open: the connections that are not authenticated, now and at most.
        authenticated: how many clients have authenticated themselves.
        probes: how many connections were closed before their first byte.
        refused: how many were refused, by the value of the `Reason`.
    """

    half_open: int
    most_half_open: int
    authenticated: int
    probes: int
    refused: dict[str, int]


class Visit:
    """A connection, from its acceptance until it is over.

    Args:
        port: the port.
        connection: the socket.
        host: the address of the client.

    Attributes:
        host: the address of the client.
        stream: the connection, once the client has begun a handshake.
        certificate: the certificate that the client showed (DER); None if it showed none. TLS has proven that the
            cluster's authority signed it and that the client has its key; `Authority.check` does the rest.
        packed, message: the first message, as bytes and read, once it has arrived.
    """

    def __init__(self, port: TlsPort, connection: socket.socket, host: str) -> None:
        self._port = port
        self._connection = connection
        self._limit: asyncio.Timeout | None = None
        self.host = host
        self.stream: TlsStream
        self.certificate: bytes | None = None
        self.packed = b""
        self.message = Message("", None)

    def allow(self, more_s: float) -> None:
        """Give the client so many seconds from now on, before it is authenticated."""
        assert self._limit is not None, "it is being served"
        self._limit.reschedule(asyncio.get_running_loop().time() + more_s)

    def authenticated(self) -> None:
        """Count the connection no longer as half-open. From now on only the route limits its time."""
        assert self._limit is not None, "it is being served"
        self._limit.reschedule(None)
        self._port._authenticated(self)

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._connection.close()
        if hasattr(self, "stream"):
            self.stream.close()


Route = Callable[[Visit], Awaitable[None]]
"""Handles a visit. It raises RefusedError to refuse the client, which is told so."""


class TlsPort:
    """The TLS port of a node.

    Args:
        credentials: what the node shows.
        scope: owns the tasks.
        clock: the time, for the log of refusals.
        most_half_open: how many connections that are not authenticated there may be.
        opening_s: how long a client may take until its first message has arrived.

    Attributes:
        routes: by the purposes of connections, what handles them.
    """

    def __init__(
        self,
        credentials: Credentials,
        scope: Scope,
        clock: Clock,
        *,
        most_half_open: int = MOST_HALF_OPEN,
        opening_s: float = OPENING_S,
    ) -> None:
        self._context = server_context(credentials)
        self._scope = scope
        self._clock = clock
        self._opening_s = opening_s
        self._half_open: HalfOpen[Visit] = HalfOpen(most_half_open)
        self._refusals = RefusalLog()
        self._tasks: dict[Visit, asyncio.Task[None]] = {}
        self._authenticated_count = 0
        self._probes_count = 0
        self._listener: socket.socket | None = None
        self.routes: dict[str, Route] = {}

    async def listen(self, host: str, port: int) -> str:
        """Listen; return the address `host:port`, with the port that was chosen if `port` is 0.

        Raises:
            OSError: the address can't be listened at; the text names it and says what to do.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, place = found[0]
            listener = socket.create_server(place[:2], family=family, backlog=BACKLOG_COUNT)
        except OSError as error:
            raise _listen_error(host, port, error) from error
        listener.setblocking(False)
        self._listener = listener
        loop.add_reader(listener.fileno(), self._accept)
        return join_host_port(host, listener.getsockname()[1])

    def renew(self, credentials: Credentials) -> None:
        """Show a new card from now on, in new connections."""
        self._context.load_cert_chain(credentials.card_path, credentials.key_path)

    def statistics(self) -> PortStatistics:
        """Return the counts of the port."""
        refused = {reason.value: count for reason, count in sorted(self._refusals.counts.items(), key=_by_name)}
        return PortStatistics(
            len(self._half_open), self._half_open.peak, self._authenticated_count, self._probes_count, refused
        )

    async def close(self) -> None:
        """Listen no more, and end all conversations that are on the loop. Idempotent."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None
        while self._tasks:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.wait(list(self._tasks.values()))

    def check_invariants(self) -> None:
        """Raise AssertionError if the counts contradict each other."""
        self._half_open.check_invariants()
        assert len(self._half_open) <= len(self._tasks), "a connection is half-open, but over"

    def refuse(self, host: str, error: RefusedError) -> None:
        """Count a refusal, and log it if it is the first one of its kind from the host."""
        if self._refusals.note(host, error.reason, self._clock.now()):
            logger.warning("refused %s: %s (further ones for this reason are only counted)", host, error)

    # Connections

    def _accept(self) -> None:
        assert self._listener is not None, "the reader is removed when the listener is closed"
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connection, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    self._pause_accepting(error)
                    return
                continue  # the connection broke before it was accepted
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._begin(connection, address[0])

    def _begin(self, connection: socket.socket, host: str) -> None:
        visit = Visit(self, connection, host)
        displaced = self._half_open.add(visit, host)
        if displaced is not None:
            self.refuse(displaced.host, RefusedError(Reason.TOO_MANY, "too many clients are not authenticated"))
            self._tasks[displaced].cancel()
        task = self._tasks[visit] = self._scope.start(self._serve(visit), "connection")
        task.add_done_callback(lambda _: self._over(visit))  # also if it is cancelled before it has begun

    def _over(self, visit: Visit) -> None:
        visit.close()
        self._half_open.remove(visit, visit.host)
        del self._tasks[visit]

    def _pause_accepting(self, error: OSError) -> None:
        """Pause accepting: without a free descriptor, waiting connections would keep the loop busy."""
        logger.warning("the TLS port accepts no connection for a moment: %s", error)
        assert self._listener is not None, "it has just accepted"
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        self._scope.after(NO_DESCRIPTORS_PAUSE_S, self._accept_again)

    def _accept_again(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    async def _serve(self, visit: Visit) -> None:
        """Serve one connection until it is over. Nothing that a stranger does is a defect of the node."""
        try:
            async with asyncio.timeout(self._opening_s) as visit._limit:
                if await self._begins_with_tls(visit):
                    await self._converse(visit)
        except TimeoutError:
            self.refuse(visit.host, RefusedError(Reason.TOO_SLOW, "the client did not finish in time"))
        except OSError as error:
            logger.debug("the connection of %s broke: %s", visit.host, error)
        except Exception:
            self.refuse(visit.host, RefusedError(Reason.DEFECT, "this node has a defect, which its log shows"))
            logger.exception("a defect in the conversation with %s", visit.host)

    async def _begins_with_tls(self, visit: Visit) -> bool:
        """Whether a client begins a handshake. Until it does, it costs no memory of TLS."""
        first = await first_byte(visit._connection)
        if not first:
            self._probes_count += 1
            return False
        if (error := no_tls(first)) is None:
            return True
        self.refuse(visit.host, error)
        await linger(visit._connection)
        return False

    async def _converse(self, visit: Visit) -> None:
        stream = visit.stream = TlsStream(visit._connection, self._context, is_server=True)
        try:
            visit.certificate = await stream.handshake()
        except ssl.SSLError as error:
            self.refuse(visit.host, refusal_of(error, "the client"))
            await stream.close_after_last_message()
            return
        try:
            visit.packed = await stream.receive(messages.FIRST_BYTES)
            visit.message = messages.read(visit.packed)
            await self._route_of(visit)(visit)
        except RefusedError as error:
            self.refuse(visit.host, error)
            await stream.send(messages.pack(messages.REFUSAL, Refusal.of(error)))
            await stream.close_after_last_message()

    def _route_of(self, visit: Visit) -> Route:
        route = self.routes.get(visit.message.kind)
        if route is None:
            raise RefusedError(Reason.UNKNOWN_PURPOSE, f"nothing here answers to {visit.message.kind[:40]!r}")
        return route

    def _authenticated(self, visit: Visit) -> None:
        self._half_open.remove(visit, visit.host)
        self._authenticated_count += 1


def _by_name(item: tuple[Reason, int]) -> str:
    return item[0].value


def _listen_error(host: str, port: int, error: OSError) -> OSError:
    """Return an error that names the address, what is wrong with it, and the next step."""
    address = join_host_port(host, port)
    if error.errno == errno.EADDRINUSE:
        why = "another process uses the port: give another one with --listen HOST:PORT, or stop that process"
    elif error.errno == errno.EADDRNOTAVAIL:
        why = "this machine has no such address: give one of its own with --listen, or 0.0.0.0 for all"
    elif error.errno == errno.EACCES:
        why = "the port is reserved: give one above 1023 with --listen HOST:PORT"
    elif isinstance(error, socket.gaierror):
        why = "no machine has this name: give an address with --listen HOST:PORT"
    else:
        why = error.strerror or str(error)
    return OSError(f"can't listen at {address}: {why}")
