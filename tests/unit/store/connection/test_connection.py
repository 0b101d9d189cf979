"""The messages of a connection to its store, and when they are sent, over a fake channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from actorrt.config import KIB, MIB
from actorrt.errors import ObjectLostError, RuntimeStateError
from actorrt.ids import ObjectId
from actorrt.machine.threads import OsThreads
from actorrt.store.connection.connection import NotReadyError, StoreConnection
from actorrt.store.wire.channel import StoreReply
from actorrt.store.wire.plain_errors import encode_plain
from actorrt.store.wire.protocol import HELD, SEALED, Op, Status, Wait
from tests.unit.store.connection.fake_channel import FakeChannel

X, Y, Z = (ObjectId(bytes([name]) * 16) for name in b"xyz")
LOAN = [1, 0, 256 * KIB]


@pytest.fixture
def channel() -> Iterator[FakeChannel]:
    channel = FakeChannel()
    yield channel
    channel.close()


@pytest.fixture
def connection(channel: FakeChannel) -> Iterator[StoreConnection]:
    connection = StoreConnection(channel, OsThreads())
    yield connection
    connection.end(RuntimeStateError, "the test is over")
    connection.conversation.warmer.close()


def lend(channel: FakeChannel) -> None:
    channel.answer(LOAN, with_segment=True)


# Objects on loan


def test_an_object_on_loan_is_made_and_read_without_the_store(
    channel: FakeChannel, connection: StoreConnection
) -> None:
    lend(channel)
    assert connection.loan.put(X, b"value")
    assert channel.take() == [(Op.BORROW, 5)]
    assert connection.loan.put(Y, b"other")
    view, beside = connection.pinned(X)
    assert (bytes(view), view.readonly, list(beside)) == (b"value", True, [])
    assert channel.take() == []


def test_an_object_is_reported_before_a_message_about_it(channel: FakeChannel, connection: StoreConnection) -> None:
    lend(channel)
    connection.loan.put(X, b"value")
    channel.take()
    connection.post(Op.DECLARE, Y)
    assert channel.take() == [(Op.REPORT, 64, [[X, 0, 5, SEALED | HELD, 0, ""]]), (Op.DECLARE, Y)]


def test_an_object_that_is_dropped_unreported_is_never_reported(
    channel: FakeChannel, connection: StoreConnection
) -> None:
    lend(channel)
    connection.loan.put(X, b"value")
    connection.backlog.queue_release(X, is_pin=False)
    connection.loan.put(Y, b"other")
    channel.take()
    connection.backlog.flush()
    assert channel.take() == [(Op.REPORT, 64, [[Y, 0, 5, SEALED | HELD, 0, ""]])]


def test_an_object_that_is_being_written_is_reported_unsealed(
    channel: FakeChannel, connection: StoreConnection
) -> None:
    lend(channel)
    target = connection.loan.create(X, 100, "a.py:1")
    assert target is not None
    assert (len(target), target.readonly) == (100, False)
    channel.take()
    connection.backlog.flush()
    connection.loan.seal(X)
    assert channel.take() == [(Op.REPORT, 128, [[X, 0, 100, HELD, 0, "a.py:1"]]), (Op.SEAL, X)]


def test_an_object_that_is_aborted_is_never_reported(channel: FakeChannel, connection: StoreConnection) -> None:
    lend(channel)
    connection.loan.create(X, 100, "")
    connection.loan.abort(X)
    connection.loan.abort(Y)  # begun with memory that was asked for
    channel.take()
    connection.backlog.flush()
    assert channel.take() == []


def test_an_object_that_is_too_long_for_a_loan_sends_no_request(
    channel: FakeChannel, connection: StoreConnection
) -> None:
    assert connection.loan.create(X, 1 * MIB, "") is None
    assert channel.take() == []


def test_requests_for_a_loan_back_off_when_they_are_refused(channel: FakeChannel, connection: StoreConnection) -> None:
    asked = []
    for _ in range(16):
        connection.loan.put(X, b"value")
        asked.append(len(channel.take()))
    assert asked == [1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]


def test_a_recalled_loan_ends_after_a_report_of_its_objects(channel: FakeChannel, connection: StoreConnection) -> None:
    lend(channel)
    connection.loan.put(X, b"value")
    channel.take()
    connection.release_spare()
    assert channel.take() == [(Op.REPORT, 64, [[X, 0, 5, SEALED | HELD, 0, ""]]), (Op.BORROW, 0)]
    channel.answer(None)
    assert not connection.loan.put(Y, b"value")
    assert channel.take() == [(Op.BORROW, 5)]


# Requests


def test_queued_releases_are_sent_before_a_request(channel: FakeChannel, connection: StoreConnection) -> None:
    connection.backlog.queue_release(X, is_pin=False)
    connection.backlog.queue_release(Y, is_pin=True)
    assert channel.take() == []
    connection.request(Op.STATS)
    assert channel.take() == [(Op.RELEASE, [X], [Y]), (Op.STATS,)]


def test_transits_that_ended_are_reported_at_once_without_a_loop(
    channel: FakeChannel, connection: StoreConnection
) -> None:
    connection.backlog.arrived(X, b"one")
    connection.backlog.settle([b"two", b"three"])
    assert channel.take() == [(Op.ARRIVE, [(X, b"one")]), (Op.SETTLE, [b"two", b"three"])]


def test_a_read_is_asked_for_before_anything_is_released(channel: FakeChannel, connection: StoreConnection) -> None:
    channel.answer([1, 64, 5, []], with_segment=True)
    connection.backlog.queue_release(Y, is_pin=True)
    view, _ = connection.pinned(X, [Z])
    assert len(view) == 5
    assert channel.take() == [(Op.GET, X, [Z], True), (Op.RELEASE, [], [Y])]
    del view
    connection.backlog.flush()
    assert channel.take() == [(Op.RELEASE, [], [X])]


def test_objects_that_come_along_are_viewed_and_unpinned_each(
    channel: FakeChannel, connection: StoreConnection
) -> None:
    channel.answer([1, 64, 5, [[Y, 1, 128, 7]]], with_segment=True)
    view, beside = connection.pinned(X, [Y])
    others = dict(beside)
    assert [len(view), *map(len, others.values())] == [5, 7]
    channel.take()
    others.clear()
    connection.backlog.flush()
    assert channel.take() == [(Op.RELEASE, [], [Y])]


def test_the_error_in_an_answer_is_raised(channel: FakeChannel, connection: StoreConnection) -> None:
    channel.answer(None, Status.PENDING)
    with pytest.raises(NotReadyError, match="object 78787878 is not sealed yet"):
        connection.pinned(X)
    channel.answer(encode_plain(ObjectLostError("object 7878 is lost")), Status.ERROR)
    with pytest.raises(ObjectLostError, match="object 7878 is lost"):
        connection.pinned(X)
    channel.answer(Wait.SPACE, Status.WAIT)
    assert connection.request(Op.CREATE, X, 100, False, "", False) is Wait.SPACE


def test_the_answer_to_a_request_that_was_interrupted_is_undone(
    channel: FakeChannel, connection: StoreConnection
) -> None:
    lost = StoreReply(Status.DONE, [1, 0, 100], [])
    channel.stale = [(Op.CREATE, (X, 100, False, ""), lost), (Op.RESERVE, ([[Y, 10], [Z, 10]], ""), lost)]
    connection.request(Op.STATS)
    assert channel.take() == [(Op.STATS,), (Op.ABORT, X), (Op.ABORT, Y), (Op.ABORT, Z)]


def test_after_a_store_that_is_gone_nothing_is_made_in_its_memory(
    channel: FakeChannel, connection: StoreConnection
) -> None:
    lend(channel)
    connection.loan.put(X, b"value")
    connection.backlog.flush()
    channel.is_gone = True
    with pytest.raises(ObjectLostError, match="the store is gone"):
        connection.request(Op.STATS)
    channel.is_gone = False
    assert not connection.loan.put(Y, b"value")
    assert connection.loan.create(Y, 100, "") is None


def test_a_store_that_did_not_read_in_time_hears_of_every_release_later(
    channel: FakeChannel, connection: StoreConnection
) -> None:
    channel.is_gone = True
    with pytest.raises(ObjectLostError, match="the store is gone"):
        connection.request(Op.STATS)
    channel.is_gone = False
    connection.backlog.queue_release(X, is_pin=False)
    connection.request(Op.STATS)
    assert channel.take() == [(Op.RELEASE, [X], []), (Op.STATS,)]


# The end


def test_after_the_end_each_call_raises_a_new_error(channel: FakeChannel, connection: StoreConnection) -> None:
    lend(channel)
    connection.loan.put(X, b"value")
    view, _ = connection.pinned(X)
    connection.end(ObjectLostError, "the node is gone")
    errors = []
    for call in (
        lambda: connection.request(Op.STATS),
        lambda: connection.post(Op.FREE, X),
        lambda: connection.loan.put(Y, b"value"),
        lambda: connection.pinned(X),
        lambda: connection.backlog.flush(),
    ):
        with pytest.raises(ObjectLostError, match="the node is gone") as caught:
            call()
        errors.append(caught.value)
    assert len(set(map(id, errors))) == len(errors)
    assert bytes(view) == b"value"
    assert channel.is_closed
    connection.backlog.settle([b"token"])
    connection.backlog.queue_release(X, is_pin=True)
    assert connection.backlog.to_release_count == 0


@pytest.mark.parametrize(
    "call",
    [lambda connection: connection.loan.put(Y, b"value"), lambda connection: connection.pinned(X)],
    ids=["put", "read"],
)
def test_a_thread_that_waits_for_the_lock_at_the_end_gets_an_error_of_the_store(
    channel: FakeChannel, connection: StoreConnection, call: Callable[[StoreConnection], object]
) -> None:
    lend(channel)
    connection.loan.put(X, b"value")
    connection.loan._lock = EndsFirst(connection)  # type: ignore[assignment]
    with pytest.raises(ObjectLostError, match="gone"):
        call(connection)


class EndsFirst:
    """The lock of a connection; another thread, which holds it at first, ends the connection."""

    def __init__(self, connection: StoreConnection) -> None:
        self._connection = connection
        self._lock = connection.conversation.lock

    def __enter__(self) -> None:
        self._connection.loan._lock = self._lock
        self._connection.end(ObjectLostError, "the node is gone")
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


# With a loop


async def test_releases_of_one_tick_leave_together(channel: FakeChannel, connection: StoreConnection) -> None:
    connection.attach(asyncio.get_running_loop(), lambda _event, _fd: None, lambda: None)
    for object_id in (X, Y, Z):
        connection.backlog.queue_release(object_id, is_pin=False)
    assert channel.take() == []
    await asyncio.sleep(0)
    assert channel.take() == [(Op.RELEASE, [X, Y, Z], [])]


async def test_a_view_that_the_store_pinned_ahead_is_read_without_a_request(
    channel: FakeChannel, connection: StoreConnection
) -> None:
    connection.attach(asyncio.get_running_loop(), lambda _event, _fd: None, lambda: None)
    channel.answer([1, 64, 5, []], with_segment=True)
    first, _ = connection.pinned(X)
    channel.take()
    connection.keep_view(Y, [1, 128, 7])
    view, _ = connection.pinned(Y)
    assert (len(first), len(view), channel.take()) == (5, 7, [])
    connection.keep_view(Z, [1, 256, 9])
    connection.drop_view(Z)
    connection.backlog.flush()
    assert channel.take() == [(Op.RELEASE, [], [Z])]


async def test_an_object_in_a_segment_that_is_not_mapped_is_unpinned_at_once(
    channel: FakeChannel, connection: StoreConnection
) -> None:
    connection.attach(asyncio.get_running_loop(), lambda _event, _fd: None, lambda: None)
    connection.keep_view(Y, [1, 128, 7])
    await asyncio.sleep(0)
    assert channel.take() == [(Op.RELEASE, [], [Y])]


def test_nothing_is_kept_without_a_loop_that_releases_it(channel: FakeChannel, connection: StoreConnection) -> None:
    connection.keep_view(Y, [1, 128, 7])
    connection.backlog.flush()
    assert channel.take() == [(Op.RELEASE, [], [Y])]
