"""Groups of actors of one class: arguments are captured once, and each call has its own outcome."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import actorrt as art
from tests.integration.cast import Counter, Gate
from tests.running import wait_for_answer

LARGE = 300_000
SIZES = (10, LARGE)


class Weights:
    """Counts how often its instances are pickled."""

    pickled_count = 0

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        Weights.pickled_count += 1
        return Weights, (self.array,)


class Pupil(art.Actor):
    """Adds up the weights that it receives; refuses a call that names its number."""

    def __init__(self, number=0):
        self.number = number
        self.total = 0.0

    def learn(self, weights):
        self.total += float(weights.array.sum())
        return self.total

    def totals(self):
        return self.total

    def refuse(self, numbers):
        if self.number in numbers:
            raise ValueError(f"{self.number} refuses")
        return self.number

    def count_to(self, limit):
        yield from range(limit)

    def count(self):
        return self.number

    def index(self, word):
        return word.index(str(self.number))


class Leaver(art.Actor):
    """Reports its stop to a register; `how` makes `on_stop` fail or never end."""

    def __init__(self, register, how=None):
        self.register = register
        self.how = how

    def here(self):
        return True

    async def on_stop(self, reason):
        self.register.add.tell()
        if self.how == "fails":
            raise ValueError("not today")
        if self.how == "stays":
            await asyncio.Event().wait()


@pytest.fixture
async def pupils(runtime):
    first = await Pupil.spawn_many(2)
    return art.ActorGroup([*first, await Pupil.options(isolation="process").spawn()])


@pytest.fixture(autouse=True)
def none_pickled():
    Weights.pickled_count = 0


@pytest.mark.parametrize("size", SIZES)
async def test_arguments_of_a_group_call_are_pickled_once(pupils, size):
    assert await pupils.learn(Weights(np.ones(size))) == [size] * 3
    assert Weights.pickled_count == 1


@pytest.mark.parametrize("size", SIZES)
async def test_arguments_of_a_group_tell_are_pickled_once(pupils, size):
    await pupils.learn.tell(Weights(np.ones(size)))
    assert Weights.pickled_count == 1
    assert await pupils.totals() == [size] * 3
    while art.store_stats()["objects_count"] > 0:
        await pupils.totals()


async def test_arguments_of_a_group_call_whose_results_stay_are_pickled_once(pupils):
    refs = pupils.learn.options(returns="ref")(Weights(np.ones(LARGE))).replies
    assert all(isinstance(ref, art.ObjectRef) for ref in refs)
    assert await art.gather(*refs) == [LARGE] * 3
    assert Weights.pickled_count == 1


async def test_array_of_the_store_is_sent_to_a_group_without_a_copy(pupils):
    array = await art.put(np.ones(LARGE))
    await pupils.learn.tell(Weights(array))
    assert await pupils.totals() == [LARGE] * 3
    assert art.store_stats()["objects_count"] == 1


async def test_group_tell_with_a_ref_inside_reaches_every_member(runtime):
    class Taker(art.Actor):
        async def take(self, box):
            self.total = float((await box[0]).sum())

        def result(self):
            return self.total

    takers = await Taker.options(isolation="process").spawn_many(2)
    takers.take.tell([art.put(np.ones(LARGE))])
    assert await takers.result() == [LARGE] * 2


async def test_argument_changed_after_a_group_call_arrives_unchanged(pupils):
    array = np.ones(LARGE)
    reply = pupils.learn(Weights(array))
    array[:] = 5
    assert await reply == [LARGE] * 3


async def test_each_call_of_a_group_has_its_own_outcome(runtime):
    pupils = art.ActorGroup([await Pupil.spawn(number) for number in range(4)])
    replies = pupils.refuse([1, 2])
    with pytest.raises(ValueError, match="refuses"):
        await replies
    outcomes = {}
    async for reply in replies.as_completed():
        outcomes[replies.replies.index(reply)] = str(reply.error() or reply.value())
    assert outcomes == {0: "0", 1: "1 refuses", 2: "2 refuses", 3: "3"}


async def test_dead_member_of_a_group_fails_only_its_own_call(runtime):
    counters = await Counter.spawn_many(3)
    await counters[1].kill()
    replies = counters.add()
    done, pending = await art.wait(replies.replies, count=3, timeout_s=20)
    assert pending == []
    assert [type(reply.error()) for reply in done] == [type(None), art.ActorDiedError, type(None)]


async def test_cancelled_group_call_cancels_every_call(runtime):
    gates = await Gate.options(max_concurrency=2).spawn_many(3)
    replies = gates.wait()
    await wait_for_answer(
        gates.counts, lambda all: [entered for entered, _ in all] == [1, 1, 1], "a call is in each gate"
    )
    replies.cancel()
    with pytest.raises(art.CallCancelledError):
        await replies
    await wait_for_answer(
        gates.counts, lambda all: [cancelled for _, cancelled in all] == [1, 1, 1], "each call is cancelled"
    )


async def test_call_of_a_group_without_actors_has_no_outcomes(runtime):
    empty = (await Counter.spawn_many(1))[:0]
    assert await empty.add() == []
    assert await empty.add.tell() == []
    assert [reply async for reply in empty.add().as_completed()] == []


async def test_wrong_argument_is_refused_before_anything_is_sent(pupils):
    with pytest.raises(TypeError, match=r"Pupil\.learn"):
        pupils.learn()
    with pytest.raises(TypeError, match=r"Pupil\.learn"):
        pupils.learn.tell(1, 2)
    with pytest.raises(TypeError, match=r"count_to\(\) yields"):
        pupils.count_to(3)
    assert await pupils.totals() == [0.0] * 3


async def test_group_method_with_the_name_of_a_sequence_method_calls_the_actors(runtime):
    pupils = art.ActorGroup([await Pupil.spawn(number) for number in range(3)])
    assert await pupils.count() == [0, 1, 2]
    assert await pupils.index("210") == [2, 1, 0]
    assert pupils[1] in pupils
    assert list(reversed(pupils)) == [pupils[2], pupils[1], pupils[0]]


MANY_COUNT = 3_000


@pytest.fixture
async def leavers(runtime):
    """The register, and thousands of light actors: `on_stop` of one fails, and that of another never ends."""
    register = await Counter.spawn()
    many = await Leaver.spawn_many(MANY_COUNT, register)
    failing = await Leaver.spawn(register, "fails")
    staying = await Leaver.options(shutdown_s=0.1).spawn(register, "stays")
    return register, art.ActorGroup([*many[: MANY_COUNT // 2], failing, staying, *many[MANY_COUNT // 2 :]])


async def test_stop_of_thousands_runs_every_hook_and_a_failed_or_stuck_hook_delays_no_other(leavers):
    register, group = leavers
    failing, staying = group[MANY_COUNT // 2 : MANY_COUNT // 2 + 2]
    fate_of_failing, fate_of_staying = art.monitor(failing), art.monitor(staying)
    neighbour = await Counter.spawn()
    async with asyncio.timeout(60):
        assert await group.stop() == [None] * len(group)
    assert await group.is_alive() == [False] * len(group)
    assert await register.value() == len(group)
    assert "ValueError: not today" in (await fate_of_failing).detail
    assert "its 0.1 s to stop were over" in (await fate_of_staying).detail
    assert await neighbour.add() == 1


async def test_kill_of_thousands_of_actors_runs_no_hook(leavers):
    register, group = leavers
    async with asyncio.timeout(60):
        assert await group.kill() == [None] * len(group)
    assert await group.is_alive() == [False] * len(group)
    assert await register.value() == 0


async def test_messages_sent_to_a_group_before_its_stop_are_handled_first(runtime):
    counters = await Counter.spawn_many(300)
    replies = counters.add()
    await counters.stop()
    assert await replies == [1] * 300


async def test_stop_of_a_group_works_with_ended_actors_and_with_actors_in_their_own_process(runtime):
    gone, alone = await Counter.spawn_many(2)
    await gone.stop()
    group = art.ActorGroup([gone, alone, await Counter.options(isolation="process").spawn()])
    assert await group.stop("enough") == [None] * 3
    assert await group.is_alive() == [False] * 3


async def test_reason_of_the_stop_of_a_group_must_be_a_string(runtime):
    counters = await Counter.spawn_many(2)
    with pytest.raises(TypeError, match="reason=5"):
        counters.stop(5)
    assert await counters.is_alive() == [True, True]
