"""Links, exit signals and the guarantees of monitors, in one process and across processes."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

import actorrt as art
from tests.integration.cast import Counter, Faulty, Recorder
from tests.running import wait_for_answer


class Linked(art.Actor):
    """Links to the given actors, and keeps the exits that it traps."""

    def __init__(self, traps=False):
        self.traps = traps
        self.exits = []

    async def on_start(self):
        self.context.trap_exits = self.traps

    def link(self, ref):
        self.context.link(ref)

    def unlink(self, ref):
        self.context.unlink(ref)

    async def on_exit(self, exit):
        self.exits.append((exit.ref, str(exit.reason.kind), exit.incarnation))

    def known_exits(self):
        return self.exits

    def finish(self):
        self.context.stop()

    def fail(self):
        raise SystemExit("on purpose")

    def incarnation(self):
        return self.context.incarnation

    def pid(self):
        return os.getpid()


async def first_exit(linked):
    """Wait until an actor has trapped an exit, and return the first one."""
    return (await wait_for_answer(linked.known_exits, bool, "the news of an exit"))[0]


PLACES = [{}, {"isolation": "process"}]


@pytest.mark.parametrize("options", PLACES, ids=["light", "process"])
async def test_abnormal_end_ends_the_linked_actor_with_the_same_kind_of_reason(runtime, options):
    one, other = await Linked.options(**options).spawn(), await Linked.spawn()
    await one.link(other)
    down = art.monitor(one)
    await other.fail.tell()
    reason = (await down).reason
    assert reason.kind is art.ExitKind.ERROR
    assert "linked to Linked" in reason.detail


@pytest.mark.parametrize("options", PLACES, ids=["light", "process"])
async def test_end_of_the_actor_that_asked_for_the_link_is_signalled_to_the_other(runtime, options):
    one, other = await Linked.options(**options).spawn(), await Linked.spawn(True)
    await one.link(other)
    await one.link(other)  # a second link has no effect
    await one.fail.tell()
    assert await first_exit(other) == (one, "error", 1)


async def test_normal_end_does_not_end_the_linked_actor(runtime):
    one, other = await Linked.spawn(), await Linked.spawn()
    await one.link(other)
    down = art.monitor(other)
    await other.finish()
    assert (await down).reason.kind is art.ExitKind.NORMAL
    assert await one.incarnation() == 1


async def test_normal_end_is_delivered_to_an_actor_that_traps_exits(runtime):
    one, other = await Linked.spawn(True), await Linked.spawn()
    await one.link(other)
    await other.finish()
    assert await first_exit(one) == (other, "normal", 1)


async def test_link_to_an_actor_that_has_ended_signals_at_once(runtime):
    one, gone = await Linked.spawn(True), await Linked.spawn()
    await gone.stop()
    await one.link(gone)
    assert await first_exit(one) == (gone, "shutdown", 1)


async def test_restart_of_an_actor_sends_no_signal_over_its_links(runtime):
    one, other = await Linked.spawn(True), await Linked.options(restart="permanent", max_restarts=1).spawn()
    await one.link(other)
    with pytest.raises(art.ActorUnavailableError):
        await other.fail()
    assert await other.incarnation() == 2
    with pytest.raises(art.ActorDiedError):
        await other.fail()
    assert await first_exit(one) == (other, "intensity", 2)


async def test_unlinked_actors_do_not_end_each_other(runtime):
    one, other = await Linked.spawn(), await Linked.spawn(True)
    await one.link(other)
    await one.unlink(other)
    with pytest.raises(art.ActorDiedError):
        await other.fail()
    assert await one.incarnation() == 1


async def test_actor_that_a_link_ends_is_restarted_by_its_own_restart_type(runtime):
    one, other = await Linked.options(restart="permanent").spawn(), await Linked.spawn()
    await one.link(other)
    down = art.monitor(one, restarts=True)
    await other.fail.tell()
    assert (await down).is_final is False
    assert await one.incarnation() == 2


async def test_link_to_a_killed_process_carries_its_reason(node_runtime):
    one, other = await Linked.spawn(True), await Linked.options(isolation="process").spawn()
    await one.link(other)
    os.kill(await other.pid(), signal.SIGKILL)
    assert await first_exit(one) == (other, "crashed", 1)


async def test_actor_that_links_in_on_start_to_an_ended_actor_does_not_start(runtime):
    class Doomed(Linked):
        def __init__(self, gone):
            super().__init__()
            self.gone = gone

        async def on_start(self):
            self.context.link(self.gone)
            await asyncio.Event().wait()

    gone = await Linked.spawn()
    await gone.stop()
    with pytest.raises(art.ActorStartError, match="linked to"):
        await Doomed.spawn(gone)


class Talker(art.Actor):
    """Sends many messages and ends."""

    def __init__(self, recorder):
        self.recorder = recorder

    async def talk(self, count, end):
        for n in range(count):
            self.recorder.note.tell(n)
        if end == "exit":
            raise SystemExit("sent all")
        self.context.stop()


@pytest.mark.parametrize("end", ["exit", "stop"])
@pytest.mark.parametrize("options", PLACES, ids=["light", "process"])
async def test_down_arrives_after_every_message_of_the_dead_actor(runtime, options, end):
    class Watcher(Recorder):
        def watch(self, ref):
            self.context.monitor(ref)

        def on_down(self, down):
            self.items.append("down")

    watcher = await Watcher.spawn()
    talker = await Talker.options(**options).spawn(watcher)
    await watcher.watch(talker)
    await talker.talk.tell(200, end)
    await art.monitor(talker)
    notes = await wait_for_answer(watcher.all, lambda notes: "down" in notes, "the watcher has the Down")
    assert notes == [*range(200), "down"]


async def test_name_is_free_when_a_final_down_arrives(runtime):
    faulty = await Faulty.options(name="only").spawn()
    await faulty.exit.tell()
    await art.monitor(faulty)
    assert await (await Counter.options(name="only").spawn()).add() == 1


async def test_monitor_of_an_ended_actor_delivers_its_reason_and_incarnation_at_once(runtime):
    faulty = await Faulty.options(restart="permanent", max_restarts=1).spawn()
    for error in (art.ActorUnavailableError, art.ActorDiedError):
        with pytest.raises(error):
            await faulty.exit()
    await art.monitor(faulty)
    down = await art.monitor(faulty)
    assert (down.reason.kind, down.incarnation, down.is_final) == (art.ExitKind.INTENSITY, 2, True)


async def test_stop_of_a_supervisor_aborts_a_start_of_a_child_that_never_ends(runtime):
    class Endless(art.Actor):
        async def on_start(self):
            await asyncio.Event().wait()

    class Keeper(art.Supervisor):
        def children(self):
            yield art.Child(Counter, id="counter")

    keeper = await Keeper.spawn()
    adding = keeper.start_child.options(timeout_s=0.2)(art.Child(Endless, id="endless", shutdown_s=0.1))
    with pytest.raises(art.CallTimeoutError):
        await adding
    await keeper.stop()
    assert (await runtime.status())["actors"] == []


async def test_stop_of_a_child_in_back_off_ends_it_at_once(runtime):
    class Flaky(art.Actor):
        async def on_start(self):
            if self.context.incarnation > 1:
                raise ValueError("not again")

        def exit(self):
            raise SystemExit

    class Keeper(art.Supervisor):
        def children(self):
            yield art.Child(Flaky, id="flaky", backoff=art.Backoff(first_s=60, max_s=60))

    keeper = await Keeper.spawn()
    child = await keeper.child("flaky")
    with pytest.raises((art.ActorUnavailableError, art.ActorDiedError)):
        await child.exit.options(timeout_s=5)()
    await wait_for_answer(keeper.children_info, lambda infos: infos[0].state == "backing_off", "the child backs off")
    await child.stop()
    assert await keeper.children_info() == []


async def test_pool_continues_while_a_quorum_runs_and_gives_up_below_it(runtime):
    class Pool(art.Supervisor):
        strategy, quorum = "quorum", 2

        def children(self):
            for n in range(3):
                yield art.Child(Linked, id=f"c{n}", restart="temporary")

    pool = await Pool.spawn()
    down = art.monitor(pool)
    first, second = await pool.child("c0"), await pool.child("c1")
    with pytest.raises(art.ActorDiedError):
        await first.fail()
    assert [info.id for info in await pool.children_info()] == ["c1", "c2"]
    with pytest.raises(art.ActorDiedError):
        await second.fail()
    reason = (await down).reason
    assert reason.kind is art.ExitKind.INTENSITY
    assert "1 of 2 children run, and quorum is 2" in reason.detail


def test_quorum_without_its_strategy_is_refused_where_the_class_is_defined():
    with pytest.raises(ValueError, match="quorum=2 with strategy='one_for_one'"):
        type("Pool", (art.Supervisor,), {"quorum": 2})
