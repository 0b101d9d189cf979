"""Whatever a user's code raises, returns or exits with: something arrives, and no neighbour notices."""

from __future__ import annotations

import asyncio

import pytest

import actorrt as art
from tests.integration.hostile import (
    MAKERS,
    Failed,
    Frozen,
    Holding,
    Liar,
    Nameless,
    OddNotes,
    Thrower,
    TwoArguments,
    Untouchable,
)

WITHIN_S = 20.0
COMES_AS = {
    "surrogate": (ValueError,),
    "odd notes": (OddNotes,),
    "notes of another kind": (ValueError,),
    "notes with surrogates": (ValueError,),
    "liar": (Liar,),
    "nameless": (Nameless, RuntimeError),  # which Python makes of it where it is raised
    "untouchable": (Untouchable,),
    "group": (ExceptionGroup,),
    "two arguments": (TwoArguments,),
    "holding": (Holding,),
    "frozen": (Frozen,),
    "stop iteration": (art.RemoteActorError, RuntimeError),  # the latter is what Python makes of one in a coroutine
}
"""What arrives as its own type; everything else does as a `RemoteActorError`."""


async def ended(reply):
    """Return how a call ended, if it did."""
    try:
        return await asyncio.wait_for(awaited(reply), WITHIN_S)
    except TimeoutError:
        pytest.fail("the call did not end")


async def awaited(reply):
    try:
        return await reply
    except BaseException as error:
        return error


async def read(stream):
    try:
        return [item async for item in stream]
    except BaseException as error:
        return error


@pytest.mark.parametrize("name", MAKERS)
async def test_whatever_a_method_raises_ends_its_call_and_nothing_else(runtime, name):
    thrower, neighbour = await Thrower.spawn(), await Thrower.spawn()
    kinds = COMES_AS.get(name, (art.RemoteActorError,))
    for method in (thrower.plain, thrower.at_once, thrower.waiting):
        error = await ended(method(name))
        assert type(error) in kinds, method
    for stream in (thrower.streaming, thrower.plain_streaming):
        assert isinstance(await ended(read(stream(name))), Exception), stream
    assert isinstance(await ended(thrower.plain.options(returns="ref")(name)), Exception)
    assert isinstance(await ended(thrower.plain.options(key="k")(name)), Exception)
    assert isinstance(await ended(thrower.plain.options(key="k")(name)), Exception)
    assert [await thrower.incarnation(), await neighbour.incarnation()] == [1, 1]


@pytest.mark.parametrize("name", MAKERS)
async def test_whatever_a_start_raises_is_a_start_error_and_no_neighbour_notices(runtime, name):
    neighbour = await Thrower.spawn()
    for where in ((name,), (None, name)):
        error = await ended(Thrower.spawn(*where))
        assert type(error) is art.ActorStartError, error
    assert await neighbour.incarnation() == 1


@pytest.mark.parametrize("name", MAKERS)
async def test_whatever_a_told_method_raises_fails_the_actor_which_is_restarted(runtime, name):
    thrower, neighbour = await Thrower.options(restart="permanent").spawn(), await Thrower.spawn()
    for number, method in enumerate((thrower.plain, thrower.waiting), 2):
        down = art.monitor(thrower, restarts=True)
        await method.tell(name)
        assert (await down).reason.kind is art.ExitKind.ERROR
        assert await thrower.incarnation() == number
    assert await neighbour.incarnation() == 1


@pytest.mark.parametrize("name", MAKERS)
async def test_whatever_on_stop_raises_the_actor_ends(runtime, name):
    thrower, neighbour = await Thrower.spawn(), await Thrower.spawn()
    await thrower.stop_badly(name)
    await asyncio.wait_for(thrower.stop(), WITHIN_S)
    assert not await thrower.is_alive()
    assert await neighbour.incarnation() == 1


@pytest.mark.parametrize("name", ["surrogate", "mute", "huge", "liar"])
async def test_whatever_crash_on_names_fails_the_actor_with_the_reason_in_its_callers_error(runtime, name):
    kind = type(MAKERS[name]())
    thrower = await Thrower.options(restart="permanent", crash_on=(kind,)).spawn()
    error = await ended(thrower.plain(name))
    assert type(error) is art.ActorUnavailableError
    assert "failed during plain() and is being restarted: " in str(error)
    assert len(str(error)) < 10_000
    assert await thrower.incarnation() == 2


async def test_error_of_crash_on_says_what_was_raised(runtime):
    thrower = await Thrower.options(restart="permanent", crash_on=(TwoArguments,)).spawn()
    with pytest.raises(art.ActorUnavailableError, match=r"is being restarted: TwoArguments: 2 times a"):
        await thrower.plain("two arguments")


async def test_exit_with_words_that_can_not_be_encoded_is_told_to_all(runtime):
    thrower, neighbour = await Thrower.spawn(), await Thrower.spawn()
    down = art.monitor(thrower)
    with pytest.raises(art.ActorDiedError, match=r"SystemExit: so \\ud800"):
        await asyncio.wait_for(ended_by(thrower.exit("so \ud800")), WITHIN_S)
    assert (await down).reason.detail == r"SystemExit: so \ud800"
    assert await neighbour.incarnation() == 1


async def ended_by(reply):
    return await reply


async def test_exception_with_a_constructor_of_its_own_comes_back_as_it_was(runtime):
    thrower = await Thrower.spawn()
    with pytest.raises(TwoArguments) as caught:
        await thrower.plain("two arguments")
    error = caught.value
    assert (str(error), error.what, error.count, error.why) == ("2 times a", "a", 2, "")
    assert error.executed == "yes"
    assert "2 times a" in error.__notes__[0]
    with pytest.raises(Failed) as caught:
        await thrower.raise_made()
    assert (caught.value.errno, caught.value.filename) == (2, "/nowhere")
    with pytest.raises(Frozen) as caught:
        await thrower.plain("frozen")
    assert (caught.value.code, caught.value.why) == (7, "cold")


async def test_attribute_that_can_not_be_pickled_is_left_out(runtime):
    thrower = await Thrower.spawn()
    with pytest.raises(Holding, match="held") as caught:
        await thrower.plain("holding")
    assert caught.value.kept == "kept"
    assert not hasattr(caught.value, "lock")
    with pytest.raises(Holding, match="held"):
        await thrower.plain.options(returns="ref")("holding")


@pytest.mark.parametrize("kind", ["cancelled", "interrupt", "generator exit"])
async def test_method_that_ends_by_one_of_its_own_is_a_remote_actor_error_that_ran(runtime, kind):
    thrower = await Thrower.spawn()
    for method in (thrower.plain, thrower.at_once, thrower.waiting):
        with pytest.raises(art.RemoteActorError, match=r"raised by the method itself") as caught:
            await method(kind)
        assert caught.value.executed == "yes"
    async with asyncio.TaskGroup() as group:
        task = group.create_task(awaited(thrower.waiting(kind)))
    assert type(task.result()) is art.RemoteActorError


async def test_stop_iteration_of_a_method_ends_no_iteration_of_its_caller(runtime):
    """Python raises it wherever there is no `next`, so a loop of the caller's would end without a word."""
    thrower = await Thrower.spawn()
    with pytest.raises(art.RemoteActorError, match=r"StopIteration: 7 \(raised by the method itself") as caught:
        await thrower.plain("stop iteration")
    assert caught.value.executed == "yes"
    assert "Remote traceback" in caught.value.__notes__[0]


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
@pytest.mark.parametrize("at", ["pickled", "rebuilt"])
async def test_result_that_can_not_be_pickled_or_rebuilt_is_an_error_of_its_call(runtime, at, kind):
    thrower, neighbour = await Thrower.spawn(), await Thrower.spawn()
    error = await ended(thrower.give(at, kind))
    assert isinstance(error, Exception)
    assert error.executed == "yes"
    assert isinstance(await ended(read(thrower.give_many(at, kind))), Exception)
    assert [await thrower.value(), await neighbour.value()] == ["well", "well"]


async def test_note_of_a_failed_start_shows_the_users_frames_only(runtime):
    with pytest.raises(art.ActorStartError) as caught:
        await Thrower.spawn("surrogate")
    (note,) = caught.value.__notes__
    assert "raise MAKERS[in_constructor]()" in note
    assert "actorrt/actors" not in note


class Closing(art.Actor):
    async def forever(self):
        try:
            while True:
                yield 1
        finally:
            raise ValueError("while it was closed")

    async def wait(self):
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while it was cancelled")

    def value(self):
        return "well"


async def test_error_of_a_generator_that_is_closed_and_of_a_method_that_is_cancelled_is_logged(caplog):
    async with art.Runtime(mode="local"):
        closing = await Closing.spawn()
        async for _ in closing.forever():
            break
        assert await closing.value() == "well"
        with pytest.raises(ValueError, match="while it was cancelled"):  # in time for the verdict
            await closing.wait.options(timeout_s=0.01)()
        assert await closing.value() == "well"
    logged = [record.getMessage() for record in caplog.records if "was cancelled and raised" in record.getMessage()]
    assert ["ValueError: while it was closed" in text for text in logged] == [True, False]
    assert "ValueError: while it was cancelled" in logged[1]


class Lingering(art.Actor):
    """Takes its time to stop."""

    def __init__(self):
        self.leaving = asyncio.Event()

    async def on_stop(self, reason):
        await asyncio.Event().wait()

    async def leave(self):
        self.context.stop()

    def value(self):
        return self.context.incarnation


async def test_message_that_comes_while_on_stop_runs_is_not_handled_without_an_instance(runtime):
    lingering = await Lingering.options(restart="permanent", shutdown_s=0.2).spawn()
    await lingering.leave()
    assert await lingering.value() == 2


WORD = "bad \ud800"


async def test_words_that_can_not_be_encoded_are_refused_where_they_are_given(runtime):
    thrower = await Thrower.spawn()
    attempts = {
        "name": lambda: Thrower.options(name=WORD),
        "env_vars": lambda: Thrower.options(env_vars={"A": WORD}),
        "env_vars key": lambda: Thrower.options(env_vars={WORD: "a"}),
        "key": lambda: thrower.value.options(key=WORD),
        "reason": lambda: thrower.stop(WORD),
        "published name": lambda: art.publish(WORD, 1),
        "name of the latest": lambda: art.latest(WORD),
        "name looked up": lambda: art.lookup(WORD),
    }
    for attempt in attempts.values():
        with pytest.raises(ValueError, match="a string that UTF-8 can encode"):
            attempt()
    assert await thrower.value() == "well"
