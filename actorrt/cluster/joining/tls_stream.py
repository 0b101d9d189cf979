"""A TLS connection on a loop, which can be lent to a thread.

It is a non-blocking `SSLSocket` that the loop watches, and no asyncio transport: that would take 256 KiB for each
handshake, and could not lend the socket to a thread. One coroutine at a time uses a stream.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final, ParamSpec, TypeVar

from actorrt.cluster.joining import messages
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.tls import certificate_of

P = ParamSpec("P")
T = TypeVar("T")

_PART_BYTES: Final = 16 * 1024  # the most that TLS has in one record
LINGER_S: Final = 1.0
LINGER_BYTES: Final = 64 * 1024


class TlsStream:
    """A TLS connection on the running loop.

    Args:
        connection: a connected TCP socket that does not block.
        context: the TLS settings.
        is_server: whether this is the server's side.
    """

    def __init__(self, connection: socket.socket, context: ssl.SSLContext, *, is_server: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = context.wrap_socket(
            connection, server_side=is_server, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )

    async def handshake(self) -> bytes | None:
        """Do the handshake; return the certificate of the far end (DER), or None if it shows none.

        Raises:
            ssl.SSLError, OSError: it fails.
        """
        await self._repeat(self._connection.do_handshake)
        return certificate_of(self._connection)

    async def send(self, message: bytes) -> None:
        """Send a message.

        Raises:
            ssl.SSLError, OSError: the connection is broken.
        """
        await self.write(messages.framed(message))

    async def write(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            ssl.SSLError, OSError: the connection is broken.
        """
        left = memoryview(data)
        while left:
            left = left[await self._repeat(self._connection.send, left) :]

    async def receive(self, most_bytes: int) -> bytes:
        """Return the next message.

        Raises:
            RefusedError: it is longer than `most_bytes`.
            ConnectionError: the far end has closed the connection.
            ssl.SSLError, OSError: the connection is broken.
        """
        prefix = await self._exactly(messages.LENGTH_BYTES)
        return await self._exactly(messages.length_of(prefix, most_bytes))

    async def lend(self, workers: Executor, timeout_s: float, use: Callable[[ssl.SSLSocket], T]) -> T:
        """Let a thread use the connection, as a socket that blocks; return what `use` returns.

        When this returns or raises, the thread has ended its use. If the caller is cancelled, the connection is cut,
        which ends the use.

        Args:
            workers: has the thread.
            timeout_s: how long an operation on the socket may block; then it raises TimeoutError.
            use: called in the thread.

        Raises:
            Exception: `use` has raised it.
        """

        def used() -> T:
            self._connection.settimeout(timeout_s)
            try:
                return use(self._connection)
            finally:
                self._connection.setblocking(False)

        submitted = workers.submit(used)
        using = asyncio.wrap_future(submitted, loop=self._loop)
        try:
            return await asyncio.shield(using)
        except asyncio.CancelledError:
            submitted.cancel()  # it may not have begun
            self.cut()
            while not using.done():
                with suppress(asyncio.CancelledError):  # the first cancellation is raised below
                    await asyncio.wait([using])
            if not using.cancelled():
                using.exception()  # which nobody else retrieves
            raise

    def cut(self) -> None:
        """Shut the connection down at once: whoever uses it gets an error. Idempotent."""
        with suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)  # below TLS, which a thread may be using

    async def close_after_last_message(self) -> None:
        """Close the connection when the far end has closed it, so that a reset does not destroy what was sent last."""
        with suppress(OSError, TimeoutError):
            await linger(self._connection)
        self._connection.close()

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._connection.close()

    async def _exactly(self, count: int) -> bytes:
        data = bytearray()  # grows with what arrives: a claimed length allocates nothing
        while len(data) < count:
            part = await self._repeat(self._connection.recv, min(_PART_BYTES, count - len(data)))
            if not part:
                raise ConnectionResetError("the far end has closed the connection")
            data += part
        return bytes(data)

    async def _repeat(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do an operation of TLS when the socket is ready for it."""
        while True:
            try:
                return operation(*args, **kwargs)
            except ssl.SSLWantReadError:
                await wait_until_ready(self._connection.fileno())
            except ssl.SSLWantWriteError:
                await wait_until_ready(self._connection.fileno(), to_write=True)


async def first_byte(connection: socket.socket) -> bytes:
    """Return the first byte that arrives at a socket, without taking it; no byte if the far end closes instead."""
    while True:
        try:
            return connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            await wait_until_ready(connection.fileno())


async def linger(connection: socket.socket) -> None:
    """End what this side sends, and discard what still arrives, until the far end has closed or `LINGER_S` are over."""
    connection.shutdown(socket.SHUT_WR)
    discarded = 0
    async with asyncio.timeout(LINGER_S):
        while discarded < LINGER_BYTES:
            try:
                part = socket.socket.recv(connection, 4096)  # below TLS, if the socket has it
            except BlockingIOError:
                await wait_until_ready(connection.fileno())
                continue
            if not part:
                return
            discarded += len(part)


async def wait_until_ready(descriptor: int, *, to_write: bool = False) -> None:
    """Wait until a socket can be read, or written to."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if to_write else (loop.add_reader, loop.remove_reader)
    add(descriptor, _set, ready)
    try:
        await ready
    finally:
        remove(descriptor)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def no_tls(first: bytes) -> RefusedError | None:
    """Return the refusal of a connection that does not begin as TLS does."""
    if first == b"\x16":  # the type of a record with a handshake
        return None
    return RefusedError(Reason.NO_TLS, "this is a port for TLS, and the client does not speak it")
