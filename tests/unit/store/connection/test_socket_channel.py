"""The channel over sockets, against a store that the test plays."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actorrt.errors import ObjectLostError, ObjectNotFoundError, PeerUnreachableError
from actorrt.ids import PeerId
from actorrt.machine.clock import ManualClock
from actorrt.store.connection.socket_channel import SocketChannel
from actorrt.store.wire.channel import StoreReply
from actorrt.store.wire.plain_errors import encode_plain
from actorrt.store.wire.protocol import MAX_BATCH_COUNT, VERSION, Event, Op, Role, Status, pack, unpack, unpack_all

PEER = PeerId(b"p" * 16)
Script = Callable[[socket.socket], None]


class PlayedStore:
    """Listens at a path and plays one script for each connection, in order, in a thread."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "store")
        self.hellos: list[list[Any]] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(self.path)
        self._listener.listen()
        self._threads: list[threading.Thread] = []

    def play(self, script: Script, hello: tuple[Status, Any] = (Status.DONE, 4096)) -> None:
        thread = threading.Thread(target=self._play, args=(script, hello))
        self._threads.append(thread)
        thread.start()

    def _play(self, script: Script, hello: tuple[Status, Any]) -> None:
        accepted, _ = self._listener.accept()
        with accepted:
            self.hellos.append(unpack(accepted.recv(65536)))
            accepted.send(pack((1, *hello, [])))
            script(accepted)

    def connect(self) -> SocketChannel:
        return SocketChannel(self.path, PEER, ManualClock())

    def close(self) -> None:
        for thread in self._threads:
            thread.join()
        self._listener.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PlayedStore]:
    store = PlayedStore(tmp_path)
    yield store
    store.close()


def answer(*answers: tuple[int, Status, Any, list[int]]) -> Script:
    """Take one message, then send some answers."""

    def script(sock: socket.socket) -> None:
        sock.recv(65536)
        for each in answers:
            sock.send(pack(each))

    return script


def test_a_channel_sends_its_peer_id_and_learns_the_capacity(store: PlayedStore) -> None:
    store.play(lambda _: None)
    channel = store.connect()
    assert channel.capacity_bytes == 4096
    assert store.hellos == [[Op.HELLO, 1, VERSION, Role.REQUESTS, PEER]]
    channel.close()


def test_a_path_without_a_listener_is_unreachable(tmp_path: Path) -> None:
    path = str(tmp_path / "nobody")
    with pytest.raises(PeerUnreachableError, match=f"no object store answers at {path}: "):
        SocketChannel(path, PEER, ManualClock())


def test_a_store_that_refuses_is_quoted(store: PlayedStore) -> None:
    store.play(lambda _: None, (Status.ERROR, encode_plain(ObjectNotFoundError("not for you"))))
    with pytest.raises(ObjectNotFoundError, match="not for you"):
        store.connect()


def test_a_request_gets_its_answer(store: PlayedStore) -> None:
    store.play(answer((1, Status.DONE, "result", [7])))
    channel = store.connect()
    assert channel.request(Op.STATS) == StoreReply(Status.DONE, "result", [7])
    channel.close()


def test_a_descriptor_beside_an_answer_belongs_to_the_asker(store: PlayedStore) -> None:
    def script(sock: socket.socket) -> None:
        sock.recv(65536)
        read, write = os.pipe()
        socket.send_fds(sock, [pack((1, Status.DONE, [1, 0, 5], []))], [read])
        os.write(write, b"x")
        os.close(read)
        os.close(write)

    store.play(script)
    channel = store.connect()
    fd = channel.request(Op.GET, b"x" * 16).fd
    assert fd is not None
    assert (os.read(fd, 2), os.get_inheritable(fd)) == (b"x", False)
    os.close(fd)
    channel.close()


def test_the_answer_to_an_interrupted_request_is_among_the_stale_ones(store: PlayedStore) -> None:
    def script(sock: socket.socket) -> None:
        for serial in (1, 2):
            sock.recv(65536)
            if serial == 2:
                sock.send(pack((1, Status.DONE, "first", [])))
                sock.send(pack((2, Status.DONE, "second", [])))

    store.play(script)
    channel = store.connect()
    receive, channel._receive = channel._receive, _interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        channel.request(Op.CREATE, b"x" * 16)
    channel._receive = receive  # type: ignore[method-assign]
    assert channel.request(Op.STATS) == StoreReply(Status.DONE, "second", [])
    assert channel.take_stale() == [(Op.CREATE, (b"x" * 16,), StoreReply(Status.DONE, "first", []))]
    assert channel.take_stale() == []
    channel.close()


def _interrupt() -> tuple[StoreReply, int]:
    raise KeyboardInterrupt


@pytest.mark.parametrize("packet", [None, b"\xff nonsense", pack((9, Status.DONE, "of nobody", []))])
def test_a_store_that_ends_or_talks_nonsense_is_lost(store: PlayedStore, packet: bytes | None) -> None:
    def script(sock: socket.socket) -> None:
        sock.recv(65536)
        if packet is not None:
            sock.send(packet)

    store.play(script)
    channel = store.connect()
    assert not channel.is_gone
    with pytest.raises(ObjectLostError, match="the node's object store is gone: "):
        channel.request(Op.STATS)
    assert channel.is_gone == (packet is None)  # the connection to a store that talks nonsense stands
    channel.close()


def test_messages_that_are_queued_leave_in_the_packet_of_the_next_one(store: PlayedStore) -> None:
    packets: list[list[Any]] = []

    def script(sock: socket.socket) -> None:
        packets.append(unpack_all(sock.recv(65536)))
        sock.send(pack((1, Status.DONE, "stats", [])))
        packets.extend(unpack_all(sock.recv(65536)) for _ in range(3))

    store.play(script)
    channel = store.connect()
    channel.queue(Op.RELEASE, [b"x" * 16], [])
    channel.queue(Op.SETTLE, [b"t" * 24])
    assert channel.request(Op.STATS).result == "stats"
    full = [[b"x" * 16] * MAX_BATCH_COUNT, [b"y" * 16] * MAX_BATCH_COUNT]
    channel.queue(Op.RELEASE, *full)
    channel.queue(Op.RELEASE, *full)  # there is no room for it in the same packet
    channel.post(Op.FREE, b"x" * 16)
    channel.flush()
    channel.queue(Op.FREE, b"z" * 16)
    channel.flush()
    channel.close()
    store.close()
    assert packets == [
        [[Op.RELEASE, 0, [b"x" * 16], []], [Op.SETTLE, 0, [b"t" * 24]], [Op.STATS, 1]],
        [[Op.RELEASE, 0, *full]],
        [[Op.RELEASE, 0, *full], [Op.FREE, 0, b"x" * 16]],
        [[Op.FREE, 0, b"z" * 16]],
    ]


def test_a_wait_is_made_on_a_connection_of_its_own(store: PlayedStore) -> None:
    store.play(lambda _: None)
    channel = store.connect()
    store.play(answer_event([Event.READY, [b"x" * 16]]))
    assert channel.wait(Op.SUBSCRIBE, [b"x" * 16], timeout_s=None) == [Event.READY, [b"x" * 16]]
    assert [hello[3] for hello in store.hellos] == [Role.REQUESTS, Role.WAIT]
    channel.close()


def answer_event(event: list[Any]) -> Script:
    def script(sock: socket.socket) -> None:
        assert unpack(sock.recv(65536)) == [Op.SUBSCRIBE, 0, [b"x" * 16]]
        sock.send(pack(event))

    return script


def test_a_wait_ends_at_its_deadline(store: PlayedStore) -> None:
    store.play(lambda _: None)
    channel = store.connect()
    store.play(say_nothing)
    assert channel.wait(Op.SUBSCRIBE, [b"x" * 16], timeout_s=0.0) is None
    channel.close()


def say_nothing(sock: socket.socket) -> None:
    """Take one message, and wait until the client closes the connection."""
    sock.recv(65536)
    assert sock.recv(65536) == b""


class Hearing:
    """Hears what a channel tells of its store's end, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def connect(self, store: PlayedStore) -> SocketChannel:
        return SocketChannel(store.path, PEER, ManualClock(), lambda: self.told.append("gone"))


def test_end_of_the_store_is_told_before_the_request_that_found_it_fails(store: PlayedStore) -> None:
    store.play(lambda sock: sock.recv(65536))
    hearing = Hearing()
    channel = hearing.connect(store)
    with pytest.raises(ObjectLostError):
        channel.request(Op.STATS)
    assert hearing.told == ["gone"]
    channel.close()
    with pytest.raises(ObjectLostError):
        channel.post(Op.STATS)
    assert hearing.told == ["gone"], "this process closed the channel itself"


async def test_end_of_the_store_is_told_before_everything_that_waits_for_events_fails(store: PlayedStore) -> None:
    requests_end = threading.Event()
    store.play(lambda _: requests_end.wait(10) and None)
    hearing = Hearing()
    channel = hearing.connect(store)
    store.play(lambda _: None)
    lost = asyncio.Event()

    def on_lost() -> None:
        hearing.told.append("lost")
        lost.set()

    channel.listen(asyncio.get_running_loop(), lambda *_: None, on_lost)
    await lost.wait()
    assert hearing.told == ["gone", "lost"]
    requests_end.set()
    channel.close()
