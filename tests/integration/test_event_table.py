"""The effects of each event, across processes: one test for each row of the table in `docs/messaging.md`."""

from __future__ import annotations

import os
import signal

import pytest

import actorrt as art
from tests.integration.witnesses import Notes, Subject, dead_letters, events_of, observed
from tests.running import growing_timeouts, wait_for_answer

LIGHT_AND_PROCESS = pytest.mark.parametrize("place", [{}, {"isolation": "process"}], ids=["light", "process"])
FAILURES = pytest.mark.parametrize("end", ["tell", "crash_on", "exit"])


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path)


async def outcome(reply):
    """Return the value of a call, or the type of its error and the error's `executed`."""
    try:
        return await reply
    except art.ActorRtError as error:
        return type(error), error.executed


async def held(notes, **options):
    """Return an actor that is busy until `notes.open()`, the call that it handles, and an observer of the actor."""
    subject = await Subject.options(**options).spawn(notes.folder)
    observer = await observed(subject)
    holding = subject.hold()
    await notes.wait_for("holding")
    return subject, holding, observer


def failing(subject, end):
    """Fail the actor with its next message, and return the reply. A tell has an empty reply."""
    return {"tell": subject.raise_value_error.tell, "crash_on": subject.raise_value_error, "exit": subject.exit}[end]()


@LIGHT_AND_PROCESS
async def test_method_raises(node_runtime, notes, place):
    subject, holding, observer = await held(notes, **place)
    raising, other = subject.raise_value_error(), subject.record("other")
    subject.record.tell("told")
    notes.open()
    with pytest.raises(ValueError, match="on purpose"):
        await raising
    assert await art.gather(holding, other, subject.incarnation()) == ["held", "other", 1]
    assert notes.read() == ["holding", "held", "other", "told"]
    assert await observer.events() == ([], [], [])


@FAILURES
@LIGHT_AND_PROCESS
async def test_actor_fails_and_restarts_in_place(node_runtime, notes, place, end):
    crash_on = (ValueError,) if end == "crash_on" else ()
    subject, holding, observer = await held(notes, restart="permanent", crash_on=crash_on, **place)
    in_hand, queued = failing(subject, end), subject.record("queued")
    subject.record.tell("told")
    notes.open()
    assert await holding == "held"
    assert await outcome(in_hand) == (None if end == "tell" else (art.ActorUnavailableError, "maybe"))
    assert await art.gather(queued, subject.incarnation()) == ["queued", 2]
    assert notes.read() == ["holding", "held", "queued", "told"]
    assert await events_of(observer, restart="error") == ([], [], ["error"])


@FAILURES
@LIGHT_AND_PROCESS
async def test_actor_fails_and_does_not_restart(node_runtime, notes, place, end):
    crash_on = (ValueError,) if end == "crash_on" else ()
    subject, holding, observer = await held(notes, crash_on=crash_on, **place)
    in_hand, queued = failing(subject, end), subject.record("queued")
    subject.record.tell("told")
    notes.open()
    assert await holding == "held"
    assert await outcome(in_hand) == (None if end == "tell" else (art.ActorDiedError, "maybe"))
    assert await outcome(queued) == (art.ActorDiedError, "no")
    assert await events_of(observer, down="error") == (["error"], ["error"], [])
    assert notes.read() == ["holding", "held"]
    if not place:
        assert await dead_letters(node_runtime, "record") == 1  # the count of an own process ends with it


async def test_process_lost_and_the_actor_restarts(node_runtime, notes):
    subject, holding, observer = await held(notes, isolation="process", restart="permanent")
    queued, again = subject.record("queued"), subject.record.options(retries=1)("again")
    subject.record.tell("told")
    os.kill(await pid_of(node_runtime, subject), signal.SIGKILL)
    assert await outcome(holding) == (art.ActorUnavailableError, "maybe")
    assert await outcome(queued) == (art.ActorUnavailableError, "maybe")
    assert await art.gather(again, subject.incarnation()) == ["again", 2]
    assert notes.read() == ["holding", "again"]
    assert await events_of(observer, restart="crashed") == ([], [], ["crashed"])


async def test_process_lost_and_the_actor_does_not_restart(node_runtime, notes):
    subject, holding, observer = await held(notes, isolation="process")
    queued, again = subject.record("queued"), subject.record.options(retries=1)("again")
    subject.record.tell("told")
    os.kill(await pid_of(node_runtime, subject), signal.SIGKILL)
    for reply in (holding, queued, again):
        assert await outcome(reply) == (art.ActorDiedError, "maybe")
    assert await outcome(subject.record("later")) == (art.ActorDiedError, "no")
    assert await events_of(observer, down="crashed") == (["crashed"], ["crashed"], [])
    assert notes.read() == ["holding"]


async def pid_of(runtime, ref):
    """Return the process id of an actor that is too busy to answer."""
    (pid,) = [actor["pid"] for actor in (await runtime.status())["actors"] if actor["label"].startswith("Subject")]
    return pid


@LIGHT_AND_PROCESS
async def test_restart_intensity_exceeded(node_runtime, notes, place):
    subject, holding, observer = await held(notes, restart="permanent", max_restarts=0, **place)
    in_hand, queued = subject.exit(), subject.record("queued")
    subject.record.tell("told")
    notes.open()
    assert await holding == "held"
    assert await outcome(in_hand) == (art.ActorDiedError, "maybe")
    with pytest.raises(art.ActorDiedError) as caught:
        await queued
    assert (caught.value.executed, caught.value.reason.kind) == ("no", art.ExitKind.INTENSITY)
    assert await events_of(observer, down="intensity") == (["intensity"], ["intensity"], [])
    assert notes.read() == ["holding", "held"]
    if not place:
        assert await dead_letters(node_runtime, "record") == 1


async def test_restart_intensity_exceeded_escalates(node_runtime, notes):
    class Team(art.Supervisor):
        max_restarts = 0

        def __init__(self, folder):
            self.folder = folder

        def children(self):
            yield art.Child(Subject, self.folder, id="fails")
            yield art.Child(Subject, self.folder, id="beside")

    team = await Team.spawn(notes.folder)
    fails, beside = await team.child("fails"), await team.child("beside")
    observer, beside_observer = await observed(team), await observed(beside)
    assert await outcome(fails.exit()) == (art.ActorDiedError, "maybe")
    assert await events_of(observer, down="intensity") == (["intensity"], ["intensity"], [])
    assert await events_of(beside_observer, down="shutdown") == (["shutdown"], ["shutdown"], [])
    assert await outcome(beside.record("later")) == (art.ActorDiedError, "no")


async def states(runtime):
    """Return the states of the job's actors in the statistics of their processes."""
    return [actor["state"] for here in (await runtime.statistics()).values() for actor in here["actors"]]


@LIGHT_AND_PROCESS
async def test_graceful_stop(node_runtime, notes, place):
    subject, holding, observer = await held(notes, **place)
    queued = subject.record("queued")
    subject.record.tell("told")
    stopping = subject.stop()
    await wait_for_answer(lambda: states(node_runtime), lambda states: "stopping" in states, "an actor is stopping")
    notes.open()
    await stopping
    assert await art.gather(holding, queued) == ["held", "queued"]
    assert await outcome(subject.record("later")) == (art.ActorDiedError, "no")
    assert notes.read() == ["holding", "held", "queued", "told"]
    assert await events_of(observer, down="shutdown") == (["shutdown"], ["shutdown"], [])


@LIGHT_AND_PROCESS
async def test_graceful_stop_takes_longer_than_shutdown_s(node_runtime, notes, place):
    subject, holding, observer = await held(notes, shutdown_s=0.1, **place)
    queued = subject.record("queued")
    subject.record.tell("told")
    await subject.stop()
    assert await outcome(holding) == (art.ActorDiedError, "maybe")
    assert await outcome(queued) == (art.ActorDiedError, "no")
    assert await events_of(observer, down="shutdown") == (["shutdown"], ["shutdown"], [])
    assert notes.read() == ["holding", "cancelled"]
    if not place:
        assert await dead_letters(node_runtime, "record") == 1


@LIGHT_AND_PROCESS
async def test_deadline_passes_in_the_queue(node_runtime, notes, place):
    subject, holding, observer = await held(notes, **place)
    late, other = subject.record.options(timeout_s=0.05)("late"), subject.record("other")
    subject.record.options(timeout_s=0.05).tell("late-told")
    assert await outcome(late) == (art.CallTimeoutError, "no")
    notes.open()
    assert await art.gather(holding, other) == ["held", "other"]
    assert await dead_letters(node_runtime, "record") == 1
    assert notes.read() == ["holding", "held", "other"]
    assert await observer.events() == ([], [], [])


async def late_and_other(subject, notes, method, word):
    """Return the outcome of a call whose deadline passes after it has noted `word`, and the reply of the next call."""
    for timeout_s in growing_timeouts(0.1):
        late, other = method.options(timeout_s=timeout_s)(), subject.record("other")
        seen = await outcome(late)
        if word in notes.read():
            break
        await other
        notes.clear()
    return seen, other


@LIGHT_AND_PROCESS
async def test_deadline_passes_while_an_async_method_runs(node_runtime, notes, place):
    subject = await Subject.options(**place).spawn(notes.folder)
    observer = await observed(subject)
    late, other = await late_and_other(subject, notes, subject.hold, "holding")
    assert late == (art.CallTimeoutError, "maybe")
    assert await art.gather(other, subject.incarnation()) == ["other", 1]
    assert notes.read() == ["holding", "cancelled", "other"]
    assert await observer.events() == ([], [], [])


@LIGHT_AND_PROCESS
async def test_deadline_passes_while_a_plain_method_runs(node_runtime, notes, place):
    subject = await Subject.options(**place).spawn(notes.folder)
    observer = await observed(subject)
    late, other = await late_and_other(subject, notes, subject.block, "blocking")
    assert late == (art.CallTimeoutError, "maybe")
    assert notes.read() == ["blocking"]
    notes.open()
    assert await art.gather(other, subject.incarnation()) == ["other", 1]
    assert notes.read() == ["blocking", "blocked", "other"]
    assert await observer.events() == ([], [], [])
