"""Any exception, result or exit of user code: the caller gets an outcome, and no other actor is affected."""

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
ARRIVES_AS = {
    "surrogate": (ValueError,),
    "odd notes": (OddNotes,),
    "notes of another kind": (ValueError,),
    "notes with surrogates": (ValueError,),
    "liar": (Liar,),
    "nameless": (Nameless, RuntimeError),  # Python turns it into the latter where it is raised
    "untouchable": (Untouchable,),
    "group": (ExceptionGroup,),
    "two arguments": (TwoArguments,),
    "holding": (Holding,),
    "frozen": (Frozen,),
    "stop iteration": (art.RemoteActorError, RuntimeError),  # Python turns it into the latter in a coroutine
}
"""The exceptions that arrive with their own type; all others arrive as a `RemoteActorError`."""


async def ended(reply):
    """Return the result or the error of a call, which must end in time."""
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
async def test_any_exception_of_a_method_ends_its_call_and_nothing_else(runtime, name):
    thrower, neighbour = await Thrower.spawn(), await Thrower.spawn()
    kinds = ARRIVES_AS.get(name, (art.RemoteActorError,))
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
async def test_any_exception_of_a_start_is_a_start_error_and_affects_no_neighbour(runtime, name):
    neighbour = await Thrower.spawn()
    for where in ((name,), (None, name)):
        error = await ended(Thrower.spawn(*where))
        assert type(error) is art.ActorStartError, error
    assert await neighbour.incarnation() == 1


@pytest.mark.parametrize("name", MAKERS)
async def test_any_exception_of_a_method_called_by_tell_fails_the_actor_and_it_is_restarted(runtime, name):
    thrower, neighbour = await Thrower.options(restart="permanent").spawn(), await Thrower.spawn()
    for number, method in enumerate((thrower.plain, thrower.waiting), 2):
        down = art.monitor(thrower, restarts=True)
        await method.tell(name)
        assert (await down).reason.kind is art.ExitKind.ERROR
        assert await thrower.incarnation() == number
    assert await neighbour.incarnation() == 1


@pytest.mark.parametrize("name", MAKERS)
async def test_actor_ends_after_any_exception_of_on_stop(runtime, name):
    thrower, neighbour = await Thrower.spawn(), await Thrower.spawn()
    await thrower.stop_badly(name)
    await asyncio.wait_for(thrower.stop(), WITHIN_S)
    assert not await thrower.is_alive()
    assert await neighbour.incarnation() == 1


@pytest.mark.parametrize("name", ["surrogate", "mute", "huge", "liar"])
async def test_any_exception_type_in_crash_on_fails_the_actor_and_its_caller_gets_the_reason(runtime, name):
    kind = type(MAKERS[name]())
    thrower = await Thrower.options(restart="permanent", crash_on=(kind,)).spawn()
    error = await ended(thrower.plain(name))
    assert type(error) is art.ActorUnavailableError
    assert "failed during plain() and is being restarted: " in str(error)
    assert len(str(error)) < 10_000
    assert await thrower.incarnation() == 2


async def test_error_after_crash_on_names_the_exception(runtime):
    thrower = await Thrower.options(restart="permanent", crash_on=(TwoArguments,)).spawn()
    with pytest.raises(art.ActorUnavailableError, match=r"is being restarted: TwoArguments: 2 times a"):
        await thrower.plain("two arguments")


async def test_exit_with_a_message_that_can_not_be_encoded_is_reported_to_every_observer(runtime):
    thrower, neighbour = await Thrower.spawn(), await Thrower.spawn()
    down = art.monitor(thrower)
    with pytest.raises(art.ActorDiedError, match=r"SystemExit: so \\ud800"):
        await asyncio.wait_for(ended_by(thrower.exit("so \ud800")), WITHIN_S)
    assert (await down).reason.detail == r"SystemExit: so \ud800"
    assert await neighbour.incarnation() == 1


async def ended_by(reply):
    return await reply


async def test_exception_with_its_own_constructor_arrives_unchanged(runtime):
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


async def test_attribute_of_an_exception_that_can_not_be_pickled_is_left_out(runtime):
    thrower = await Thrower.spawn()
    with pytest.raises(Holding, match="held") as caught:
        await thrower.plain("holding")
    assert caught.value.kept == "kept"
    assert not hasattr(caught.value, "lock")
    with pytest.raises(Holding, match="held"):
        await thrower.plain.options(returns="ref")("holding")


@pytest.mark.parametrize("kind", ["cancelled", "interrupt", "generator exit"])
async def test_cancellation_or_exit_raised_by_the_method_itself_is_a_remote_actor_error_that_ran(runtime, kind):
    thrower = await Thrower.spawn()
    for method in (thrower.plain, thrower.at_once, thrower.waiting):
        with pytest.raises(art.RemoteActorError, match=r"raised by the method itself") as caught:
            await method(kind)
        assert caught.value.executed == "yes"
    async with asyncio.TaskGroup() as group:
        task = group.create_task(awaited(thrower.waiting(kind)))
    assert type(task.result()) is art.RemoteActorError


async def test_stop_iteration_of_a_method_ends_no_iteration_of_its_caller(runtime):
    """A StopIteration that reached the caller's own loop would end that loop without an error."""
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


async def test_error_raised_by_a_closed_generator_or_a_cancelled_method_is_logged(caplog):
    async with art.Runtime(mode="local"):
        closing = await Closing.spawn()
        async for _ in closing.forever():
            break
        assert await closing.value() == "well"
        with pytest.raises(ValueError, match="while it was cancelled"):  # it ends in time to be reported
            await closing.wait.options(timeout_s=0.01)()
        assert await closing.value() == "well"
    logged = [record.getMessage() for record in caplog.records if "was cancelled and raised" in record.getMessage()]
    assert ["ValueError: while it was closed" in text for text in logged] == [True, False]
    assert "ValueError: while it was cancelled" in logged[1]


class Lingering(art.Actor):
    """An actor whose `on_stop` never ends."""

    def __init__(self):
        self.leaving = asyncio.Event()

    async def on_stop(self, reason):
        await asyncio.Event().wait()

    async def leave(self):
        self.context.stop()

    def value(self):
        return self.context.incarnation


async def test_message_that_arrives_while_on_stop_runs_is_handled_by_the_next_incarnation(runtime):
    lingering = await Lingering.options(restart="permanent", shutdown_s=0.2).spawn()
    await lingering.leave()
    assert await lingering.value() == 2


WORD = "bad \ud800"


async def test_strings_that_can_not_be_encoded_are_refused_at_the_caller(runtime):
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
