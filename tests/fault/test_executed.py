"""`executed`: what the error of a call says of its execution, at whichever stage its receiver's end finds it.

The stages: *unsent*, for want of credit; *queued* in the mailbox; *running*; *replied*, the reply not yet on its way.
"""

from __future__ import annotations

import os
import signal

import pytest

import actorrt as art
from actorrt.actors.calling import call_table
from actorrt.actors.wire.credit import FIRST_MESSAGES
from tests.integration.witnesses import Notes, Subject

RESTARTS = pytest.mark.parametrize("restart", ["temporary", "permanent"])


class Dying(Subject):
    """Ends its process in the middle of a turn."""

    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path)


async def executed(reply):
    """Return what the error of a call is and says; the call must fail."""
    with pytest.raises(art.CallError) as caught:
        await reply
    return type(caught.value), caught.value.executed


async def all_stages(notes, **options):
    """Return an actor, and one call to it at each stage but the last: unsent, queued, running."""
    subject = await Dying.options(mailbox_messages=FIRST_MESSAGES, **options).spawn(notes.folder)
    running = subject.hold()
    await notes.come_to("holding")
    queued, *_, unsent = [subject.record(n) for n in range(FIRST_MESSAGES + 10)]
    return subject, unsent, queued, running


@RESTARTS
async def test_process_killed(node_runtime, notes, restart):
    subject, unsent, queued, running = await all_stages(notes, isolation="process", restart=restart)
    status = await node_runtime.status()
    (pid,) = [actor["pid"] for actor in status["actors"]]
    os.kill(pid, signal.SIGKILL)
    if restart == "permanent":
        assert await executed(running) == await executed(queued) == (art.ActorUnavailableError, "maybe")
        assert await unsent == FIRST_MESSAGES + 9  # by the next incarnation
        assert notes.read()[0] == "holding"
        assert "0" not in notes.read()
    else:
        assert await executed(running) == await executed(queued) == (art.ActorDiedError, "maybe")
        assert await executed(unsent) == (art.ActorDiedError, "no")
        assert notes.read() == ["holding"]
    assert await subject.is_alive() is (restart == "permanent")


@RESTARTS
async def test_process_killed_after_the_method_returned_and_before_its_reply_left(node_runtime, notes, restart):
    subject = await Dying.options(isolation="process", restart=restart).spawn(notes.folder)
    await subject.record("first")
    replied, running, queued = subject.record("replied"), subject.die(), subject.record("queued")  # in one frame
    error = art.ActorDiedError if restart == "temporary" else art.ActorUnavailableError
    for reply in (replied, running, queued):
        assert await executed(reply) == (error, "maybe")
    assert notes.read() == ["first", "replied"]


@pytest.mark.parametrize("place", [{}, {"isolation": "process"}], ids=["light", "process"])
async def test_actor_killed_by_its_ref(node_runtime, notes, place):
    subject, unsent, queued, running = await all_stages(notes, **place)
    await subject.kill()
    is_shared = not place  # the process of one of its own is killed: it can't tell what was queued there
    assert await executed(running) == (art.ActorDiedError, "maybe")
    assert await executed(queued) == (art.ActorDiedError, "no" if is_shared else "maybe")
    assert await executed(unsent) == (art.ActorDiedError, "no")


async def test_actor_that_fails_and_does_not_restart(node_runtime, notes):
    subject, unsent, queued, running = await all_stages(notes, max_concurrency=2)
    await queued  # handled beside the running one
    subject.exit()
    assert await executed(running) == (art.ActorDiedError, "maybe")
    assert await subject.is_alive() is False
    assert await unsent == FIRST_MESSAGES + 9  # had room by then
    assert await executed(subject.record("later")) == (art.ActorDiedError, "no")


async def test_actor_that_fails_and_restarts(node_runtime, notes):
    subject, unsent, queued, running = await all_stages(notes, restart="permanent", max_concurrency=2)
    failing = subject.exit()
    assert await executed(running) == await executed(failing) == (art.ActorUnavailableError, "maybe")
    assert (await queued, await unsent) == (0, FIRST_MESSAGES + 9)
    assert await subject.incarnation() == 2


@pytest.mark.parametrize("place", [{}, {"isolation": "process"}], ids=["light", "process"])
async def test_cancelled_by_the_caller(node_runtime, notes, place):
    subject, unsent, queued, running = await all_stages(notes, **place)
    for reply in (unsent, queued, running):
        reply.cancel()
        assert (await executed(reply))[0] is art.CallCancelledError
    await notes.come_to("cancelled")
    assert await subject.record("next") == "next"
    assert "0" not in notes.read()


@pytest.mark.parametrize("place", [{}, {"isolation": "process"}], ids=["light", "process"])
async def test_deadline(node_runtime, notes, place, monkeypatch):
    monkeypatch.setattr(call_table, "DEADLINE_VERDICT_S", 2.0)  # a busy machine may take longer than it waits
    subject = await Dying.options(mailbox_messages=FIRST_MESSAGES, **place).spawn(notes.folder)
    running = subject.hold.options(timeout_s=1)()
    await notes.come_to("holding")
    record = subject.record.options(timeout_s=0.2)
    queued, *_, unsent = [record(n) for n in range(FIRST_MESSAGES + 10)]
    assert await executed(unsent) == await executed(queued) == (art.CallTimeoutError, "no")
    assert await executed(running) == (art.CallTimeoutError, "maybe")
    assert await subject.record("next") == "next"
    assert notes.read() == ["holding", "cancelled", "next"]


async def test_method_that_raised(node_runtime, notes):
    subject = await Dying.spawn(notes.folder)
    with pytest.raises(ValueError, match="on purpose") as caught:
        await subject.raise_value_error()
    assert caught.value.executed == "yes"


@pytest.mark.parametrize("word", ["no", "maybe"])
async def test_process_that_can_not_be_reached_though_it_lives(node_runtime, notes, word):
    subject, unsent, queued, running = await all_stages(notes, isolation="process")
    route = subject._route
    assert await node_runtime.endpoint.transport.flush(5)  # what is queued there has left here
    node_runtime.endpoint.peer_failed(route.peer, art.PeerUnreachableError("the connection broke", executed=word))
    assert await executed(running) == await executed(queued) == (art.ActorUnavailableError, "maybe")  # they have left
    notes.open()
    assert await unsent == FIRST_MESSAGES + 9  # tried again
    assert await subject.incarnation() == 1


async def test_running_call_ends_where_a_cleaner_removed_the_files_of_the_sockets(node_runtime, notes):
    subject, *_, running = await all_stages(notes, isolation="process")
    seen = node_runtime.endpoint.routes.sighting(subject._actor_id)
    for endpoint in (seen.peer_address, node_runtime.endpoint.peers.own):
        os.unlink(endpoint.address.removeprefix("unix://"))
    cancelled = subject.record("cancelled")
    cancelled.cancel()  # over a link that can't be opened any more: both ends give each other up
    assert (await executed(cancelled))[0] is art.CallCancelledError
    assert await executed(running) == (art.ActorUnavailableError, "maybe")
    assert notes.read() == ["holding"]
