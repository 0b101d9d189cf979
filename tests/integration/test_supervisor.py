"""Supervisors in the runtime: order of starts and restarts, strategies, dynamic children, restart intensity."""

from __future__ import annotations

import os
import signal

import pytest

import actorrt as art
from tests.integration.cast import Counter, Faulty, Recorder
from tests.running import wait_for_answer


class Noted(art.Actor):
    """Reports its starts and stops to a recorder."""

    def __init__(self, recorder, label, fails=False):
        self.recorder, self.label, self.fails = recorder, label, fails

    async def on_start(self):
        await self.recorder.note(f"+{self.label}")
        if self.fails:
            raise ValueError(f"{self.label} fails")

    async def on_stop(self, reason):
        await self.recorder.note(f"-{self.label}")

    def exit(self):
        raise SystemExit("on purpose")

    def finish(self):
        self.context.stop()

    def label_of(self):
        return self.label

    def pid(self):
        return os.getpid()

    def incarnation(self):
        return self.context.incarnation


class Trio(art.Supervisor):
    """A supervisor with the children a, b and c, whose options are given at the spawn."""

    def __init__(self, recorder, options=None, failing=None):
        self.recorder, self.options_of, self.failing = recorder, options or {}, failing

    def children(self):
        for label in "abc":
            yield art.Child(Noted, self.recorder, label, label == self.failing, id=label, **self.options_of)


class AllTrio(Trio):
    strategy = "one_for_all"


class RestTrio(Trio):
    strategy = "rest_for_one"


class Impatient(Trio):
    max_restarts, period_s = 2, 30


class Patient(Trio):
    max_restarts = None


class Empty(art.Supervisor):
    pass


PLACES = [{}, {"isolation": "process"}]


async def until_notes(recorder, count):
    """Wait until there are `count` notes, and return them."""
    return await wait_for_answer(recorder.all, lambda notes: len(notes) >= count, f"{count} notes")


async def exits(child):
    """Let a child fail that will be restarted."""
    with pytest.raises(art.ActorUnavailableError):
        await child.exit()


@pytest.mark.parametrize("options", PLACES, ids=["light", "process"])
async def test_children_start_in_order_and_stop_in_reverse(runtime, options):
    recorder = await Recorder.spawn()
    trio = await Trio.spawn(recorder, options)
    assert await recorder.all() == ["+a", "+b", "+c"]
    await trio.stop()
    assert await recorder.all() == ["+a", "+b", "+c", "-c", "-b", "-a"]
    assert [actor["label"][:8] for actor in (await runtime.status())["actors"]] == ["Recorder"]


@pytest.mark.parametrize("options", PLACES, ids=["light", "process"])
async def test_one_for_one_restarts_the_failed_child_alone(runtime, options):
    recorder = await Recorder.spawn()
    trio = await Trio.spawn(recorder, options)
    child = await trio.child("b")
    await exits(child)
    assert await child.incarnation() == 2
    assert await recorder.all() == ["+a", "+b", "+c", "+b"]
    assert await trio.child("b") == child


@pytest.mark.parametrize("options", PLACES, ids=["light", "process"])
async def test_one_for_all_stops_the_others_in_reverse_and_starts_all(runtime, options):
    recorder = await Recorder.spawn()
    trio = await AllTrio.spawn(recorder, options)
    b = await trio.child("b")
    await exits(b)
    assert await until_notes(recorder, 8) == ["+a", "+b", "+c", "-c", "-a", "+a", "+b", "+c"]
    assert [await (await trio.child(label)).incarnation() for label in "abc"] == [2, 2, 2]


@pytest.mark.parametrize("options", PLACES, ids=["light", "process"])
async def test_rest_for_one_restarts_the_failed_child_and_those_after_it(runtime, options):
    recorder = await Recorder.spawn()
    trio = await RestTrio.spawn(recorder, options)
    await exits(await trio.child("b"))
    assert await until_notes(recorder, 6) == ["+a", "+b", "+c", "-c", "+b", "+c"]
    assert [await (await trio.child(label)).incarnation() for label in "abc"] == [1, 2, 2]


@pytest.mark.parametrize("place", PLACES, ids=["light", "process"])
@pytest.mark.parametrize(
    ("restart", "end", "is_restarted"),
    [
        ("permanent", "exit", True),
        ("permanent", "finish", True),
        ("transient", "exit", True),
        ("transient", "finish", False),
        ("temporary", "exit", False),
        ("temporary", "finish", False),
    ],
)
async def test_restart_type_and_exit_decide_whether_a_child_is_restarted(runtime, place, restart, end, is_restarted):
    recorder = await Recorder.spawn()
    trio = await Trio.spawn(recorder, {"restart": restart, **place})
    child = await trio.child("b")
    down = art.monitor(child, restarts=True)
    await getattr(child, end).tell()
    assert (await down).is_final is not is_restarted
    if is_restarted:
        assert await child.incarnation.options(retries=2)() == 2
        assert await child.is_alive()
    else:
        assert not await child.is_alive()
        assert await recorder.all() == ["+a", "+b", "+c"] + ["-b"] * (end == "finish")


@pytest.mark.parametrize("order", ["stop", "kill"])
async def test_child_that_was_stopped_or_killed_is_not_restarted(runtime, order):
    recorder = await Recorder.spawn()
    trio = await Trio.spawn(recorder)
    child = await trio.child("b")
    await getattr(child, order)()
    assert not await child.is_alive()
    infos = {info.id: info.state for info in await trio.children_info()}
    assert infos["a"] == infos["c"] == "running"
    assert infos.get("b") != "running"


async def test_intensity_exceeded_ends_the_supervisor_and_its_children(runtime):
    recorder = await Recorder.spawn()
    trio = await Impatient.spawn(recorder)
    down, child_down = art.monitor(trio), art.monitor(await trio.child("a"))
    child = await trio.child("b")
    for _ in range(2):
        await exits(child)
    with pytest.raises(art.ActorDiedError):
        await child.exit()
    assert (await down).reason.kind in (art.ExitKind.INTENSITY, art.ExitKind.SHUTDOWN)
    await child_down
    with pytest.raises(art.ActorDiedError):
        await trio.child("a")
    assert [actor["label"][:8] for actor in (await runtime.status())["actors"]] == ["Recorder"]


async def test_supervisor_without_max_restarts_never_gives_up(runtime):
    trio = await Patient.spawn(await Recorder.spawn())
    child = await trio.child("b")
    for _ in range(art.Supervisor.max_restarts + 1):
        await exits(child)
    assert await child.incarnation() == art.Supervisor.max_restarts + 2


async def test_intensity_exceeded_by_an_unsupervised_actor_ends_it_with_that_reason(runtime):
    faulty = await Faulty.options(restart="permanent", max_restarts=2).spawn()
    down = art.monitor(faulty)
    for _ in range(2):
        with pytest.raises(art.ActorUnavailableError):
            await faulty.exit()
    with pytest.raises(art.ActorDiedError) as caught:
        await faulty.exit()
    assert caught.value.reason.kind is art.ExitKind.INTENSITY
    assert "max_restarts is 2; the last one ended with error: SystemExit" in caught.value.reason.detail
    assert (await down).reason.kind is art.ExitKind.INTENSITY


async def test_unsupervised_actor_that_does_not_restart_ends_with_its_own_reason(runtime):
    faulty = await Faulty.spawn()
    down = art.monitor(faulty)
    with pytest.raises(art.ActorDiedError):
        await faulty.exit()
    assert (await down).reason.kind is art.ExitKind.ERROR


async def test_supervisor_that_gives_up_is_restarted_by_its_own_supervisor(runtime):
    class Top(art.Supervisor):
        def __init__(self, recorder):
            self.recorder = recorder

        def children(self):
            yield art.Child(Impatient, self.recorder, id="inner", restart="permanent")

    recorder = await Recorder.spawn()
    top = await Top.spawn(recorder)
    inner = await top.child("inner")
    down = art.monitor(inner, restarts=True)
    child = await inner.child("b")
    for _ in range(2):
        await exits(child)
    await child.exit.tell()
    await down
    again = await inner.child.options(retries=3)("b")
    assert again != child
    assert await again.incarnation() == 1
    assert not await child.is_alive()


@pytest.mark.parametrize("options", PLACES, ids=["light", "process"])
async def test_child_that_fails_to_start_fails_the_spawn_and_leaves_nothing(runtime, options):
    recorder = await Recorder.spawn()
    with pytest.raises(art.ActorStartError, match="b fails"):
        await Trio.spawn(recorder, options, "b")
    assert await recorder.all() == ["+a", "+b", "-a"]
    assert [actor["label"][:8] for actor in (await runtime.status())["actors"]] == ["Recorder"]


async def test_start_child_adds_a_child_and_stop_child_removes_it(runtime):
    recorder = await Recorder.spawn()
    supervisor = await Empty.spawn()
    child = await supervisor.start_child(art.Child(Noted, recorder, "x", id="x"))
    assert await child.label_of() == "x"
    assert await supervisor.child("x") == child
    await supervisor.stop_child("x")
    assert not await child.is_alive()
    assert await supervisor.children_info() == []
    assert await recorder.all() == ["+x", "-x"]


async def test_start_child_that_fails_is_an_error_and_adds_nothing(runtime):
    recorder = await Recorder.spawn()
    supervisor = await Empty.spawn()
    with pytest.raises(art.ActorStartError, match="x fails"):
        await supervisor.start_child(art.Child(Noted, recorder, "x", True, id="x"))
    assert await supervisor.children_info() == []
    again = await supervisor.start_child(art.Child(Noted, recorder, "x", id="x"))
    assert await again.label_of() == "x"


class Hasty(art.Actor):
    """An actor whose first incarnation fails right after its start."""

    async def on_start(self):
        if self.context.incarnation == 1:
            self.context.ref.die.tell()

    def die(self):
        raise SystemExit("too soon")

    def incarnation(self):
        return self.context.incarnation


class Household(art.Supervisor):
    def children(self):
        yield art.Child(Hasty, id="hasty", restart="permanent")


async def test_child_that_exits_right_after_its_first_start_has_started_and_is_restarted(runtime):
    for _ in range(10):
        household = await Household.spawn()
        child = await household.child("hasty")
        assert await child.incarnation.options(retries=3)() == 2
        added = await household.start_child(art.Child(Hasty, id="added", restart="permanent"))
        assert await added.incarnation.options(retries=3)() == 2
        await household.stop()


async def test_start_child_of_a_taken_id_is_refused(runtime):
    recorder = await Recorder.spawn()
    trio = await Trio.spawn(recorder)
    with pytest.raises(ValueError, match="'b'"):
        await trio.start_child(art.Child(Noted, recorder, "b", id="b"))
    assert len(await trio.children_info()) == 3


async def test_child_of_an_unknown_id_is_a_value_error_that_names_the_existing_children(runtime):
    recorder = await Recorder.spawn()
    trio = await Trio.spawn(recorder)
    with pytest.raises(ValueError, match=r"'d'.*a, b, c"):
        await trio.child("d")


async def test_children_info_has_state_restarts_and_last_exit(runtime):
    recorder = await Recorder.spawn()
    trio = await Trio.spawn(recorder)
    await exits(await trio.child("b"))
    await (await trio.child("b")).incarnation()
    a, b, c = await wait_for_answer(  # the child may answer before its supervisor knows that it runs
        trio.children_info, lambda infos: infos[1].state != "starting", "the supervisor knows that the child runs"
    )
    assert [(info.id, info.state, info.restarts) for info in (a, b, c)] == [
        ("a", "running", 0),
        ("b", "running", 1),
        ("c", "running", 0),
    ]
    assert a.last_exit is None
    assert b.last_exit.kind is art.ExitKind.ERROR
    assert b.ref == await trio.child("b")


def test_max_restarts_on_a_child_is_a_type_error():
    with pytest.raises(TypeError, match="max_restarts"):
        art.Child(Counter, id="c", max_restarts=3)


def test_misspelt_option_of_a_child_is_a_type_error_that_names_the_nearest():
    with pytest.raises(TypeError, match=r"'restarts' on Child.*did you mean 'restart'\?"):
        art.Child(Counter, id="c", restarts="permanent")


async def test_supervised_actor_with_a_name_is_found_by_lookup(runtime):
    class Named(art.Supervisor):
        def children(self):
            yield art.Child(Counter, 4, id="c", name="supervised")

    await Named.spawn()
    assert await (await art.lookup("supervised")).value() == 4


async def test_child_with_reservations_has_its_own_process_and_keeps_its_ref_after_a_kill(node_runtime):
    recorder = await Recorder.spawn()
    trio = await Trio.spawn(recorder, {"cpus": 1})
    child = await trio.child("b")
    old = await child.pid()
    os.kill(old, signal.SIGKILL)
    new = await child.pid.options(retries=2)()
    assert new != old
    assert await child.incarnation() == 2
    (info,) = [info for info in await trio.children_info() if info.id == "b"]
    assert info.last_exit.kind is art.ExitKind.CRASHED
    assert info.last_exit.signal == signal.SIGKILL


async def test_supervisor_is_in_a_process_apart_from_its_children(node_runtime):
    class Located(Empty):
        async def pid(self):
            return os.getpid()

    supervisor = await Located.spawn()
    child = await supervisor.start_child(art.Child(Counter, id="c"))
    assert await supervisor.pid() != await child.pid()


async def test_subclass_of_a_supervisor_may_have_its_own_methods(runtime):
    class Own(Trio):
        def labels(self):
            return list("abc")

    own = await Own.spawn(await Recorder.spawn())
    assert await own.labels() == ["a", "b", "c"]


def test_supervisor_works_in_plain_code(session):
    recorder = Recorder.spawn().result(10)
    trio = Trio.spawn(recorder).result(10)
    assert trio.child("a").result(10).label_of().result(10) == "a"
