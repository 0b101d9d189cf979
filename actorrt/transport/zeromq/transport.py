"""The transport between machines, on ZeroMQ: `tcp://`; also `ipc://`, although `unix` is faster on one machine.

A transport has one inbound ROUTER, which sends only acknowledgements and notices, and an outbound DEALER for each link
(see `link`). The loop watches their descriptors; `zmq.asyncio` would double the cost of a round trip. A descriptor is
edge-triggered: once it has become readable, the socket must be read until it is empty (zmq_getsockopt(3), ZMQ_FD).

ZeroMQ's own guarantees are not enough: its queues are bounded in messages and not in bytes, and a connection that
breaks loses messages. So links have bounds of their own, and frames are numbered, acknowledged and sent again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import zmq

from actorrt.config import MAX_FRAME_BYTES
from actorrt.errors import AuthenticationError
from actorrt.ids import PeerId, short
from actorrt.transport.frames.codec import Hello
from actorrt.transport.interfaces import Buffer, Lane
from actorrt.transport.links import socket_path
from actorrt.transport.links.base_transport import BaseTransport
from actorrt.transport.links.queued_link import LinkSetup, QueuedLink
from actorrt.transport.zeromq.link import (
    SOCKET_QUEUE_FRAMES,
    ZmqContext,
    ZmqLink,
    ZmqSocket,
    fast_methods,
    notice_dead_connections,
    open_dealer,
)
from actorrt.transport.zeromq.security import Security, Verdict, ZapHandler, join_address, split_address

RECEIVE_BUDGET_FRAMES: Final = 64
"""After this many frames, other callbacks of the loop run before the next ones are received."""
_NOBLOCK: Final = int(zmq.NOBLOCK)
_SNDMORE_NOBLOCK: Final = int(zmq.SNDMORE | zmq.NOBLOCK)
_POLLIN: Final = int(zmq.POLLIN)
_EVENTS: Final = int(zmq.EVENTS)


class ZmqTransport(BaseTransport):
    """A transport on ZeroMQ.

    Args:
        peer: the id of this incarnation of this process.
        address: `ipc://` and a path of at most 107 bytes, or `tcp://host:port`; with port 0 the system chooses,
            and `address` holds the real one after `start`.
        context: a context that other users share and terminate; by default the transport makes its own. Two transports
            with `security` can't share a context.
        security: keys for `tcp`. Without keys, only loopback addresses can be used. With keys, `address` ends in `#`
            and the public key after `start`.
        options: as for `BaseTransport`.
    """

    schemes: ClassVar[tuple[str, ...]] = ("ipc://", "tcp://")

    def __init__(
        self,
        peer: PeerId,
        address: str,
        *,
        context: ZmqContext | None = None,
        security: Security | None = None,
        **options: Any,
    ) -> None:
        self._security = security
        super().__init__(peer, address, **options)
        self._is_own_context = context is None
        self._context = context
        self._is_secured = security is not None and address.startswith("tcp://")
        self._zap_handler: ZapHandler | None = None
        self._sender_key: bytes | None = None  # the key of the sender of the present message

    def _check_address(self, address: str) -> None:
        super()._check_address(address)
        path = address.removeprefix("ipc://")
        if path != address:
            socket_path.check_length(address, path)
        place, _ = split_address(address)
        if place.startswith("tcp://") and self._security is None and not _is_loopback(place):
            raise ValueError(
                f"{address!r} leaves this machine, and without keys this transport neither authenticates nor encrypts; "
                "use 127.0.0.1, or give it keys"
            )

    def _bind(self) -> None:
        if self.address.startswith("ipc://"):
            # libzmq would replace the socket of a process that listens there.
            socket_path.check_free(self.address, self.address.removeprefix("ipc://"))
        if self._context is None:
            self._context = zmq.Context(io_threads=1)
        router = self._context.socket(zmq.ROUTER)
        try:
            router.setsockopt(zmq.LINGER, 0)
            router.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
            router.setsockopt(zmq.RCVHWM, SOCKET_QUEUE_FRAMES)
            notice_dead_connections(router)
            if self._is_secured:
                assert self._security is not None
                asks = self._security.on_unknown_key is not None
                self._zap_handler = ZapHandler(
                    self._context, self._security.accepted, self._ask_about_key if asks else None
                )
                self._security.secure_listener(router)
            self._bind_router(router)
        except (zmq.ZMQError, OSError) as error:
            router.close()
            self._close_zap_handler()
            if self._is_own_context:
                self._context.term()  # returns at once: no link was opened, so nothing lingers
            raise OSError(error.errno, f"can't bind to {self.address}: {error}") from error
        self.address = router.getsockopt_string(zmq.LAST_ENDPOINT)
        if self._is_secured:
            assert self._security is not None
            self.address = join_address(self.address, self._security.keys.public)
        self._router = router
        fast = fast_methods(router)
        self._receive, self._get = fast.recv, fast.get
        self._router_fd = int(router.getsockopt(zmq.FD))
        self._is_drain_due = False
        self._loop.add_reader(self._router_fd, self._drain)
        self._drain_later()

    def _bind_router(self, router: ZmqSocket) -> None:
        """Bind the socket. Subclasses may choose a port."""
        router.bind(self.address)

    def _ask_about_key(self, key: bytes, verdict: Verdict) -> None:
        """Called in the thread of the ZAP handler: ask on the loop."""
        assert self._security is not None
        assert self._security.on_unknown_key is not None
        with suppress(RuntimeError):  # the loop is closed, and with it everything that waits for it
            self._loop.call_soon_threadsafe(self._security.on_unknown_key, key, verdict)

    def _close_zap_handler(self) -> None:
        if self._zap_handler is not None:
            self._zap_handler.close()

    def _check_origin(self, hello: Hello) -> None:
        """Refuse a HELLO if its peer's key is not the key of the connection."""
        if not self._is_secured:
            return
        known = self._hellos.address_of(hello.peer)
        try:
            keys = {split_address(address)[1] for address in (hello.address, known or hello.address)}
        except ValueError as error:
            raise AuthenticationError(f"a HELLO in the name of {short(hello.peer)} with a malformed address") from error
        if keys != {self._sender_key}:
            raise AuthenticationError(f"a HELLO in the name of {short(hello.peer)} over a connection with another key")

    def _drain_later(self) -> None:
        if not self._is_drain_due:
            self._is_drain_due = True
            self._loop.call_soon(self._drain_rest)

    def _drain_rest(self) -> None:
        self._is_drain_due = False
        if not self._router.closed:
            self._drain()

    def _drain(self) -> None:
        """Receive until the socket is empty or the budget is spent."""
        receive = self._receive
        try:
            name = receive(_NOBLOCK)
        except zmq.Again:
            return
        self._flusher.is_draining = True
        try:
            self._receive_from(name)
        finally:
            self._end_drain()

    def _receive_from(self, name: bytes) -> None:
        receive, get = self._receive, self._get
        assert self._inbound is not None
        message = self._inbound.message
        is_secured = self._is_secured
        budget = RECEIVE_BUDGET_FRAMES
        while True:
            head = receive(_NOBLOCK, False)  # a frame object has `more`, which costs less than asking the socket
            if is_secured and not self._is_from_accepted(head):
                self._statistics.ignored_frames += 1
                if head.more:
                    self._receive_buffers()
            else:
                message(name, head.buffer, self._receive_buffers() if head.more else ())
            if not get(_EVENTS) & _POLLIN:  # handling an exception of `receive` would cost three times as much
                return
            budget -= 1
            if not budget:
                self._drain_later()
                return
            name = receive(_NOBLOCK)

    def _is_from_accepted(self, head: zmq.Frame) -> bool:
        """Note the key that a frame came under; return whether it is still accepted."""
        assert self._security is not None
        self._sender_key = key = bytes.fromhex(str(head.get("User-Id")))
        return key in self._security.accepted

    def _receive_buffers(self) -> list[Buffer]:
        buffers: list[Buffer] = []
        has_more = True
        while has_more:
            part = self._receive(_NOBLOCK, False)
            buffers.append(part.buffer.toreadonly())
            has_more = part.more
        return buffers

    def _connect(self, setup: LinkSetup) -> QueuedLink:
        open_socket, place = self._way_to(setup.peer, setup.address)
        link = ZmqLink(setup)
        link.connect(open_socket, place)
        return link

    def _way_to(self, peer: PeerId, address: str) -> tuple[Callable[[Lane], ZmqSocket], str]:
        """Return what opens sockets for links to a peer, and the address without its key.

        Raises:
            AuthenticationError: the address has no key that this transport accepts.
        """
        place, key = split_address(address)
        if self._security is None or place.startswith("ipc://"):
            return self._dealer, place
        if key is None or key not in self._security.accepted:
            raise AuthenticationError(
                f"{address!r} (peer {short(peer)}) has no key that this node accepts; "
                "let the two nodes join the same cluster"
            )
        return partial(self._dealer, key=key), place

    def _dealer(self, lane: Lane, key: bytes | None = None) -> ZmqSocket:
        assert self._context is not None
        socket = open_dealer(self._context, self._next_name(lane))
        if key is not None:
            assert self._security is not None
            self._security.secure_caller(socket, key)
        return socket

    def _answer(self, name: bytes, message: bytes) -> None:
        self._router.send(name, _SNDMORE_NOBLOCK)
        self._router.send(message, _NOBLOCK)
        self._drain_later()  # sending may have used up the wake-up for a message that has arrived

    def _unbind(self) -> None:
        self._loop.remove_reader(self._router_fd)
        self._router.close(linger=0)

    async def _release(self) -> None:
        """Terminate the context in a thread, since that blocks until the sockets have lingered."""
        if self.address.startswith("ipc://"):
            Path(self.address.removeprefix("ipc://")).unlink(missing_ok=True)  # libzmq leaves the socket's file behind
        self._close_zap_handler()
        if not self._is_own_context or self._context is None:
            return
        ended = asyncio.Event()
        thread = threading.Thread(target=self._terminate, args=(self._context, ended), name="actorrt-zmq-terminate")
        thread.start()
        await ended.wait()
        thread.join()

    def _terminate(self, context: ZmqContext, ended: asyncio.Event) -> None:
        context.term()
        try:
            self._loop.call_soon_threadsafe(ended.set)
        except RuntimeError:
            if not self._loop.is_closed():  # no coroutine waits on a closed loop
                raise


def _is_loopback(address: str) -> bool:
    host = address.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
