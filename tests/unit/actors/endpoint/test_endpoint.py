"""An endpoint put together, over a transport of which nothing leaves the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.actors.refs.ref import ActorRef
from actorrt.ids import JobId
from actorrt.machine.clock import ManualClock
from actorrt.machine.surroundings import Surroundings
from actorrt.protocol.authorities import Sighting
from actorrt.protocol.envelopes import ASK, CREDIT, ERROR, ITEM, NOT_HERE, REPLY
from actorrt.protocol.processes import EndpointDown
from actorrt.reasons import ExitKind, ExitReason
from actorrt.transport.memory.network import MemoryNetwork
from actorrt.transport.memory.transport import MemoryTransport
from tests.unit.actors.calling.fakes import ACTOR, HERE, KIND, NODE, THERE, FakeLink

KILLED = ExitReason(ExitKind.KILLED, "killed by the test")


class ScriptedTransport(MemoryTransport):
    """Has links that keep what is sent."""

    def __init__(self) -> None:
        super().__init__(MemoryNetwork(), *HERE, clock=ManualClock())
        self.links: dict[Any, FakeLink] = {}
        self.dropped: list[Any] = []

    def link(self, peer: Any, address: str, lane: Any = None) -> Any:
        return self.links.setdefault(peer, FakeLink())

    def address_of(self, peer: Any) -> str | None:
        return THERE.address if peer == THERE.peer else None

    def drop(self, peer: Any) -> None:
        self.dropped.append(peer)


@pytest.fixture
async def endpoint() -> AsyncIterator[ActorEndpoint]:
    endpoint = ActorEndpoint(
        ScriptedTransport(),
        store=None,
        surroundings=replace(Surroundings.of_process(), clock=ManualClock()),
        node=NODE,
        job=JobId(b"j" * 16),
        namespace="default",
    )
    await endpoint.start()
    yield endpoint
    await endpoint.close()


def ref(endpoint: ActorEndpoint) -> ActorRef[Any]:
    return ActorRef(endpoint, ACTOR, KIND, "noted", NODE, Sighting(THERE, 1))


def sent(endpoint: ActorEndpoint) -> list[Any]:
    links: Any = endpoint.transport
    return links.links[THERE.peer].sent  # type: ignore[no-any-return]


async def test_envelopes_go_to_the_part_that_they_are_for(endpoint: ActorEndpoint) -> None:
    first, second = ref(endpoint).note(1), ref(endpoint).note(2)
    stream = ref(endpoint).count()
    assert [envelope[:2] for envelope in sent(endpoint)] == [(ASK, 1), (ASK, 2), (ASK, 3)]
    endpoint.received(THERE.peer, [REPLY, 1, [7]], ())
    endpoint.received(THERE.peer, [ERROR, 2, errors.to_data(errors.ActorDiedError("gone")), "maybe"], ())
    endpoint.received(THERE.peer, [ITEM, 3, ["item"]], ())
    endpoint.received(THERE.peer, [CREDIT, ACTOR, 500, 1 << 21, 0], ())
    endpoint.received(THERE.peer, [REPLY, 3, [None]], ())
    assert (first.value(), str(second.error()), list(stream)) == (7, "gone", ["item"])
    assert endpoint.routes.of(ref(endpoint)).window.granted_messages == 500  # type: ignore[union-attr]


async def test_ask_of_an_actor_that_is_not_here_is_answered_so(endpoint: ActorEndpoint) -> None:
    endpoint.received(THERE.peer, [ASK, 5, ACTOR, "note", [], None, None], ())
    assert sent(endpoint) == [(NOT_HERE, 5, ACTOR)]


async def test_envelope_of_an_unknown_kind_is_a_dead_letter(endpoint: ActorEndpoint) -> None:
    endpoint.received(THERE.peer, [99], ())
    assert [(letter["actor"], letter["why"]) for letter in endpoint.dead_letters.kept()] == [
        ("peer 74747474", "an envelope of the unknown kind 99")
    ]


async def test_end_of_a_process_is_settled_once_its_last_messages_may_have_arrived(
    endpoint: ActorEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    later: list[Any] = []
    monkeypatch.setattr(endpoint.scope, "after", lambda _, callback: later.append(callback))
    down = EndpointDown(peer=THERE.peer, reason=KILLED, in_hand=[])
    endpoint._endpoint_down(NODE.peer, down)
    assert (endpoint.peers.reason_of_loss(THERE.peer), endpoint.transport.dropped) == (KILLED, [])  # type: ignore[attr-defined]
    later[0]()
    assert endpoint.transport.dropped == [THERE.peer]  # type: ignore[attr-defined]


async def test_peer_that_can_not_be_reached_fails_the_calls_there(endpoint: ActorEndpoint) -> None:
    reply = ref(endpoint).note()
    endpoint.peer_failed(THERE.peer, errors.PeerUnreachableError("no answer"))
    error = reply.error()
    assert isinstance(error, errors.ActorUnavailableError)
    assert str(error) == "noted can't be reached for note(): no answer"
    assert endpoint.peers.is_lost(THERE.peer) is False


async def test_defect_of_the_runtime_fails_everything_that_waits_and_everything_later(endpoint: ActorEndpoint) -> None:
    told: list[BaseException] = []
    endpoint.on_crash = told.append
    reply, stop = ref(endpoint).note(), ref(endpoint).kill()
    endpoint.scope.fail(defect := RuntimeError("a defect"))
    later = ref(endpoint).note()
    assert (told, endpoint.failure) == ([defect], defect)
    for failed in (reply, later):
        assert str(failed.error()) == "the actor runtime of this process failed: RuntimeError('a defect')"
    with pytest.raises(errors.RuntimeStateError):
        await stop


async def test_close_fails_what_is_pending_and_refuses_what_is_asked_later(endpoint: ActorEndpoint) -> None:
    reply = ref(endpoint).note()
    await endpoint.close(errors.ActorDiedError("the node is lost"), "the node is lost: call actorrt.init() again")
    await endpoint.close()
    assert str(reply.error()) == "the node is lost"
    assert str(ref(endpoint).note().error()) == "the node is lost: call actorrt.init() again"
    with pytest.raises(errors.RuntimeStateError, match="the node is lost"):
        await ref(endpoint).stop()


async def test_store_that_is_not_there_is_said_so(endpoint: ActorEndpoint) -> None:
    with pytest.raises(errors.RuntimeStateError, match="this process has no object store"):
        endpoint.require_store()
