"""The connections of a store: their processes and roles, and the messages to them."""

from __future__ import annotations

import pytest

from actorrt.ids import PeerId
from actorrt.store.memory.pool import Place
from actorrt.store.server.connections import Connections
from actorrt.store.table.instructions import DropSegment, Instruction, Send
from actorrt.store.wire.protocol import VERSION, Event, ProtocolError, Role, Status

REQUESTS, EVENTS, WAIT, OTHER = 1, 2, 3, 4
PEER = PeerId(b"p" * 16)
PLACE = Place(9, 64, 100)


@pytest.fixture
def connections() -> Connections:
    connections = Connections()
    for number, role in ((REQUESTS, Role.REQUESTS), (EVENTS, Role.EVENTS), (WAIT, Role.WAIT)):
        connections.open(number, f"pid {number}")
        connections.identify(number, VERSION, role, PEER)
    return connections


def said(connections: Connections) -> list[Instruction]:
    instructions, connections.instructions = connections.instructions, []
    return instructions


def test_a_processs_connections_find_each_other(connections: Connections) -> None:
    assert connections.listener(connections[REQUESTS]) == EVENTS
    assert connections.speaker(EVENTS) == REQUESTS
    assert connections.speaker(REQUESTS) is None
    assert [connections.asker(number) for number in (REQUESTS, EVENTS, WAIT)] == [REQUESTS] * 3
    assert [connections.waiter(number) for number in (REQUESTS, EVENTS, WAIT)] == [EVENTS, EVENTS, WAIT]


def test_a_process_without_the_other_connection_is_refused() -> None:
    connections = Connections()
    connections.open(EVENTS, "events")
    connections.identify(EVENTS, VERSION, Role.EVENTS, PEER)
    with pytest.raises(ValueError, match="a process that waits for memory needs a requests connection"):
        connections.asker(EVENTS)
    connections.open(OTHER, "requests")
    connections.identify(OTHER, VERSION, Role.REQUESTS, PeerId(b"o" * 16))
    with pytest.raises(ValueError, match="a process that subscribes needs an events connection"):
        connections.waiter(OTHER)


@pytest.mark.parametrize(
    ("version", "peer", "message"),
    [
        (VERSION + 1, PEER, f"HELLO of version {VERSION + 1} with a peer of 16 bytes"),
        (VERSION, b"short", f"HELLO of version {VERSION} with a peer of 5 bytes"),
    ],
)
def test_another_version_or_a_bad_peer_is_refused(version: int, peer: bytes, message: str) -> None:
    connections = Connections()
    connections.open(OTHER, "pid 4")
    with pytest.raises(ProtocolError, match=message):
        connections.identify(OTHER, version, Role.REQUESTS, peer)
    assert connections[OTHER].role is None


def test_a_second_hello_or_a_second_connection_for_a_role_is_refused(connections: Connections) -> None:
    with pytest.raises(ProtocolError, match="a second HELLO"):
        connections.identify(REQUESTS, VERSION, Role.REQUESTS, PEER)
    connections.open(OTHER, "pid 4")
    with pytest.raises(ProtocolError, match="a second connection of process 70707070 for REQUESTS"):
        connections.identify(OTHER, VERSION, Role.REQUESTS, PEER)
    assert connections.speaker(EVENTS) == REQUESTS


def test_a_role_is_free_again_when_its_connection_closes(connections: Connections) -> None:
    assert connections.close(REQUESTS) is not None
    assert connections.close(REQUESTS) is None
    assert connections.speaker(EVENTS) is None
    connections.open(OTHER, "pid 4")
    connections.identify(OTHER, VERSION, Role.REQUESTS, PEER)
    assert connections.speaker(EVENTS) == OTHER


def test_a_descriptor_goes_along_once_for_each_way_of_mapping(connections: Connections) -> None:
    for writable in (False, False, True):
        connections.reply_place(REQUESTS, 5, PLACE, writable=writable, more=("more",))
    message = [5, Status.DONE, [9, 64, 100, "more"], []]
    assert said(connections) == [
        Send(REQUESTS, message, 9, False),
        Send(REQUESTS, message, None, False),
        Send(REQUESTS, message, 9, True),
    ]


def test_readers_of_a_retired_segment_hear_of_it_on_their_events(connections: Connections) -> None:
    connections.reply_place(REQUESTS, 5, PLACE, writable=False)
    said(connections)
    connections.retire([9, 10])
    assert said(connections) == [Send(EVENTS, [Event.RETIRED, [9]]), DropSegment(9), DropSegment(10)]
    assert connections[REQUESTS].mapped == set()


def test_a_process_without_events_hears_of_retired_segments_with_its_next_answer(connections: Connections) -> None:
    connections.close(EVENTS)
    connections.reply_place(REQUESTS, 5, PLACE, writable=True)
    connections.retire([9])
    said(connections)
    for serial in (6, 7):
        connections.reply(REQUESTS, serial, Status.DONE, None)
    assert said(connections) == [
        Send(REQUESTS, [6, Status.DONE, None, [9]]),
        Send(REQUESTS, [7, Status.DONE, None, []]),
    ]


def test_a_segment_is_offered_on_the_events_of_its_writer(connections: Connections) -> None:
    connections.offer(REQUESTS, 9)
    connections.offer(OTHER, 9)  # it has ended
    assert said(connections) == [Send(EVENTS, [Event.NEXT, 9], 9, True)]
    connections.retire([9])
    assert said(connections) == [Send(EVENTS, [Event.RETIRED, [9]]), DropSegment(9)]
