"""The attribute `executed` of the error of a call whose receiver ends, at each stage of the call.

The stages are: *unsent*, without credit; *queued* in the mailbox; *running*; *replied*, with the reply not sent yet.
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
    """Ends its process while a message is handled."""

    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path)


async def executed(reply):
    """Return the type and the `executed` of the error of a call, which must fail."""
    with pytest.raises(art.CallError) as caught:
        await reply
    return type(caught.value), caught.value.executed


async def all_stages(notes, **options):
    """Return an actor and one call to it at each stage except the last: unsent, queued and running."""
    subject = await Dying.options(mailbox_messages=FIRST_MESSAGES, **options).spawn(notes.folder)
    running = subject.hold()
    await notes.wait_for("holding")
    queued, *_, unsent = [subject.record(n) for n in range(FIRST_MESSAGES + 10)]
    return subject, unsent, queued, running


@RESTARTS
async def test_executed_is_maybe_for_sent_calls_after_the_process_was_killed(node_runtime, notes, restart):
    subject, unsent, queued, running = await all_stages(notes, isolation="process", restart=restart)
    status = await node_runtime.status()
    (pid,) = [actor["pid"] for actor in status["actors"]]
    os.kill(pid, signal.SIGKILL)
    if restart == "permanent":
        assert await executed(running) == await executed(queued) == (art.ActorUnavailableError, "maybe")
        assert await unsent == FIRST_MESSAGES + 9  # handled by the next incarnation
        assert notes.read()[0] == "holding"
        assert "0" not in notes.read()
    else:
        assert await executed(running) == await executed(queued) == (art.ActorDiedError, "maybe")
        assert await executed(unsent) == (art.ActorDiedError, "no")
        assert notes.read() == ["holding"]
    assert await subject.is_alive() is (restart == "permanent")


@RESTARTS
async def test_executed_is_maybe_for_a_call_whose_process_was_killed_before_its_reply_was_sent(
    node_runtime, notes, restart
):
    subject = await Dying.options(isolation="process", restart=restart).spawn(notes.folder)
    await subject.record("first")
    replied, running, queued = subject.record("replied"), subject.die(), subject.record("queued")  # in one frame
    error = art.ActorDiedError if restart == "temporary" else art.ActorUnavailableError
    for reply in (replied, running, queued):
        assert await executed(reply) == (error, "maybe")
    assert notes.read() == ["first", "replied"]


@pytest.mark.parametrize("place", [{}, {"isolation": "process"}], ids=["light", "process"])
async def test_executed_after_a_kill_by_ref_is_maybe_for_the_running_call_and_no_for_the_unsent_call(
    node_runtime, notes, place
):
    subject, unsent, queued, running = await all_stages(notes, **place)
    await subject.kill()
    is_shared = not place  # a process of its own is killed, so that it can't report which calls were queued
    assert await executed(running) == (art.ActorDiedError, "maybe")
    assert await executed(queued) == (art.ActorDiedError, "no" if is_shared else "maybe")
    assert await executed(unsent) == (art.ActorDiedError, "no")


async def test_executed_is_maybe_for_the_running_call_after_the_actor_failed_without_a_restart(node_runtime, notes):
    subject, unsent, queued, running = await all_stages(notes, max_concurrency=2)
    await queued  # handled beside the running one
    subject.exit()
    assert await executed(running) == (art.ActorDiedError, "maybe")
    assert await subject.is_alive() is False
    assert await unsent == FIRST_MESSAGES + 9  # it had room by then
    assert await executed(subject.record("later")) == (art.ActorDiedError, "no")


async def test_executed_is_maybe_for_the_running_call_and_queued_calls_run_after_a_restart(node_runtime, notes):
    subject, unsent, queued, running = await all_stages(notes, restart="permanent", max_concurrency=2)
    failing = subject.exit()
    assert await executed(running) == await executed(failing) == (art.ActorUnavailableError, "maybe")
    assert (await queued, await unsent) == (0, FIRST_MESSAGES + 9)
    assert await subject.incarnation() == 2


@pytest.mark.parametrize("place", [{}, {"isolation": "process"}], ids=["light", "process"])
async def test_cancelled_calls_raise_at_every_stage_and_the_queued_call_does_not_run(node_runtime, notes, place):
    subject, unsent, queued, running = await all_stages(notes, **place)
    for reply in (unsent, queued, running):
        reply.cancel()
        assert (await executed(reply))[0] is art.CallCancelledError
    await notes.wait_for("cancelled")
    assert await subject.record("next") == "next"
    assert "0" not in notes.read()


@pytest.mark.parametrize("place", [{}, {"isolation": "process"}], ids=["light", "process"])
async def test_executed_is_no_for_calls_that_time_out_in_the_queue_and_maybe_for_the_running_call(
    node_runtime, notes, place, monkeypatch
):
    monkeypatch.setattr(call_table, "DEADLINE_VERDICT_S", 2.0)  # a busy machine may be slower than the usual wait
    subject = await Dying.options(mailbox_messages=FIRST_MESSAGES, **place).spawn(notes.folder)
    running = subject.hold.options(timeout_s=1)()
    await notes.wait_for("holding")
    record = subject.record.options(timeout_s=0.2)
    queued, *_, unsent = [record(n) for n in range(FIRST_MESSAGES + 10)]
    assert await executed(unsent) == await executed(queued) == (art.CallTimeoutError, "no")
    assert await executed(running) == (art.CallTimeoutError, "maybe")
    assert await subject.record("next") == "next"
    assert notes.read() == ["holding", "cancelled", "next"]


async def test_executed_is_yes_after_the_method_raised(node_runtime, notes):
    subject = await Dying.spawn(notes.folder)
    with pytest.raises(ValueError, match="on purpose") as caught:
        await subject.raise_value_error()
    assert caught.value.executed == "yes"


@pytest.mark.parametrize("word", ["no", "maybe"])
async def test_executed_is_maybe_for_sent_calls_after_the_link_to_a_running_process_was_lost(node_runtime, notes, word):
    subject, unsent, queued, running = await all_stages(notes, isolation="process")
    route = subject._route
    assert await node_runtime.endpoint.transport.flush(5)  # the queued call has left this process
    node_runtime.endpoint.peer_failed(route.peer, art.PeerUnreachableError("the connection broke", executed=word))
    assert await executed(running) == await executed(queued) == (art.ActorUnavailableError, "maybe")  # they have left
    notes.open()
    assert await unsent == FIRST_MESSAGES + 9  # it was sent again
    assert await subject.incarnation() == 1


async def test_executed_is_maybe_for_the_running_call_after_the_files_of_the_sockets_were_removed(node_runtime, notes):
    subject, *_, running = await all_stages(notes, isolation="process")
    seen = node_runtime.endpoint.routes.sighting(subject._actor_id)
    for endpoint in (seen.peer_address, node_runtime.endpoint.peers.own):
        os.unlink(endpoint.address.removeprefix("unix://"))
    cancelled = subject.record("cancelled")
    cancelled.cancel()  # the link for it can't be opened any more, so both ends declare each other lost
    assert (await executed(cancelled))[0] is art.CallCancelledError
    assert await executed(running) == (art.ActorUnavailableError, "maybe")
    assert notes.read() == ["holding"]
