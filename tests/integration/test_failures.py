"""Failures in methods, starts and arguments, and the errors that the caller gets."""

from __future__ import annotations

import asyncio
import threading

import pytest

import actorrt as art
from tests.integration.cast import Counter, Echo, Faulty, Refusal


class BadStart(art.Actor):
    def __init__(self, where):
        self.where = where
        if where == "constructor":
            raise ValueError("bad seed")

    async def on_start(self):
        if self.where == "on_start":
            raise ValueError("bad start")

    def value(self):
        return 1


async def test_exception_of_a_method_is_raised_as_its_own_type_with_the_remote_traceback_as_a_note(runtime):
    faulty = await Faulty.spawn()
    with pytest.raises(ValueError) as caught:
        await faulty.raise_value_error()
    assert str(caught.value) == "no such thing"
    (note,) = caught.value.__notes__
    assert note.startswith("Remote traceback of Faulty-")
    assert 'raise ValueError("no such thing")' in note
    assert "actorrt/actors" not in note
    assert caught.value.executed == "yes"


async def test_exception_of_an_ask_does_not_end_the_actor(runtime):
    faulty = await Faulty.spawn()
    with pytest.raises(ValueError):
        await faulty.raise_value_error()
    assert await faulty.tolerate() == "alive"
    assert await faulty.incarnation() == 1


async def test_exception_keeps_its_attributes(runtime):
    faulty = await Faulty.spawn()
    with pytest.raises(Refusal) as caught:
        await faulty.raise_refusal()
    assert (caught.value.code, caught.value.why) == (7, "because")


async def test_exception_that_cannot_be_rebuilt_arrives_as_remote_actor_error_with_type_and_text(runtime):
    faulty = await Faulty.spawn()
    with pytest.raises(art.RemoteActorError, match=r"Unpicklable: 1 and 2") as caught:
        await faulty.raise_unpicklable()
    assert caught.value.executed == "yes"
    assert any("raise_unpicklable" in note for note in caught.value.__notes__)


async def test_cause_of_an_exception_is_in_its_note(runtime):
    faulty = await Faulty.spawn()
    with pytest.raises(RuntimeError, match="outer") as caught:
        await faulty.raise_chain()
    assert "KeyError: 'inner'" in caught.value.__notes__[0]


async def test_same_error_awaited_twice_does_not_accumulate_traceback_entries(runtime):
    faulty = await Faulty.spawn()
    reply = faulty.raise_value_error()
    depths = []
    for _ in range(2):
        try:
            await reply
        except ValueError as error:
            trace, depth = error.__traceback__, 0
            while trace is not None:
                trace, depth = trace.tb_next, depth + 1
            depths.append(depth)
    assert depths[0] == depths[1]


async def test_result_that_cannot_be_sent_is_a_serialization_error_with_its_path(runtime):
    faulty = await Faulty.spawn()
    with pytest.raises(art.SerializationError, match=r"\['a'\]\[0\]") as caught:
        await faulty.return_lock()
    assert caught.value.executed == "yes"
    assert await faulty.tolerate() == "alive"


async def test_argument_that_cannot_be_sent_is_refused_at_the_caller_with_its_path(runtime):
    echo = await Echo.spawn()
    with pytest.raises(art.SerializationError, match=r"args\[0\]\['env'\]\[1\]") as caught:
        echo.echo({"env": [1, threading.Lock()]})
    assert caught.value.executed == "no"


async def test_constructor_argument_that_cannot_be_sent_is_refused_with_its_path(runtime):
    with pytest.raises(art.SerializationError, match=r"args\[0\]"):
        Counter.spawn(threading.Lock())


async def test_class_that_cannot_be_sent_is_refused_where_it_is_spawned(runtime):
    lock = threading.Lock()

    class Holder(art.Actor):
        def get(self):
            return lock

    with pytest.raises(art.SerializationError, match="Holder"):
        Holder.spawn()


async def test_constructor_that_raises_is_a_start_error_of_one_line_with_the_traceback_as_a_note(runtime):
    with pytest.raises(art.ActorStartError) as caught:
        await BadStart.spawn("constructor")
    assert str(caught.value).count("\n") == 0
    assert "BadStart" in str(caught.value)
    assert "ValueError: bad seed" in str(caught.value)
    assert 'raise ValueError("bad seed")' in "\n".join(caught.value.__notes__)


async def test_on_start_that_raises_is_a_start_error(runtime):
    with pytest.raises(art.ActorStartError, match="ValueError: bad start"):
        await BadStart.spawn("on_start")


async def test_own_process_of_an_actor_whose_constructor_raises_ends(node_runtime):
    with pytest.raises(art.ActorStartError, match="bad seed"):
        await BadStart.options(cpus=1).spawn("constructor")
    status = await node_runtime.status()
    assert (status["actors"], status["reserved_cpus"]) == ([], 0.0)


async def test_failed_start_frees_the_name(runtime):
    with pytest.raises(art.ActorStartError):
        await BadStart.options(name="once").spawn("constructor")
    with pytest.raises(art.NameNotFoundError):
        await art.lookup("once")
    assert await (await BadStart.options(name="once").spawn("nowhere")).value() == 1


async def test_failed_start_of_a_permanent_actor_is_an_error_and_not_a_restart(runtime):
    with pytest.raises(art.ActorStartError):
        await BadStart.options(restart="permanent", name="never").spawn("constructor")
    assert (await runtime.status())["actors"] == []


async def test_constructor_that_raises_system_exit_is_a_start_error(runtime):
    class Quitter(art.Actor):
        def __init__(self):
            raise SystemExit(4)

    with pytest.raises(art.ActorStartError, match="SystemExit"):
        await Quitter.spawn()


async def test_spawn_many_with_one_failure_leaves_no_actor(runtime):
    class Unlucky(art.Actor):
        def __init__(self, counter):
            self.counter = counter

        async def on_start(self):
            if await self.counter.add() == 3:
                raise ValueError("the third")

    counter = await Counter.spawn()
    with pytest.raises(art.ActorStartError, match="the third"):
        await Unlucky.spawn_many(4, counter)
    assert [actor["label"][:7] for actor in (await runtime.status())["actors"]] == ["Counter"]


async def test_unknown_method_is_an_attribute_error_that_names_the_nearest(runtime):
    counter = await Counter.spawn()
    with pytest.raises(AttributeError, match=r"Counter has no public method 'ad'; did you mean 'add'\?"):
        counter.ad(1)


async def test_private_method_is_not_callable(runtime):
    counter = await Counter.spawn()
    with pytest.raises(AttributeError, match="public"):
        counter._add(1)


async def test_hook_is_not_callable(runtime):
    counter = await Counter.spawn()
    with pytest.raises(AttributeError, match="on_start"):
        counter.on_start()


async def test_wrong_arguments_are_a_type_error_at_the_caller(runtime):
    counter = await Counter.spawn()
    with pytest.raises(TypeError, match=r"Counter\.add.*too many positional arguments"):
        counter.add(1, 2)
    with pytest.raises(TypeError, match=r"Counter\.add.*'with_'"):
        counter.add(with_=2)
    with pytest.raises(TypeError, match=r"Counter\.add"):
        counter.add.tell(1, 2)


async def test_wrong_constructor_arguments_are_a_type_error_at_the_spawn(runtime):
    with pytest.raises(TypeError, match=r"Counter.*too many positional arguments"):
        Counter.spawn(1, 2)


def test_unknown_option_names_the_nearest():
    with pytest.raises(TypeError, match=r"unknown actor option 'cpu': did you mean 'cpus'\?"):
        Counter.options(cpu=1)


async def test_unknown_call_option_is_refused(runtime):
    counter = await Counter.spawn()
    with pytest.raises(TypeError, match="'timeout'"):
        counter.add.options(timeout=1)
    with pytest.raises(ValueError, match="returns"):
        counter.add.options(returns="reference")


@pytest.mark.parametrize("name", ["stop", "kill", "is_alive", "spawn", "spawn_many", "options"])
def test_public_method_of_a_reserved_name_is_refused_where_the_class_is_defined(name):
    with pytest.raises(TypeError, match=name):
        type("Bad", (art.Actor,), {name: lambda self: None})


@pytest.mark.parametrize("name", ["stop", "kill", "is_alive", "spawn", "spawn_many", "options"])
def test_method_of_a_reserved_name_is_refused_where_it_is_inherited_too(name):
    mixin = type("Mixin", (), {name: lambda self: None})
    with pytest.raises(TypeError, match=f"Bad defines {name}: these names are reserved"):
        type("Bad", (mixin, art.Actor), {})


def test_class_attribute_that_would_hide_the_context_is_refused_where_the_class_is_defined():
    with pytest.raises(TypeError, match="Bad defines 'context', which is the runtime's own"):
        type("Bad", (art.Actor,), {"context": 3})


def test_async_constructor_is_refused_where_the_class_is_defined():
    async def constructor(self):
        """Never runs."""

    with pytest.raises(TypeError, match=r"Bad has an `async def __init__`, which Python never runs.*on_start"):
        type("Bad", (art.Actor,), {"__init__": constructor})


async def test_attributes_of_a_ref_and_of_a_group_can_not_be_set(runtime):
    counter, group = await Counter.spawn(), await Counter.spawn_many(2)
    for each in (counter, group):
        with pytest.raises(AttributeError, match=r"\.value can't be set: .*call a method that sets it"):
            each.value = 7
    assert await counter.value() == 0
    assert await group.value() == [0, 0]


async def test_method_call_on_a_spawn_that_was_not_awaited_says_that_it_is_no_ref_yet(runtime):
    start = Counter.spawn()
    with pytest.raises(AttributeError, match=r"the start of Counter-.* has no 'add': .* await it, or take its .result"):
        start.add()
    await start


async def test_asyncio_wait_of_a_reply_names_the_function_to_use_instead(runtime):
    counter = await Counter.spawn()
    reply = counter.add()
    with pytest.raises(AttributeError, match=r"use actorrt\.wait"):
        await asyncio.wait([reply])
    await reply


async def test_error_of_remote_shows_the_code_to_write_instead(runtime):
    counter, group = await Counter.spawn(), await Counter.spawn_many(2)
    with pytest.raises(AttributeError, match=r"Counter has no 'remote': start an actor with Counter.spawn\(\.\.\.\)"):
        Counter.remote()
    with pytest.raises(AttributeError, match=r"with options> has no 'remote': start an actor with \.spawn"):
        Counter.options(cpus=1).remote()
    with pytest.raises(AttributeError, match=r"<method add of .*> has no 'remote': call it"):
        counter.add.remote()
    with pytest.raises(AttributeError, match="has no 'remote': call it"):
        group.add.remote()
    assert "remote" not in dir(counter)


async def test_method_of_an_actor_may_have_the_name_remote(runtime):
    class Television(art.Actor):
        def remote(self):
            return "here"

    assert await (await Television.spawn()).remote() == "here"


@pytest.mark.parametrize("option", [{"retries": "2"}, {"timeout_s": "3"}, {"key": 4}])
async def test_call_option_of_a_wrong_type_is_refused_by_name(runtime, option):
    counter = await Counter.spawn()
    ((name, value),) = option.items()
    with pytest.raises(TypeError, match=f"option {name}={value!r}: give a"):
        counter.add.options(**option)


async def test_timeout_of_a_wrong_type_is_refused(runtime):
    reply = (await Counter.spawn()).add()
    with pytest.raises(TypeError, match=r"timeout_s='x': give a number of seconds"):
        reply.result("x")
    await reply


async def test_monitor_of_a_value_that_is_no_ref_is_refused(runtime):
    with pytest.raises(TypeError, match=r"monitor\(3\): give an ActorRef"):
        art.monitor(3)


def test_call_without_a_runtime_is_an_error_that_names_the_next_step():
    with pytest.raises(art.RuntimeStateError, match=r"init|Runtime"):
        Counter.spawn()


async def test_reply_as_an_argument_is_a_type_error_that_names_the_option(runtime):
    counter, echo = await Counter.spawn(), await Echo.spawn()
    reply = counter.add()
    with pytest.raises(TypeError, match="returns='ref'"):
        echo.echo(reply)
    with pytest.raises(TypeError, match="returns='ref'"):
        echo.echo([reply])
    await reply


async def test_tell_whose_method_raises_fails_the_actor(runtime):
    faulty = await Faulty.spawn()
    await faulty.raise_value_error.tell()
    down = await art.monitor(faulty)
    assert down.reason.kind is art.ExitKind.ERROR
    assert down.reason.detail == "ValueError: no such thing"
    assert "raise_value_error" in down.detail
    with pytest.raises(art.ActorDiedError):
        await faulty.tolerate()


async def test_system_exit_of_a_method_fails_its_actor_only(runtime):
    faulty, neighbour = await Faulty.spawn(), await Counter.spawn()
    with pytest.raises(art.ActorDiedError) as caught:
        await faulty.exit()
    assert caught.value.executed == "maybe"
    assert caught.value.reason.kind is art.ExitKind.ERROR
    assert await neighbour.add() == 1


async def test_exception_named_by_crash_on_fails_the_actor(runtime):
    faulty = await Faulty.options(crash_on=(ValueError,), restart="permanent").spawn()
    with pytest.raises(art.ActorUnavailableError) as caught:
        await faulty.raise_value_error()
    assert caught.value.executed == "maybe"
    assert await faulty.incarnation() == 2


async def test_call_to_an_actor_that_was_stopped_fails_unexecuted(runtime):
    counter = await Counter.spawn()
    await counter.stop()
    with pytest.raises(art.ActorDiedError) as caught:
        await counter.add()
    assert caught.value.executed == "no"
    assert caught.value.reason.kind is art.ExitKind.SHUTDOWN
    assert not await counter.is_alive()


async def test_stop_and_kill_of_an_actor_that_has_ended_have_no_effect(runtime):
    counter = await Counter.spawn()
    await counter.stop()
    await counter.stop()
    await counter.kill()


async def test_stop_drains_the_mailbox_first(runtime):
    class Slow(art.Actor):
        async def work(self, n):
            await asyncio.sleep(0.005)
            return n

    slow = await Slow.spawn()
    replies = [slow.work(n) for n in range(10)]  # sent together, so that all have arrived when the first is handled
    assert await replies[0] == 0
    await slow.stop()
    assert await art.gather(*replies[1:]) == list(range(1, 10))


async def test_stop_that_takes_longer_than_shutdown_s_refuses_the_remaining_messages(runtime):
    class Stuck(art.Actor):
        async def hang(self):
            await asyncio.Event().wait()

    stuck = await Stuck.options(shutdown_s=0.1).spawn()
    running, queued = stuck.hang(), stuck.hang()
    await stuck.stop()
    with pytest.raises(art.ActorDiedError):
        await running
    with pytest.raises(art.ActorDiedError) as caught:
        await queued
    assert caught.value.executed == "no"
    assert "its 0.1 s to drain were over" in str(caught.value)


async def test_kill_fails_running_and_queued_calls(runtime):
    class Stuck(art.Actor):
        async def hang(self):
            await asyncio.Event().wait()

    stuck = await Stuck.spawn()
    running, queued = stuck.hang(), stuck.hang()
    await stuck.kill()
    for reply in (running, queued):
        with pytest.raises(art.ActorDiedError) as caught:
            await reply
        assert caught.value.reason.kind is art.ExitKind.KILLED
