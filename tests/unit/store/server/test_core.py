"""The answers of a store, message by message."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt.config import MIB
from actorrt.errors import ObjectStoreFullError
from actorrt.ids import PeerId
from actorrt.store.server.core import StoreCore
from actorrt.store.table.instructions import DropSegment, Instruction, MakeSegment, Send
from actorrt.store.values.errors import decode
from actorrt.store.wire.protocol import MAX_PUBLISHED_BYTES, VERSION, Event, Op, ProtocolError, Role, Status, Wait

A, B, EVENTS_A = 1, 2, 3
PEER_A, PEER_B = PeerId(b"a" * 16), PeerId(b"b" * 16)
X, Y = b"x" * 16, b"y" * 16


class Conversation:
    """A core whose segments are made at once."""

    def __init__(self) -> None:
        self.core = StoreCore(8 * MIB)
        for connection, peer, role in ((A, PEER_A, Role.REQUESTS), (B, PEER_B, Role.REQUESTS)):
            self.core.open(connection, f"pid {connection}")
            self.say(connection, Op.HELLO, 1, VERSION, role, peer)

    def say(self, connection: int, op: Op, serial: int, *arguments: Any) -> list[Instruction]:
        self.core.handle(connection, [op, serial, *arguments])
        return self.take()

    def listen(self, connection: int, peer: PeerId) -> None:
        self.core.open(connection, "events")
        self.say(connection, Op.HELLO, 1, VERSION, Role.EVENTS, peer)

    def make(self, connection: int, object_id: bytes, length_bytes: int) -> None:
        """Seal an object, waiting for its segment."""
        *_, answer = self.say(connection, Op.CREATE, 1, object_id, length_bytes, False, "")
        if isinstance(answer, Send) and answer.message[1] is Status.WAIT:
            self.say(connection, Op.TAKE_ALLOCATION, 1, [object_id])
        self.say(connection, Op.SEAL, 0, object_id)

    def take(self) -> list[Instruction]:
        done: list[Instruction] = []
        while instructions := self.core.take():
            for instruction in instructions:
                done.append(instruction)
                if isinstance(instruction, MakeSegment):
                    self.core.segment_made(instruction.segment_id, None)
        return done

    def sweep(self) -> list[Instruction]:
        self.core.sweep(0.0)
        return self.take()


@pytest.fixture
def talk() -> Conversation:
    return Conversation()


def test_a_segments_descriptor_comes_with_its_first_object_only(talk: Conversation) -> None:
    make, wait = talk.say(A, Op.CREATE, 6, X, 100, False, "")
    assert make == MakeSegment(1, 1 * MIB, is_ahead=False)
    assert wait == Send(A, [6, Status.WAIT, Wait.MEMORY, []])
    (first,) = talk.say(A, Op.TAKE_ALLOCATION, 7, [X])
    assert first == Send(A, [7, Status.DONE, [1, 0, 100], []], segment_id=1, writable=True)
    assert talk.say(A, Op.CREATE, 8, Y, 100, False, "") == [Send(A, [8, Status.DONE, [1, 128, 100], []], None, True)]
    talk.say(A, Op.SEAL, 0, X)
    assert talk.say(A, Op.GET, 9, X, []) == [Send(A, [9, Status.DONE, [1, 0, 100, []], []], 1, False)]
    assert talk.say(B, Op.GET, 1, X, []) == [Send(B, [1, Status.DONE, [1, 0, 100, []], []], 1, False)]
    assert talk.say(B, Op.GET, 2, X, []) == [Send(B, [2, Status.DONE, [1, 0, 100, []], []], None, False)]


def test_an_object_that_is_not_sealed_is_pending(talk: Conversation) -> None:
    talk.say(A, Op.CREATE, 1, X, 100, False, "")
    assert talk.say(B, Op.GET, 1, X, []) == [Send(B, [1, Status.PENDING, None, []])]


def test_ready_objects_are_told_to_the_processs_events_in_one_message(talk: Conversation) -> None:
    talk.core.open(EVENTS_A, "events")
    talk.say(EVENTS_A, Op.HELLO, 1, VERSION, Role.EVENTS, PEER_A)
    for object_id in (X, Y):
        talk.say(A, Op.DECLARE, 0, object_id)
        talk.say(B, Op.CREATE, 1, object_id, 100, True, "")
        talk.say(B, Op.SEAL, 0, object_id)
    assert talk.say(A, Op.SUBSCRIBE, 0, [X, Y]) == [Send(EVENTS_A, [Event.READY, [X, Y]])]


def test_an_awaited_object_comes_pinned_with_its_event_if_its_segment_is_mapped(talk: Conversation) -> None:
    talk.core.open(EVENTS_A, "events")
    talk.say(EVENTS_A, Op.HELLO, 1, VERSION, Role.EVENTS, PEER_A)
    for object_id, shown in ((X, []), (Y, [[[Y, 1, 128, 100]]])):
        talk.say(A, Op.DECLARE, 0, object_id)
        talk.say(A, Op.SUBSCRIBE, 0, [object_id])
        talk.say(B, Op.CREATE, 1, object_id, 100, True, "")
        assert talk.say(B, Op.SEAL, 0, object_id) == [Send(EVENTS_A, [Event.READY, [object_id], *shown])]
        assert talk.core.stats()["pinned_bytes"] == 100 * len(shown)
        talk.say(A, Op.GET, 2, X, [])  # from now on A has the segment
        talk.say(A, Op.RELEASE, 0, [], [X])
    talk.say(A, Op.RELEASE, 0, [], [Y])
    assert talk.core.stats()["pinned_bytes"] == 0


def test_subscribing_without_an_events_connection_is_a_protocol_error(talk: Conversation) -> None:
    with pytest.raises(ProtocolError, match="needs an events connection"):
        talk.say(A, Op.SUBSCRIBE, 0, [X])


def test_creates_wait_for_a_segment_in_order_and_fail_where_it_can_not_be_made() -> None:
    core = StoreCore(8 * MIB)
    for connection, peer in ((A, PEER_A), (B, PEER_B)):
        core.open(connection, f"pid {connection}")
        core.handle(connection, [Op.HELLO, 1, VERSION, Role.REQUESTS, peer])
    core.take()
    core.handle(A, [Op.CREATE, 2, X, 100, False, ""])
    core.handle(B, [Op.CREATE, 2, Y, 100, False, ""])
    assert core.take() == [
        MakeSegment(1, 1 * MIB, is_ahead=False),
        Send(A, [2, Status.WAIT, Wait.MEMORY, []]),
        Send(B, [2, Status.WAIT, Wait.MEMORY, []]),
    ]
    core.segment_made(1, ObjectStoreFullError("the machine gave no memory"))
    assert core.take() == [MakeSegment(2, 1 * MIB, is_ahead=False)]
    core.handle(A, [Op.TAKE_ALLOCATION, 3, [X]])
    (failed,) = core.take()
    assert isinstance(failed, Send)
    assert failed.message[:2] == [3, Status.ERROR]
    assert str(decode(failed.message[2])) == "the machine gave no memory"
    core.segment_made(2, None)
    core.handle(B, [Op.TAKE_ALLOCATION, 3, [Y]])
    assert core.take() == [Send(B, [3, Status.DONE, [2, 0, 100], []], 2, True)]


def test_a_connection_that_ends_while_it_waits_for_a_segment_is_forgotten() -> None:
    core = StoreCore(8 * MIB)
    core.open(A, "pid 1")
    core.handle(A, [Op.HELLO, 1, VERSION, Role.REQUESTS, PEER_A])
    core.handle(A, [Op.CREATE, 2, X, 100, False, ""])
    core.close(A, 0.0)
    core.take()
    core.segment_made(1, None)
    assert core.take() == []
    assert core.stats()["objects_count"] == 0


def test_a_spare_segment_is_made_ahead_and_given_to_the_first_request(talk: Conversation) -> None:
    talk.core.make_spare()
    assert talk.take() == [MakeSegment(1, 1 * MIB, is_ahead=True)]
    talk.core.make_spare()
    assert talk.take() == []
    (reply,) = talk.say(A, Op.CREATE, 2, X, 100, False, "")
    assert reply == Send(A, [2, Status.DONE, [1, 0, 100], []], 1, True)


def test_an_idle_segment_is_dropped_and_its_readers_are_told(talk: Conversation) -> None:
    talk.say(A, Op.CREATE, 1, X, 3 * MIB, False, "")
    talk.say(A, Op.SEAL, 0, X)
    talk.say(B, Op.GET, 1, X, [])
    talk.say(A, Op.RELEASE, 0, [X], [])
    talk.say(B, Op.RELEASE, 0, [], [X])
    talk.core.trim()
    assert talk.take() == []
    talk.core.trim()
    assert talk.take() == [DropSegment(1)]
    (reply,) = talk.say(B, Op.GET, 2, X, [])
    assert isinstance(reply, Send)
    assert reply.message[3] == [1]


def test_a_request_that_waits_for_releases_is_told_once_when_it_can_take_its_memory(talk: Conversation) -> None:
    talk.listen(EVENTS_A, PEER_A)
    talk.make(B, X, 6 * MIB)
    assert talk.say(A, Op.CREATE, 1, Y, 6 * MIB, False, "", True)[-1] == Send(A, [1, Status.WAIT, Wait.SPACE, []])
    assert talk.say(A, Op.AWAIT_ALLOCATION, 0, Y) == []
    talk.say(B, Op.RELEASE, 0, [X], [])
    assert Send(EVENTS_A, [Event.ALLOCATION, Y]) in talk.sweep()
    assert talk.sweep() == []
    (reply,) = talk.say(A, Op.TAKE_ALLOCATION, 2, [Y])
    assert isinstance(reply, Send)
    assert reply.message[1] is Status.DONE
    with pytest.raises(ProtocolError, match="only the connection that asked for memory takes it"):
        talk.say(A, Op.TAKE_ALLOCATION, 3, [Y])


def test_taking_memory_that_was_not_found_yet_withdraws_the_request(talk: Conversation) -> None:
    talk.make(B, X, 6 * MIB)
    talk.say(A, Op.CREATE, 1, Y, 6 * MIB, False, "", True)
    (reply,) = talk.say(A, Op.TAKE_ALLOCATION, 2, [Y])
    assert isinstance(reply, Send)
    assert str(decode(reply.message[2])).startswith(
        "no room for 6.0 MiB: 6.0 of 8.0 MiB are used; largest holders: pid 2"
    )
    talk.say(B, Op.RELEASE, 0, [X], [])
    talk.sweep()
    assert talk.core.stats()["objects_count"] == 0


def test_memory_of_an_aborted_request_serves_others(talk: Conversation) -> None:
    talk.listen(EVENTS_A, PEER_A)
    talk.make(B, X, 6 * MIB)
    talk.say(A, Op.CREATE, 1, Y, 6 * MIB, False, "", True)
    talk.say(B, Op.RELEASE, 0, [X], [])
    talk.sweep()
    assert talk.core.stats()["used_bytes"] == 6 * MIB
    talk.say(A, Op.ABORT, 0, Y)
    talk.sweep()
    assert talk.core.stats()["used_bytes"] == talk.core.stats()["objects_count"] == 0


def test_a_create_of_more_bytes_than_the_store_has_is_refused_at_once(talk: Conversation) -> None:
    (reply,) = talk.say(A, Op.CREATE, 1, X, 9 * MIB, False, "", True)
    assert isinstance(reply, Send)
    assert "9.0 MiB are more than the whole store of 8.0 MiB: start the node with more store_bytes" in str(
        decode(reply.message[2])
    )


def test_an_error_reaches_only_the_connection_that_asked(talk: Conversation) -> None:
    (reply,) = talk.say(A, Op.GET, 5, X, [])
    assert isinstance(reply, Send)
    assert reply.message[:2] == [5, Status.ERROR]
    assert str(decode(reply.message[2])) == "object 78787878 is not in the store: it was freed"


@pytest.mark.parametrize(
    "message",
    [
        [Op.CREATE, 1, X, 0, False, ""],
        [Op.CREATE, 1, X, "1", False, ""],
        [Op.CREATE, 1, b"short", 1, False, ""],
        [Op.GET, 1],
        [Op.GET, 1, X, [], X],
        [Op.FAIL, 0, X, b"e" * 40_000],
        [Op.TRANSIT, 0, [[X, b"token", -1]]],
        [Op.HELLO, 1, VERSION, Role.REQUESTS, PEER_A],
        [99, 1],
        [Op.GET],
        [Op.RELEASE, 0, 1, 2],
    ],
    ids=str,
)
def test_messages_that_the_protocol_does_not_allow_are_refused(talk: Conversation, message: list[Any]) -> None:
    with pytest.raises(ProtocolError):
        talk.core.handle(A, message)


def test_a_hello_of_another_version_is_refused() -> None:
    core = StoreCore(8 * MIB)
    core.open(A, "pid 1")
    with pytest.raises(ProtocolError, match=f"HELLO of version {VERSION + 1}"):
        core.handle(A, [Op.HELLO, 1, VERSION + 1, Role.REQUESTS, PEER_A])


def test_a_published_version_comes_with_the_event_where_its_segment_is_mapped(talk: Conversation) -> None:
    talk.core.open(EVENTS_A, "pid 1")
    talk.say(EVENTS_A, Op.HELLO, 1, VERSION, Role.EVENTS, PEER_A)
    for object_id in (X, Y):
        talk.say(B, Op.CREATE, 1, object_id, 100, False, "")
        talk.say(B, Op.SEAL, 0, object_id)
    talk.say(A, Op.AWAIT_VERSION, 0, b"job", "name", 0)
    assert talk.say(B, Op.PUBLISH, 1, b"job", "name", X)[0] == Send(EVENTS_A, [Event.PUBLISHED, b"job", "name", None])
    talk.say(A, Op.GET, 1, X, [])
    talk.say(A, Op.AWAIT_VERSION, 0, b"job", "name", 1)
    shown = [1, 128, 100, 2, Y]
    assert talk.say(B, Op.PUBLISH, 2, b"job", "name", Y)[0] == Send(EVENTS_A, [Event.PUBLISHED, b"job", "name", shown])
    talk.say(B, Op.RELEASE, 0, [Y], [])
    talk.say(B, Op.PUBLISH, 3, b"job", "name", X)
    talk.sweep()
    assert talk.say(A, Op.GET, 2, Y, [])[-1].message[1] == Status.DONE  # type: ignore[union-attr]  # A holds it
    talk.say(A, Op.RELEASE, 0, [Y], [Y, Y])
    talk.sweep()
    assert talk.core.stats()["objects_count"] == 1


def test_a_small_published_value_is_no_object_and_comes_with_its_event(talk: Conversation) -> None:
    talk.core.open(EVENTS_A, "pid 1")
    talk.say(EVENTS_A, Op.HELLO, 1, VERSION, Role.EVENTS, PEER_A)
    talk.say(A, Op.AWAIT_VERSION, 0, b"job", "name", 0)
    told, replied = talk.say(B, Op.PUBLISH, 1, b"job", "name", None, b"small")
    assert told == Send(EVENTS_A, [Event.PUBLISHED, b"job", "name", [b"small", 1]])
    assert replied == Send(B, [1, Status.DONE, 1, []])
    assert talk.say(A, Op.LATEST, 2, b"job", "name", 0) == [Send(A, [2, Status.DONE, [b"small", 1], []])]
    assert talk.say(A, Op.LATEST, 3, b"job", "name", 1) == [Send(A, [3, Status.DONE, None, []])]
    assert talk.core.stats()["objects_count"] == 0


def test_a_small_value_takes_the_place_of_an_object_which_goes_and_the_other_way_round(talk: Conversation) -> None:
    talk.say(B, Op.CREATE, 1, X, 100, False, "")
    talk.say(B, Op.SEAL, 0, X)
    talk.say(B, Op.PUBLISH, 1, b"job", "name", X)
    talk.say(B, Op.RELEASE, 0, [X], [])
    talk.sweep()
    assert talk.core.stats()["objects_count"] == 1
    talk.say(B, Op.PUBLISH, 2, b"job", "name", None, b"small")
    talk.sweep()
    assert talk.core.stats()["objects_count"] == 0
    talk.say(B, Op.CREATE, 3, Y, 100, False, "")
    talk.say(B, Op.SEAL, 0, Y)
    talk.say(B, Op.PUBLISH, 4, b"job", "name", Y)
    assert talk.say(A, Op.LATEST, 5, b"job", "name", 2)[0].message[2][-2:] == [3, Y]  # type: ignore[union-attr]


@pytest.mark.parametrize("data", [None, "text", bytes(MAX_PUBLISHED_BYTES + 1)])
def test_a_long_value_that_is_published_without_an_object_is_refused(talk: Conversation, data: object) -> None:
    with pytest.raises(ProtocolError, match="16384 bytes"):
        talk.core.handle(B, [Op.PUBLISH, 1, b"job", "name", None, data])


def test_a_long_loan_has_the_next_segment_made_ahead_and_a_short_one_does_not(talk: Conversation) -> None:
    talk.core = StoreCore(512 * MIB)
    talk.core.open(A, "pid 1")
    talk.say(A, Op.HELLO, 1, VERSION, Role.REQUESTS, PEER_A)
    make, lent = talk.say(A, Op.BORROW, 1, 1000)
    assert make == MakeSegment(1, 32 * MIB, is_ahead=False)
    assert lent == Send(A, [1, Status.DONE, [1, 0, 256 * 1024], []], segment_id=1, writable=True)
    lent, make = talk.say(A, Op.BORROW, 2, 1 * MIB)
    assert lent == Send(A, [2, Status.DONE, [1, 0, 4 * MIB], []], segment_id=None, writable=True)
    assert make == MakeSegment(2, 32 * MIB, is_ahead=True)
    assert len(talk.say(A, Op.BORROW, 3, 1 * MIB)) == 1  # there is one


def test_a_second_connection_of_a_process_is_refused(talk: Conversation) -> None:
    talk.listen(EVENTS_A, PEER_A)
    for role in (Role.REQUESTS, Role.EVENTS):
        talk.core.open(9, "pid 9")
        with pytest.raises(ProtocolError, match="a second connection of process 61616161"):
            talk.say(9, Op.HELLO, 1, VERSION, role, PEER_A)
        talk.core.close(9, 0.0)
    talk.say(A, Op.DECLARE, 0, X)
    talk.say(A, Op.SUBSCRIBE, 0, [X])
    assert talk.say(B, Op.FAIL, 0, X, b"gone") == [Send(EVENTS_A, [Event.FAILED, X, b"gone"])]
