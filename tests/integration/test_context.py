"""The context of an actor: timers, monitors, stops, and `self` in messages."""

from __future__ import annotations

import asyncio
import pickle

import pytest

import actorrt as art
from actorrt.actors.cells.context import TIMERS_COUNT
from tests.integration.cast import Counter, Echo, Faulty, Recorder
from tests.integration.witnesses import dead_letters
from tests.running import wait_for_answer


class Clockwork(art.Actor):
    def __init__(self):
        self.ticks = []

    def tick(self, n=0):
        self.ticks.append(n)

    def seen(self):
        return self.ticks

    def after(self, seconds, n):
        self.timer = self.context.after(seconds, "tick", n)

    def every(self, seconds):
        self.timer = self.context.every(seconds, "tick")

    def cancel(self):
        self.timer.cancel()

    def every_method(self, seconds):
        self.timer = self.context.every(seconds, self.tick)

    def every_of_another(self, seconds):
        self.context.every(seconds, [].append)

    async def block(self, seconds, skipped_count):
        """Run a timer until at least `skipped_count` of its ticks were skipped; return how many were."""
        self.timer = self.context.every(seconds, "tick")
        while self.context.skipped_ticks_count < skipped_count:
            await asyncio.sleep(seconds)
        self.timer.cancel()
        return self.context.skipped_ticks_count

    async def tick_and_work(self, seconds, ticks_count):
        """Work for as long as `ticks_count` ticks last; the mailbox holds at most one of them."""
        self.context.every(seconds, "tick")
        for _ in range(ticks_count):
            await asyncio.sleep(seconds)
        return "worked on"

    def fill_with_timers(self):
        for _ in range(TIMERS_COUNT):
            self.context.after(3600, "tick")

    def after_wrong(self, method, *args):
        self.context.after(1, method, *args)

    def fail(self):
        raise SystemExit

    def finish(self):
        self.context.stop()


class Watcher(art.Actor):
    """Keeps the Downs of the actors that it monitors."""

    def __init__(self):
        self.downs = []
        self.news = asyncio.Event()

    def watch(self, ref):
        self.context.monitor(ref)

    async def on_down(self, down):
        self.downs.append(down)
        self.news.set()

    async def first(self):
        await self.news.wait()
        return self.downs[0]

    def count(self):
        return len(self.downs)


async def until_ticks(clockwork, count):
    return await wait_for_answer(clockwork.seen, lambda ticks: len(ticks) >= count, f"{count} ticks")


async def test_after_sends_the_actor_one_message(runtime):
    clockwork = await Clockwork.spawn()
    await clockwork.after(0.02, 7)
    assert await until_ticks(clockwork, 1) == [7]


async def test_every_sends_the_actor_messages_until_the_timer_is_cancelled(runtime):
    clockwork = await Clockwork.spawn()
    await clockwork.every(0.01)
    await until_ticks(clockwork, 3)
    await clockwork.cancel()
    count = len(await clockwork.seen())
    await clockwork.after(0.05, 9)
    ticks = await until_ticks(clockwork, count + 1)
    assert ticks == [0] * count + [9]


async def test_timer_ends_with_its_incarnation(runtime):
    clockwork = await Clockwork.options(restart="permanent").spawn()
    await clockwork.every(0.01)
    await until_ticks(clockwork, 2)
    with pytest.raises(art.ActorUnavailableError):
        await clockwork.fail()
    await clockwork.after(0.05, 9)
    assert await until_ticks(clockwork, 1) == [9]


async def test_tick_that_is_due_while_its_actor_stops_is_no_dead_letter(runtime):
    clockwork = await Clockwork.spawn()
    working = clockwork.tick_and_work(0.01, 5)
    await clockwork.stop()
    assert await working == "worked on"
    assert await dead_letters(runtime, "tick") == 0


async def test_timer_for_an_unknown_method_or_wrong_arguments_is_refused_at_once(runtime):
    clockwork = await Clockwork.spawn()
    with pytest.raises(AttributeError, match="'tock'"):
        await clockwork.after_wrong("tock")
    with pytest.raises(TypeError, match="tick"):
        await clockwork.after_wrong("tick", 1, 2)


async def test_timer_accepts_only_a_method_of_self_and_the_error_says_so(runtime):
    clockwork = await Clockwork.spawn()
    await clockwork.every_method(0.01)
    await until_ticks(clockwork, 2)
    with pytest.raises(TypeError, match=r"give its name, as 'tick', or self\.tick"):
        await clockwork.every_of_another(1)
    with pytest.raises(AttributeError, match="has no public method 'append'"):
        await clockwork.after_wrong("append")


async def test_tick_is_skipped_and_counted_while_the_previous_tick_is_still_queued(runtime):
    clockwork = await Clockwork.options(name="clockwork").spawn()
    skipped_count = await clockwork.block(0.01, 8)
    assert len(await clockwork.seen()) == 1
    actors = [actor for process in (await runtime.statistics()).values() for actor in process.get("actors", ())]
    [skipped] = [actor["skipped_ticks"] for actor in actors if actor["label"] == "clockwork"]
    assert skipped == skipped_count >= 8


async def test_number_of_timers_of_an_actor_is_limited(runtime):
    clockwork = await Clockwork.spawn()
    await clockwork.fill_with_timers()
    with pytest.raises(art.MailboxFullError, match="10000 timers that have not come due: cancel") as caught:
        await clockwork.after(1, 0)
    assert await clockwork.seen() == []
    assert caught.value.executed == "yes"  # the method ran and did not catch the error


async def test_context_stop_ends_normally_and_runs_on_stop(runtime):
    class Closing(art.Actor):
        def __init__(self, recorder):
            self.recorder = recorder

        def finish(self):
            self.context.stop()

        async def on_stop(self, reason):
            await self.recorder.note(str(reason.kind))

    recorder = await Recorder.spawn()
    closing = await Closing.spawn(recorder)
    down = art.monitor(closing)
    await closing.finish()
    assert (await down).reason.kind is art.ExitKind.NORMAL
    assert await recorder.all() == ["normal"]


async def test_context_stop_of_a_transient_actor_is_final_and_of_a_permanent_one_is_not(runtime):
    transient = await Clockwork.options(restart="transient").spawn()
    down = art.monitor(transient)
    await transient.finish()
    assert (await down).is_final
    permanent = await Clockwork.options(restart="permanent").spawn()
    down = art.monitor(permanent, restarts=True)
    await permanent.finish()
    assert not (await down).is_final
    assert await permanent.seen.options(retries=3)() == []


async def test_on_stop_gets_the_reason_of_an_ordered_stop(runtime):
    class Closing(art.Actor):
        def __init__(self, recorder):
            self.recorder = recorder

        async def on_stop(self, reason):
            await self.recorder.note([str(reason.kind), reason.detail])

    recorder = await Recorder.spawn()
    closing = await Closing.spawn(recorder)
    await closing.stop("enough of it")
    assert await recorder.all() == [["shutdown", "enough of it"]]


async def test_on_down_is_called_once_with_the_reason(runtime):
    watcher, faulty = await Watcher.options(max_concurrency=2).spawn(), await Faulty.spawn()
    await watcher.watch(faulty)
    await faulty.raise_value_error.tell()
    down = await watcher.first()
    assert down.ref == faulty
    assert down.reason.kind is art.ExitKind.ERROR
    assert down.incarnation == 1
    assert await watcher.count() == 1


async def test_monitor_of_an_actor_that_has_ended_delivers_its_down_at_once(runtime):
    watcher, counter = await Watcher.options(max_concurrency=2).spawn(), await Counter.spawn()
    await counter.stop()
    await watcher.watch(counter)
    assert (await watcher.first()).reason.kind is art.ExitKind.SHUTDOWN
    assert (await art.monitor(counter)).reason.kind is art.ExitKind.SHUTDOWN


async def test_down_of_a_killed_actor_has_the_reason_killed(runtime):
    counter = await Counter.spawn()
    down = art.monitor(counter)
    await counter.kill()
    assert (await down).reason.kind is art.ExitKind.KILLED


async def test_every_monitor_of_one_actor_delivers_a_down(runtime):
    counter = await Counter.spawn()
    downs = [art.monitor(counter) for _ in range(10)]
    await counter.stop()
    assert len(await art.gather(*downs)) == 10


async def test_down_arrives_after_the_replies_sent_before_the_end(runtime):
    counter = await Counter.options(isolation="process").spawn()
    seen = []
    down = art.monitor(counter)
    down.add_callback(lambda _: seen.append("down"))
    replies = [counter.add() for _ in range(100)]
    for reply in replies:
        reply.add_callback(lambda _: seen.append("reply"))
    await counter.stop()
    await down
    assert seen == ["reply"] * 100 + ["down"]


async def test_cancelled_monitor_delivers_no_down(runtime):
    counter = await Counter.spawn()
    down = art.monitor(counter)
    down.cancel()
    with pytest.raises((art.CallCancelledError, asyncio.CancelledError)):
        await down
    await counter.stop()


async def test_incarnation_counts_from_one(runtime):
    counter = await Counter.spawn()
    assert await counter.incarnation() == 1


class Shy(art.Actor):
    """Sends itself to other actors, in every way."""

    def __init__(self, host=None):
        self.host = host

    def itself(self):
        return self

    def nested(self):
        return {"me": [self, (self, 1)]}

    def stream(self):
        yield self

    async def give(self, other):
        return await other.echo([self])

    async def raise_child(self):
        self.child = await Shy.spawn(self)
        return await self.child.itself(), await self.child.parent_given()

    def parent_given(self):
        return self.host

    def store(self):
        return art.put([self])


class Note(art.Actor):
    """An actor that is constructed without a spawn, so that no process hosts it."""

    def __init__(self, number):
        self.number = number


async def test_actor_that_sends_self_in_a_message_sends_its_ref(runtime):
    shy, echo = await Shy.spawn(), await Echo.spawn()
    assert await shy.itself() == shy
    assert await shy.nested() == {"me": [shy, (shy, 1)]}
    assert await shy.give(echo) == [shy]
    assert [item async for item in shy.stream()] == [shy]
    child, given = await shy.raise_child()
    assert (given, await child.parent_given()) == (shy, shy)
    assert await (await shy.store()) == [shy]


async def test_actor_that_sends_self_to_a_neighbour_on_its_loop_sends_its_ref(runtime):
    class House(art.Actor):
        async def on_start(self):
            self.shy, self.echo = await Shy.spawn(), await Echo.spawn()

        async def meet(self):
            return await self.shy.give(self.echo), self.shy

    (met,), shy = await (await House.spawn()).meet()
    assert met == shy


async def test_actor_constructed_without_spawn_is_pickled_like_any_object(runtime):
    note = await (await Echo.spawn()).echo(Note(4))
    assert (type(note), note.number) == (Note, 4)
    assert pickle.loads(pickle.dumps(Note(3))).number == 3
