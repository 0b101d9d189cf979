"""The floor: an ask over a bare ZeroMQ link, which is the least cost of a runtime on ZeroMQ.

Inside a node the link is a Unix socket; between nodes it is TCP with CURVE. Each side has a DEALER, whose descriptor
uvloop watches. The envelopes of one tick leave as one msgpack frame. A queue and one task serve the actor. There are no
HELLOs, sequence numbers, checks, bounds, deadlines or failures. The serving process is a fork of the asking process:
two processes with the same memory layout are a tenth faster on one CPU, and a floor must be as fast as possible.

The floor of a pull is TLS 1.3 over TCP, read in place.
"""

from __future__ import annotations

import asyncio
import datetime
import multiprocessing
import os
import socket
import ssl
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgpack
import zmq

_DRAIN_BUDGET_FRAMES: Final = 64
_END_TIMEOUT_S: Final = 10.0
_VALID: Final = datetime.timedelta(days=1)
_TLS_CHUNK_BYTES: Final = 1 << 20


class BareLink:
    """A DEALER whose envelopes of one tick leave as one frame."""

    def __init__(self, socket: zmq.Socket[bytes], received: Callable[[list[Any]], None]) -> None:
        self._socket = socket
        self._received = received
        self._queue: list[Sequence[Any]] = []
        self._pack = msgpack.Packer(autoreset=True).pack
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(int(socket.getsockopt(zmq.FD)), self._drain)
        self._is_closed = False
        self._loop.call_soon(self._drain)

    def send(self, envelope: Sequence[Any]) -> None:
        """Queue an envelope for the end of this tick."""
        if not self._queue:
            self._loop.call_soon(self._flush)
        self._queue.append(envelope)

    def _flush(self) -> None:
        queue, self._queue = self._queue, []
        self._socket.send(self._pack(queue))
        self._drain()

    def _drain(self) -> None:
        if self._is_closed:
            return
        for _ in range(_DRAIN_BUDGET_FRAMES):
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            for envelope in msgpack.unpackb(frame):
                self._received(envelope)
        self._loop.call_soon(self._drain)

    def close(self) -> None:
        """Close the socket; queued envelopes are lost."""
        self._is_closed = True
        self._loop.remove_reader(int(self._socket.getsockopt(zmq.FD)))
        self._socket.close(linger=0)


class BareAddress(NamedTuple):
    """Where the asking side binds, and its CURVE keys, public and secret, if the link is encrypted."""

    url: str
    keys: tuple[bytes, bytes] | None = None


class BareCounter:
    """The actor of the floor."""

    def __init__(self) -> None:
        self.total = 0

    async def increment(self) -> int:
        self.total += 1
        return self.total


class BareCaller:
    """The asking side, on the running loop."""

    def __init__(self, address: BareAddress) -> None:
        self._context = zmq.Context()
        dealer = self._context.socket(zmq.DEALER)
        if address.keys is not None:
            dealer.curve_server = True
            dealer.curve_secretkey = address.keys[1]
        dealer.bind(address.url)
        self._link = BareLink(dealer, self._received)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._loop = asyncio.get_running_loop()

    def increment(self) -> asyncio.Future[Any]:
        """Ask the counter."""
        self._last_id += 1
        future = self._pending[self._last_id] = self._loop.create_future()
        self._link.send((0, self._last_id, "increment", ()))
        return future

    def _received(self, envelope: list[Any]) -> None:
        self._pending.pop(envelope[1]).set_result(envelope[2])

    def close(self) -> None:
        """Close the link."""
        self._link.close()
        self._context.term()


@contextmanager
def bare_server(*, is_far: bool = False) -> Iterator[BareAddress]:
    """Fork the serving process, and yield the address to which it connects; the process ends with the block.

    To be entered before any thread is started, since threads do not survive a fork.

    Args:
        is_far: whether the link is as between nodes: TCP with CURVE.
    """
    with tempfile.TemporaryDirectory(prefix="floor-") as directory:
        address = _far_address() if is_far else BareAddress(f"ipc://{directory}/floor")
        end_reader, end_writer = os.pipe()
        arguments = (address, end_reader, end_writer)
        process = multiprocessing.get_context("fork").Process(target=_serve_process, args=arguments)
        process.start()
        os.close(end_reader)
        try:
            yield address
        finally:
            os.close(end_writer)
            process.join(_END_TIMEOUT_S)
            process.kill()
            process.join()
            process.close()


def _far_address() -> BareAddress:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    return BareAddress(f"tcp://127.0.0.1:{port}", zmq.curve_keypair())


def _serve_process(address: BareAddress, end_reader: int, end_writer: int) -> None:
    import uvloop

    os.close(end_writer)  # the asking process has the other copy; when that closes, this process ends
    uvloop.run(_serve(address, end_reader))


async def _serve(address: BareAddress, end_reader: int) -> None:
    counter = BareCounter()
    queue: deque[list[Any]] = deque()
    loop = asyncio.get_running_loop()
    is_ended = False
    arrived = loop.create_future()

    def wake() -> None:
        if not arrived.done():
            arrived.set_result(None)

    def received(envelope: list[Any]) -> None:
        queue.append(envelope)
        wake()

    def end() -> None:
        nonlocal is_ended
        is_ended = True
        loop.remove_reader(end_reader)
        wake()

    loop.add_reader(end_reader, end)
    with zmq.Context() as context:
        dealer = context.socket(zmq.DEALER)
        if address.keys is not None:
            dealer.curve_serverkey = address.keys[0]
            dealer.curve_publickey, dealer.curve_secretkey = zmq.curve_keypair()
        dealer.connect(address.url)
        link = BareLink(dealer, received)
        while not is_ended:
            while queue:
                _, call_id, method, arguments = queue.popleft()
                link.send((1, call_id, await getattr(counter, method)(*arguments)))
            arrived = loop.create_future()
            await arrived
        link.close()


@contextmanager
def bare_tls(size_bytes: int) -> Iterator[Callable[[memoryview], None]]:
    """Yield a function that fills a buffer of that size over TLS 1.3 from a forked process, in place."""
    with tempfile.TemporaryDirectory(prefix="floor-") as directory:
        certificate = _certificate(directory)
        listener = socket.create_server(("127.0.0.1", 0))
        process = multiprocessing.get_context("fork").Process(
            target=_send_by_tls, args=(listener, certificate, size_bytes)
        )
        process.start()
        context = ssl.create_default_context(cafile=certificate)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        try:
            with context.wrap_socket(socket.create_connection(listener.getsockname())) as stream:
                listener.close()

                def fill(buffer: memoryview) -> None:
                    stream.sendall(b"?")
                    filled_count = 0
                    while filled_count < size_bytes:
                        filled_count += stream.recv_into(buffer[filled_count:])

                yield fill
        finally:
            process.join(_END_TIMEOUT_S)
            process.kill()
            process.join()
            process.close()


def _certificate(directory: str) -> str:
    """Write a key and a certificate of its own, as the cards of nodes are; return the path of the file with both."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "floor")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + _VALID)
    signed = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, None)
    path = f"{directory}/floor.pem"
    with open(path, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.write(signed.public_bytes(Encoding.PEM))
    return path


def _send_by_tls(listener: socket.socket, certificate: str, size_bytes: int) -> None:
    """Send so many bytes for each byte that arrives, until the other side closes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate)
    source = memoryview(os.urandom(size_bytes))
    accepted, _ = listener.accept()
    with context.wrap_socket(accepted, server_side=True, suppress_ragged_eofs=True) as stream:
        while stream.recv(1):
            for first in range(0, size_bytes, _TLS_CHUNK_BYTES):
                stream.sendall(source[first : first + _TLS_CHUNK_BYTES])
