"""A link on a Unix stream, over a fake socket with a given capacity."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from actorrt.transport.frames.codec import pack_acknowledgement
from actorrt.transport.frames.framing import pack_start
from actorrt.transport.links import queued_link
from actorrt.transport.links.queued_link import QueuedLink
from actorrt.transport.links.reconnection import RECONNECT_MAX_S, RECONNECT_MIN_S
from actorrt.transport.unix import link as unix_link
from actorrt.transport.unix.link import JOINED_BYTES, UnixLink
from tests.fake_loop import FakeLoop
from tests.unit.transport.link_setups import HELLO, link_setup

NAMES = [b"name-1", b"name-2", b"name-3"]


class FakeSocket:
    """Accepts `capacity_bytes`, then blocks. Returns the items of `arriving`: bytes, an error, or b"" for the end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.capacity_bytes = 1 << 30
        self.written = bytearray()
        self.send_count = 0
        self.arriving: list[bytes | OSError] = []
        self.is_broken = False
        self.is_closed = False

    def fileno(self) -> int:
        return self._descriptor

    def send(self, data: Any) -> int:
        return self.sendmsg([data])

    def sendmsg(self, parts: Sequence[Any]) -> int:
        if self.is_broken:
            raise BrokenPipeError
        if not self.capacity_bytes:
            raise BlockingIOError
        self.send_count += 1
        data = b"".join(parts)[: self.capacity_bytes]
        self.capacity_bytes -= len(data)
        self.written += data
        return len(data)

    def recv_into(self, target: memoryview) -> int:
        if not self.arriving:
            raise BlockingIOError
        data = self.arriving.pop(0)
        if isinstance(data, OSError):
            raise data
        target[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.is_closed = True


class World:
    """A link, the sockets that it has connected, and the calls of its callbacks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = FakeLoop()
        self.sockets: list[FakeSocket] = []
        self.paths: list[str] = []
        self.obstacle: OSError | None = None
        self.refused: list[Any] = []
        self.on_refused: Callable[[Any], object] = self.refused.append
        self.unreachable: list[Any] = []
        self.bad: list[str] = []
        self._names = iter(NAMES)
        monkeypatch.setattr(queued_link.asyncio, "get_running_loop", lambda: self.loop)
        monkeypatch.setattr(unix_link, "_open_connection", self._open_connection)

    def _open_connection(self, path: str) -> FakeSocket:
        self.paths.append(path)
        if self.obstacle is not None:
            raise self.obstacle
        self.sockets.append(FakeSocket(len(self.sockets) + 10))
        return self.sockets[-1]

    def link(self) -> UnixLink:
        setup = link_setup(
            self.loop,
            "unix:///x",
            on_unreachable=self.unreachable.append,
            on_refused=lambda link: self.on_refused(link),
            on_bad=lambda _, error: self.bad.append(str(error)),
        )
        return UnixLink(lambda _: next(self._names), "/x", setup)

    @property
    def socket(self) -> FakeSocket:
        return self.sockets[-1]

    def read(self, *arriving: bytes | OSError) -> None:
        """Let each item arrive, and make the descriptor readable for it."""
        for data in arriving:
            self.socket.arriving.append(data)
            self.loop.readers[self.socket.fileno()]()

    def write(self) -> None:
        """Make the descriptor writable."""
        self.loop.writers[self.socket.fileno()]()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def framed(*parts: bytes) -> bytes:
    return pack_start(parts) + b"".join(parts)


def test_connection_begins_with_its_name_then_the_hello(world: World) -> None:
    link = world.link()
    world.loop.tick()
    assert bytes(world.socket.written) == framed(NAMES[0]) + framed(HELLO)
    assert link.is_connected
    link.close()


def test_small_message_is_one_write_and_a_large_one_is_not_copied(world: World) -> None:
    link = world.link()
    world.loop.tick()
    before = world.socket.send_count
    assert link._transmit((b"small",))
    assert link._transmit((b"x" * (JOINED_BYTES + 1),))
    assert link._transmit((b"head", b"", b"buffer"))
    assert world.socket.send_count == before + 3
    assert world.socket.written.endswith(framed(b"x" * (JOINED_BYTES + 1)) + framed(b"head", b"", b"buffer"))
    link.close()


def test_rest_of_a_message_leaves_when_the_socket_is_writable_and_nothing_overtakes_it(world: World) -> None:
    link = world.link()
    world.loop.tick()
    del world.socket.written[:]
    world.socket.capacity_bytes = 10
    message = framed(b"head", b"abcdef", b"ghi")
    assert link._transmit((b"head", b"abcdef", b"ghi"))
    assert not link._transmit((b"next",))
    world.socket.capacity_bytes = 7
    world.write()
    assert bytes(world.socket.written) == message[:17]
    world.write()  # it blocks again
    world.socket.capacity_bytes = 1000
    world.write()
    assert bytes(world.socket.written) == message
    assert world.loop.writers == {}
    link.close()


def test_blocked_link_is_woken_when_the_socket_is_writable(world: World) -> None:
    link = world.link()
    world.loop.tick()
    world.socket.capacity_bytes = 0
    link.send((0, 1))
    world.loop.tick()
    assert (link.queued_bytes > 0, list(world.loop.writers)) == (True, [world.socket.fileno()])
    world.socket.capacity_bytes = 1000
    world.write()
    assert (link.queued_bytes, world.loop.writers) == (0, {})
    link.close()


def test_socket_that_breaks_while_writing_is_left_to_its_descriptor(world: World) -> None:
    link = world.link()
    world.loop.tick()
    world.socket.capacity_bytes = 3
    link._transmit((b"head", b"buffer"))
    world.socket.is_broken = True
    world.write()
    assert world.loop.writers == {}
    assert not link._transmit((b"next",))
    assert len(world.sockets) == 1
    link.close()


def test_acknowledgements_come_back_in_any_pieces(world: World) -> None:
    link = world.link()
    for value in range(3):
        link.send((0, value))
        world.loop.tick()
    data = framed(pack_acknowledgement(1)) + framed(pack_acknowledgement(3))
    world.read(data[:5], data[5:20], data[20:])
    assert (link.acknowledged_below, link.held_bytes) == (3, 0)
    link.close()


@pytest.mark.parametrize("end", [b"", ConnectionResetError()], ids=["end", "reset"])
def test_connection_that_ends_is_replaced_at_once_under_another_name_and_frames_go_again(
    world: World, end: bytes | OSError
) -> None:
    link = world.link()
    link.send((0, 1))
    world.loop.tick()
    frame = bytes(world.socket.written).removeprefix(framed(NAMES[0]) + framed(HELLO))
    world.read(end)
    world.loop.advance(0.0)
    assert world.sockets[0].is_closed
    assert bytes(world.socket.written) == framed(NAMES[1]) + framed(HELLO)
    world.read(framed(pack_acknowledgement(0)))
    assert bytes(world.socket.written) == framed(NAMES[1]) + framed(HELLO) + frame
    assert (link.resumed_count, list(world.loop.readers)) == (1, [world.socket.fileno()])
    link.close()


def test_lengths_that_can_not_be_true_break_the_connection(world: World) -> None:
    link = world.link()
    world.loop.tick()
    world.read(b"\xff" * 6)
    world.loop.advance(0.0)
    assert (len(world.sockets), world.bad) == (2, [])
    link.close()


def test_nothing_to_read_is_no_end(world: World) -> None:
    link = world.link()
    world.loop.tick()
    link._read_answers()
    assert link.is_connected
    link.close()


def test_connecting_to_an_unused_path_backs_off(world: World) -> None:
    world.obstacle = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    link = world.link()
    times_s = []
    for _ in range(8):
        [timer] = [timer for timer in world.loop.timers if timer.due < 50]
        times_s.append(timer.due - world.loop.time())
        world.loop.advance(times_s[-1])
    assert times_s == pytest.approx([RECONNECT_MIN_S * 2**n for n in range(6)] + [RECONNECT_MAX_S] * 2)
    assert link.last_error is world.obstacle
    assert world.refused == []
    world.obstacle = None
    world.loop.advance(RECONNECT_MAX_S)
    world.loop.tick()
    assert (link.is_connected, link.last_error) == (True, None)
    link.close()


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), True),
        (FileNotFoundError(errno.ENOENT, "no file"), True),
        (BlockingIOError(errno.EAGAIN, "the backlog is full"), False),
        (OSError(errno.EMFILE, "too many descriptors"), False),
    ],
)
def test_owner_is_told_when_no_process_listens_at_the_peers_path_any_more(
    world: World, error: OSError, is_told: bool
) -> None:
    link = world.link()
    world.loop.tick()
    world.obstacle = error
    world.read(b"")
    world.loop.advance(0.0)
    assert world.refused == ([link] if is_told else [])
    link.close()


def test_link_that_its_owner_closes_when_it_is_told_tries_no_more(world: World) -> None:
    link = world.link()
    world.loop.tick()
    world.obstacle = FileNotFoundError(errno.ENOENT, "no file")
    world.on_refused = QueuedLink.close
    world.read(b"")
    world.loop.advance(0.0)
    assert (len(world.paths), world.loop.timers) == (2, [])
    link.close()


def test_close_gives_the_rest_of_a_message_time_to_leave(world: World) -> None:
    link = world.link()
    world.loop.tick()
    del world.socket.written[:]
    world.socket.capacity_bytes = 4
    link._transmit((b"head",))
    link.close(1.0)
    assert (world.socket.is_closed, world.loop.readers) == (False, {})
    world.write()  # it blocks still
    world.socket.capacity_bytes = 1000
    world.write()
    assert bytes(world.socket.written) == framed(b"head")
    assert (world.socket.is_closed, world.loop.writers, world.loop.timers) == (True, {}, [])


def test_rest_of_a_message_that_does_not_leave_in_time_is_discarded(world: World) -> None:
    link = world.link()
    world.loop.tick()
    world.socket.capacity_bytes = 4
    link._transmit((b"head",))
    link.close(1.0)
    world.loop.advance(1.0)
    assert (world.socket.is_closed, world.loop.writers, world.loop.timers) == (True, {}, [])


def test_rest_of_a_message_to_a_far_end_that_is_gone_is_discarded_at_once(world: World) -> None:
    link = world.link()
    world.loop.tick()
    world.socket.capacity_bytes = 4
    link._transmit((b"head",))
    link.close(1.0)
    world.socket.is_broken = True
    world.write()
    assert (world.socket.is_closed, world.loop.timers) == (True, [])


def test_close_while_connecting_leaves_no_timer(world: World) -> None:
    world.obstacle = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    link = world.link()
    link.close()
    assert (world.loop.timers, world.loop.readers) == ([], {})
