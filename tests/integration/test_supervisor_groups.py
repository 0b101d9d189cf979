"""Groups of children that their supervisor stops and starts in order, also when other events occur meanwhile."""

from __future__ import annotations

import os
import signal

import pytest

import actorrt as art
from tests.integration.cast import Gate, Recorder
from tests.running import Node, wait_for_answer


class Plain(art.Actor):
    """Starts and stops at once."""

    def incarnation(self):
        return self.context.incarnation

    def pid(self):
        return os.getpid()

    def fail(self):
        raise SystemExit("on purpose")


class Crowd(art.Supervisor):
    strategy = "one_for_all"
    max_restarts = 1_000

    def __init__(self, count):
        self.count = count

    def children(self):
        for number in range(self.count):
            yield art.Child(Plain, id=f"c{number}")


class Slow(Plain):
    """Waits for the gate in each start after the first; notes the begin and the end of each start."""

    def __init__(self, recorder, gate, label):
        self.recorder, self.gate, self.label = recorder, gate, label

    async def on_start(self):
        await self.recorder.note(f"{self.label} begins")
        if self.context.incarnation > 1:
            await self.gate.wait()
        await self.recorder.note(f"{self.label} runs")


class Queue(art.Supervisor):
    """Three slow children; `isolation` is that of the second."""

    strategy = "one_for_all"

    def __init__(self, recorder, gate, isolation=None):
        self.recorder, self.gate, self.isolation = recorder, gate, isolation

    def children(self):
        for label in "abc":
            isolation = self.isolation if label == "b" else None
            yield art.Child(Slow, self.recorder, self.gate, label, id=label, isolation=isolation)


ALL_BEGUN = ["a begins", "a runs", "b begins", "b runs", "c begins", "c runs"]


async def wait_until_one_waits(gate):
    """Wait until a child has reached the gate."""
    await wait_for_answer(gate.counts, lambda counts: counts[0] > 0, "a child waits at the gate")


async def wait_until_states_are(queue, *states):
    """Wait until the supervisor knows these states of its children, which a child may answer calls before."""
    await wait_for_answer(
        queue.children_info, lambda infos: [info.state for info in infos] == [*states], f"its children are {states}"
    )


async def queue_at_the_gate(isolation=None):
    """Return a queue whose first child waits at the gate to restart, its children, the gate and the recorder."""
    recorder, gate = await Recorder.spawn(), await Gate.options(max_concurrency=9).spawn()
    queue = await Queue.spawn(recorder, gate, isolation)
    children = {label: await queue.child(label) for label in "abc"}
    await children["b"].fail.tell()
    await wait_until_one_waits(gate)
    return queue, children, gate, recorder


async def test_every_child_of_a_large_group_is_restarted(runtime):
    crowd = await Crowd.spawn(500)
    refs = [await crowd.child(f"c{number}") for number in range(500)]
    with pytest.raises(art.ActorUnavailableError):
        await refs[200].fail()
    await wait_for_answer(  # the caller of the failed child gets its error before the others have stopped
        crowd.children_info, lambda infos: [info.restarts for info in infos] == [1] * 500, "one restart of each child"
    )
    assert await art.gather(*[ref.incarnation() for ref in refs]) == [2] * 500


async def test_adjacent_children_of_a_large_group_share_a_process_and_all_processes_are_used(node_runtime):
    crowd = await Crowd.spawn(16)
    pids = [await (await crowd.child(f"c{number}")).pid() for number in range(16)]
    assert pids == [pid for pid in dict.fromkeys(pids) for _ in range(4)]
    assert len(set(pids)) == 4


@pytest.mark.parametrize("isolation", [None, "process"])
async def test_each_child_starts_when_the_previous_one_runs(runtime, isolation):
    _, children, gate, recorder = await queue_at_the_gate(isolation)
    assert await recorder.all() == [*ALL_BEGUN, "a begins"]
    await gate.open()
    assert [await child.incarnation.options(retries=3)() for child in children.values()] == [2, 2, 2]
    assert await recorder.all() == [*ALL_BEGUN, *ALL_BEGUN]


async def test_restarted_child_can_be_called_by_the_next_child_while_that_one_starts(runtime):
    class Second(Plain):
        def __init__(self, first_name):
            self.first_name = first_name

        async def on_start(self):
            self.first_incarnation = await (await art.lookup(self.first_name)).incarnation()

        def seen(self):
            return self.first_incarnation

    class Pair(art.Supervisor):
        strategy = "one_for_all"

        def children(self):
            yield art.Child(Plain, id="first", name="first-of-pair")
            yield art.Child(Second, "first-of-pair", id="second")

    pair = await Pair.spawn()
    second = await pair.child("second")
    with pytest.raises(art.ActorUnavailableError):
        await second.fail()
    assert await second.seen() == 2


@pytest.mark.parametrize("order", ["stop", "kill"])
@pytest.mark.parametrize("isolation", [None, "process"])
async def test_child_that_is_stopped_or_killed_before_its_turn_is_skipped(runtime, isolation, order):
    queue, children, gate, recorder = await queue_at_the_gate(isolation)
    ending = getattr(children["b"], order)()
    await wait_for_answer(children["b"].is_alive, lambda is_alive: not is_alive, "the second child has ended")
    await gate.open()
    await ending
    assert await children["c"].incarnation.options(retries=3)() == 2
    assert await recorder.all() == [*ALL_BEGUN, "a begins", "a runs", "c begins", "c runs"]
    assert [info.id for info in await queue.children_info()] == ["a", "c"]


@pytest.mark.parametrize("order", ["stop", "kill"])
async def test_child_that_is_stopped_or_killed_while_it_starts_does_not_prevent_later_starts(runtime, order):
    queue, children, gate, recorder = await queue_at_the_gate()
    await getattr(children["a"], order)()
    await gate.open()
    assert await children["c"].incarnation.options(retries=3)() == 2
    assert await recorder.all() == [*ALL_BEGUN, "a begins", "b begins", "b runs", "c begins", "c runs"]
    assert [info.id for info in await queue.children_info()] == ["b", "c"]


async def test_supervisor_that_stops_while_its_group_starts_leaves_nothing(runtime):
    queue, _, _, recorder = await queue_at_the_gate()
    await queue.stop()
    assert await recorder.all() == [*ALL_BEGUN, "a begins"]
    assert sorted(actor["label"][:4] for actor in (await runtime.status())["actors"]) == ["Gate", "Reco"]


async def test_failed_start_of_one_child_restarts_the_whole_group(runtime):
    class Flaky(Plain):
        def __init__(self):
            if self.context.incarnation == 2:
                raise ValueError("not yet")

    class Three(art.Supervisor):
        strategy = "one_for_all"

        def children(self):
            yield art.Child(Plain, id="a")
            yield art.Child(Flaky, id="b", backoff=art.Backoff(first_s=0.01))
            yield art.Child(Plain, id="c")

    three = await Three.spawn()
    a, b, c = [await three.child(id) for id in "abc"]
    with pytest.raises(art.ActorUnavailableError):
        await b.fail()
    assert [await child.incarnation.options(retries=9)() for child in (b, c, a)] == [3, 2, 3]
    assert [info.restarts for info in await three.children_info()] == [2, 2, 1]


async def test_worker_killed_while_a_group_starts_in_it_is_replaced(node_runtime):
    recorder, gate = await Recorder.spawn(), await Gate.options(max_concurrency=9).spawn()
    queue = await Queue.spawn(recorder, gate)
    children = [await queue.child(label) for label in "abc"]
    pid = await children[0].pid()
    assert pid not in (await recorder.pid(), await gate.pid())
    await children[0].fail.tell()
    await wait_until_one_waits(gate)
    os.kill(pid, signal.SIGKILL)
    await gate.open()
    assert await children[2].incarnation.options(retries=9)() > 1
    assert await children[0].pid.options(retries=9)() != pid
    await wait_until_states_are(queue, "running", "running", "running")


async def test_restarted_child_may_answer_before_its_supervisor_knows_that_it_runs(node: Node, node_runtime):
    """The host answers callers itself; the notice of the start goes through the daemon, which is stopped here."""
    gate, recorder = await Gate.options(max_concurrency=9).spawn(), await Recorder.spawn()

    class Single(art.Supervisor):
        def children(self):
            yield art.Child(Slow, recorder, gate, "a", id="a")

    single = await Single.spawn()
    child = await single.child("a")
    await child.fail.tell()
    await wait_until_one_waits(gate)
    incarnation = child.incarnation()
    os.kill(node.pid, signal.SIGSTOP)
    try:
        await gate.open()
        assert await incarnation == 2
        assert [info.state for info in await single.children_info()] == ["starting"]
    finally:
        os.kill(node.pid, signal.SIGCONT)
    await wait_until_states_are(single, "running")


async def test_child_that_exceeds_the_intensity_ends_with_that_reason_and_its_siblings_with_shutdown(runtime):
    class Impatient(Crowd):
        strategy, max_restarts = "one_for_one", 0

    crowd = await Impatient.spawn(2)
    failing, sibling = await crowd.child("c0"), await crowd.child("c1")
    downs = [art.monitor(ref) for ref in (failing, sibling, crowd)]
    with pytest.raises(art.ActorDiedError) as caught:
        await failing.fail()
    assert caught.value.reason.kind is art.ExitKind.INTENSITY
    assert "max_restarts is 0; the last was 'c0', which ended with error: SystemExit" in str(caught.value)
    assert [(await down).reason.kind for down in downs] == [
        art.ExitKind.INTENSITY,
        art.ExitKind.SHUTDOWN,
        art.ExitKind.INTENSITY,
    ]
