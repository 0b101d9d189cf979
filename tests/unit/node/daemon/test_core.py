"""A node's answers to messages that are wrong, without processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.actors.wire.control import Answer
from actorrt.config import MIB
from actorrt.ids import IdSource, JobId
from actorrt.machine.surroundings import Surroundings
from actorrt.node.daemon.local_node import LocalNode
from actorrt.node.placement.resources import Resources
from actorrt.protocol import authorities, hosts, nodes
from actorrt.protocol.authorities import Spawn
from actorrt.protocol.cluster.listing import AskNodeRoom, AskNodes
from actorrt.protocol.cluster.members import AskMembers
from actorrt.protocol.cluster.questions import AskNode
from actorrt.protocol.envelopes import REQUEST
from actorrt.protocol.leases import (
    EndWorker,
    ReturnLease,
    TaskBlocked,
    TasksPending,
    TaskUnblocked,
    WantLeases,
    WornOut,
)
from actorrt.protocol.nodes import AttachDriver, Detach
from actorrt.protocol.objects import FindPromise
from actorrt.protocol.verb import VERBS
from actorrt.transport.interfaces import Lane
from tests.unit.protocol.samples import ACTOR, JOB, ORDER, SAMPLES, SETTING

IDS = IdSource()
DRIVER = AttachDriver(job=JOB, address="memory://driver", pid=1, setting=SETTING)
RIGHT: dict[str, dict[str, Any]] = {
    request.verb: request.pack()
    for request, _ in SAMPLES
    if type(request).__module__ in (nodes.__name__, authorities.__name__)
}
WRONG = [{"no": "such thing"}, 7.5, -2.5, "", b"short", [None], True]


@pytest.fixture
async def node() -> AsyncIterator[LocalNode]:
    node = LocalNode(Resources(2, 0, may_exceed=True), 16 * MIB, Surroundings.of_process())
    await node.start()
    yield node
    await node.close()


@pytest.fixture
async def peer(node: LocalNode) -> AsyncIterator[ActorEndpoint]:
    endpoint = node.endpoint(IDS.peer(), "memory://driver", JOB, "default")
    await endpoint.start()
    yield endpoint
    await endpoint.close()
    endpoint.store.close()


def wrong_data(verb: str) -> list[tuple[str, dict[str, Any]]]:
    """Return data of which one field is missing, or of a wrong type, with that field's name."""
    right = RIGHT[verb]
    data = [(name, {key: value for key, value in right.items() if key != name}) for name in right]
    return data + [
        (name, {**right, name: wrong}) for name in right for wrong in WRONG if _refuses(verb, {**right, name: wrong})
    ]


def _refuses(verb: str, data: dict[str, Any]) -> bool:
    try:
        VERBS[verb].unpack(data)
    except ValueError:
        return True
    return False


def test_every_field_of_a_request_to_a_node_or_an_authority_refuses_wrong_types() -> None:
    for verb, right in RIGHT.items():
        assert not _refuses(verb, right)
        refused = [name for name, _ in wrong_data(verb)]
        assert all(refused.count(name) > 3 for name in right), verb


async def test_every_verb_of_the_protocol_is_answered_where_it_says(node: LocalNode, peer: ActorEndpoint) -> None:
    own = {verb for verb, request in VERBS.items() if request.__module__ == nodes.__name__}
    shared = {verb for verb, request in VERBS.items() if request.__module__ == authorities.__name__}
    hosted = {verb for verb, request in VERBS.items() if request.__module__ == hosts.__name__}
    lent = (WantLeases, TasksPending, ReturnLease, EndWorker, TaskBlocked, TaskUnblocked, WornOut)
    lending = {request.verb for request in lent}
    assert node.core.control._handlers.keys() == own | shared | lending | {
        FindPromise.verb,
        AskMembers.verb,
        AskNode.verb,
        AskNodes.verb,
        AskNodeRoom.verb,
    }
    assert peer.control._handlers.keys() >= shared | hosted


@pytest.mark.parametrize("verb", sorted(RIGHT))
async def test_message_of_a_wrong_form_is_refused_in_words_and_changes_nothing(
    verb: str, node: LocalNode, peer: ActorEndpoint
) -> None:
    before = node.core.status.page(None, 100)
    control = peer.control
    for name, data in wrong_data(verb):
        answer = control._requests[0] = Answer(node.peer_address.peer, VERBS[verb])
        peer.transport.link(*node.peer_address, Lane.CONTROL).send([REQUEST, 0, verb, data])
        with pytest.raises(ValueError, match=rf"{verb}.* {name!r}|{verb}\.{name}"):
            await answer
    assert node.core.status.page(None, 100) == before


async def test_driver_attaches_once_and_ends_its_own_job_only(node: LocalNode, peer: ActorEndpoint) -> None:
    other = node.endpoint(IDS.peer(), "memory://other", JOB, "default")
    await other.start()
    await peer.control.request(node.peer_address, DRIVER)
    for again in (peer, other):
        with pytest.raises(errors.RuntimeStateError, match="begun already"):
            await again.control.request(node.peer_address, DRIVER)
    with pytest.raises(errors.RuntimeStateError, match="another driver's"):
        await other.control.request(node.peer_address, Detach(job=JOB))
    assert len(node.core.status.page(None, 100).jobs) == 1
    await peer.control.request(node.peer_address, Detach(job=JOB))
    assert node.core.status.page(None, 100).jobs == []
    await other.close()
    other.store.close()


async def test_driver_is_reached_where_it_says_or_is_refused(node: LocalNode, peer: ActorEndpoint) -> None:
    with pytest.raises(ValueError, match="reached at 'memory://driver'"):
        await peer.control.request(
            node.peer_address, AttachDriver(job=JOB, address="memory://elsewhere", pid=1, setting=SETTING)
        )


async def test_nothing_begins_on_a_node_that_goes_down_and_nothing_breaks_there(
    node: LocalNode, peer: ActorEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """A driver whose store connection ends with the node must not end its job once more."""
    await peer.control.request(node.peer_address, DRIVER)
    closing = asyncio.ensure_future(node.core.close())
    await asyncio.sleep(0)
    with pytest.raises(errors.RuntimeStateError, match="being stopped"):
        node.core.attach_driver(IDS.peer(), DRIVER)
    with pytest.raises(errors.ActorStartError, match="being stopped"):
        node.core._spawn(peer.peers.own_peer, Spawn(actor=ACTOR, order=ORDER))
    await closing
    node.core.jobs.begin(JobId(b"\x08" * 16), peer.peers.own, SETTING)
    node.core.peer_gone(peer.peers.own_peer)
    assert caplog.records == []
