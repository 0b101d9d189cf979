"""A bare socket with the connection name of a peer, and messages that are not frames."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import zmq

from actorrt.ids import IdSource, PeerId
from actorrt.transport.frames.codec import Hello
from actorrt.transport.frames.framing import pack_start
from actorrt.transport.interfaces import Lane
from actorrt.transport.links.peer_lanes import connection_name


class Stranger:
    """A bare socket: a DEALER, or a stream.

    Args:
        address, victim: the address and the id of the transport that it connects to.
        name: the name of its connection; by default one of an unknown peer.
    """

    def __init__(self, address: str, victim: PeerId, name: bytes | None = None) -> None:
        self.peer = IdSource().peer()
        scheme = address.partition(":")[0]
        self.hello = Hello(self.peer, victim, "tcp://127.0.0.1:1" if scheme == "tcp" else f"{scheme}:///nowhere")
        name = name or connection_name(self.peer, Lane.USER, 1)
        self._wire = _Stream(address, name) if address.startswith("unix://") else _Dealer(address, name)

    def send(self, *parts: bytes) -> None:
        self._wire.send(parts)

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self._wire.close()


class _Dealer:
    def __init__(self, address: str, name: bytes) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.ROUTING_ID, name)
        self._socket.connect(address)

    def send(self, parts: Sequence[bytes]) -> None:
        self._socket.send_multipart(parts)

    def close(self) -> None:
        self._socket.close(linger=0)
        self._context.term()


class _Stream:
    def __init__(self, address: str, name: bytes) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(address.removeprefix("unix://"))
        self.send([name])

    def send(self, parts: Sequence[bytes]) -> None:
        self._socket.sendall(b"".join((pack_start(parts), *parts)))

    def close(self) -> None:
        self._socket.close()


def garbage() -> list[tuple[str, list[bytes]]]:
    """Return messages that are not frames, by a name for each."""
    frame = b"\x94\xcf" + bytes(8) + b"\xcf" + bytes(8) + b"\xdc\x00\x01\x91\x00\x90"
    return [
        ("random", [b"\xc1\xc1\xc1"]),
        ("empty", [b""]),
        ("truncated", [frame[:-1]]),
        ("trailing", [frame + b"\x00"]),
        ("no_kind", [b"\x94\xcf" + bytes(8) + b"\xcf" + bytes(8) + b"\xdc\x00\x01\x90\x90"]),
        ("unannounced_buffer", [frame, b"buffer"]),
        ("missing_buffer", [frame[:-1] + b"\x91\x92\x00\x01"]),
        ("attachment_out_of_range", [frame[:-1] + b"\x91\x92\x05\x01", b"buffer"]),
        ("claims_a_huge_array", [b"\xdd\xff\xff\xff\xff"]),
        ("nested_too_deep", [b"\x91" * 3000]),
        ("extension", [frame[:-1] + b"\x91\xd4\x01\x00"]),
    ]
