"""Results that are lost are made again: once, only what is missing, and what can't be says why.

In local mode: the node, its workers and this program share one loop, and the test loses objects of the store.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.store.client.ref import ObjectRef
from actorrt.tasks.policy.origins import DOUBTFUL_COUNT, Origin
from actorrt.tasks.submitting.lineage import Lineage
from actorrt.tasks.working.endpoint_tasks import tasks_of
from tests.losing import lose, lose_objects, store_here

LENGTH = 20_000
"""The length of arrays, of eight bytes each: they lie in the store."""

runs: Counter[str] = Counter()
"""How often each task has begun, by its name."""


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    runs.clear()


@art.task
def full(name: str, value: float) -> np.ndarray[Any, Any]:
    runs[name] += 1
    return np.full(LENGTH, value)


@art.task
def added(name: str, *parts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    runs[name] += 1
    return np.sum(parts, axis=0)


@art.task(retries=0)
def once(name: str, value: float) -> np.ndarray[Any, Any]:
    runs[name] += 1
    return np.full(LENGTH, value)


@art.task
def first(array: np.ndarray[Any, Any]) -> float:
    return float(array[0])


def local(main: Callable[[], Awaitable[None]], **options: Any) -> None:
    """Run a program in local mode."""

    async def checked() -> None:
        await main()
        tasks_of(current_endpoint()).check_invariants()

    art.run(checked, mode="local", **{"cpus": 2, **options})


def lineage() -> Lineage:
    return tasks_of(current_endpoint()).submitter.lineage


async def made(*refs: ObjectRef[Any]) -> None:
    """Wait until tasks have ended, without reading their results."""
    await art.wait(refs, count=len(refs))


def test_a_lost_result_is_made_again_for_whoever_waits() -> None:
    async def main() -> None:
        ref = full.submit("a", 3)
        await made(ref)
        lose(ref)
        values = await asyncio.gather(ref, ref, first.submit(ref))
        assert [float(np.max(value)) for value in values] == [3, 3, 3]
        assert runs == {"a": 2}

    local(main)


def test_nothing_is_made_again_that_nobody_waits_for() -> None:
    async def main() -> None:
        refs = [full.submit(f"a{number}", number) for number in range(5)]
        await made(*refs)
        lose(*refs)
        assert (await refs[2])[0] == 2
        assert runs == {"a0": 1, "a1": 1, "a2": 2, "a3": 1, "a4": 1}

    local(main)


def diamond() -> list[ObjectRef[Any]]:
    top = full.submit("top", 1)
    left, right = added.submit("left", top), added.submit("right", top, top)
    return [top, left, right, added.submit("bottom", left, right)]


@pytest.mark.parametrize(
    ("lost", "again"),
    [
        ([3], ["bottom"]),
        ([0, 3], ["bottom"]),
        ([1, 3], ["bottom", "left"]),
        ([0, 1, 3], ["bottom", "left", "top"]),
        ([0, 1, 2, 3], ["bottom", "left", "right", "top"]),
    ],
)
def test_of_a_diamond_what_is_missing_is_made_again_once(lost: list[int], again: list[str]) -> None:
    async def main() -> None:
        refs = diamond()
        await made(*refs)
        lose(*(refs[number] for number in lost))
        assert (await refs[3])[0] == 3
        assert sorted(name for name, count in runs.items() if count == 2) == again
        assert max(runs.values()) == 2

    local(main)


def test_what_nobody_referred_to_any_more_is_made_again_for_what_was_made_from_it() -> None:
    async def main() -> None:
        bottom = diamond()[-1]
        await made(bottom)
        lose(bottom)
        assert (await bottom)[0] == 3
        assert runs == {"top": 2, "left": 2, "right": 2, "bottom": 2}
        await asyncio.sleep(0.02)  # until what was held for it is released
        assert art.store_stats()["objects_count"] == 1

    local(main)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("count", "is_kept"), [(10_000, False), (200, True)])
def test_a_chain_of_10_000_that_is_lost_is_made_again_without_recursion(count: int, is_kept: bool) -> None:
    async def main() -> None:
        kept = [chained.submit(np.zeros(10))]
        for _ in range(count - 1):
            ref = chained.submit(kept[-1])
            kept = [*kept, ref] if is_kept else [ref]
        await made(kept[-1])
        lose(*kept)
        assert (await kept[-1])[0] == count
        assert runs["chained"] == 2 * count

    local(main)


@art.task
def chained(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    runs["chained"] += 1
    return np.full(8_500, array[0] + 1)


def test_an_error_goes_down_a_chain_of_10_000_without_recursion() -> None:
    async def main() -> None:
        gates["gate"] = asyncio.Event()
        first_one = last = gated.submit("a", 1)
        for _ in range(10_000):
            last = chained.submit(last)
        await asyncio.sleep(0)
        await first_one.cancel()
        with pytest.raises(art.CallCancelledError):
            await last
        assert runs["chained"] == 0

    local(main)


def test_a_shared_argument_is_made_again_once_for_all_that_take_it() -> None:
    async def main() -> None:
        shared = full.submit("shared", 1)
        refs = [added.submit(f"a{number}", shared) for number in range(10)]
        await made(shared, *refs)
        lose(shared, *refs)
        assert [(await ref)[0] for ref in refs] == [1] * 10
        assert runs["shared"] == 2
        assert max(runs.values()) == 2

    local(main)


def test_a_task_whose_argument_is_lost_before_it_begins_waits_and_needs_no_worker_meanwhile() -> None:
    async def main() -> None:
        refs = [full.submit(f"a{number}", number) for number in range(3)]
        await made(*refs)
        lose(*refs)
        totals = [added.submit("total", *refs) for _ in range(5)]
        assert [(await total)[0] for total in totals] == [3] * 5
        assert runs == {"a0": 2, "a1": 2, "a2": 2, "total": 5}

    local(main, cpus=1)


def test_results_of_submit_many_are_made_again_one_by_one() -> None:
    async def main() -> None:
        refs = full.submit_many([(f"a{number}", number) for number in range(20)])
        await made(*refs)
        lose(*refs)
        assert [value[0] for value in await art.gather(*refs)] == list(range(20))
        assert set(runs.values()) == {2}

    local(main)


def test_an_actor_and_a_name_read_on_when_a_result_was_lost() -> None:
    class Reader(art.Actor):
        def keep(self, refs: list[Any]) -> None:
            self.refs = refs

        async def read(self) -> float:
            return float((await self.refs[0])[0])

    async def main() -> None:
        reader = await Reader.spawn()
        ref = full.submit("a", 7)
        await made(ref)
        await reader.keep([ref])
        lose(ref)
        assert await reader.read() == 7
        del ref
        await asyncio.sleep(0.02)
        assert await reader.read() == 7
        assert runs == {"a": 2}

    local(main)


def test_what_put_has_made_is_not_made_again_and_the_error_names_the_argument() -> None:
    async def main() -> None:
        put = art.put(np.full(LENGTH, 2.0))
        ref = added.submit("a", put)
        await made(ref)
        lose(ref)
        assert (await ref)[0] == 2, "the argument is still there"
        await made(ref)
        lose(put)
        with pytest.raises(art.ObjectLostError, match="the test has lost it"):
            await put
        del put
        await until_not_in_view(ref)
        lose(ref)
        with pytest.raises(art.ObjectLostError, match=r"the result of task added\(\).*argument 1 of task added\(\)"):
            await ref

    local(main)


async def until_not_in_view(ref: ObjectRef[Any]) -> None:
    """Drop the view that a ref keeps of its object."""
    ref.keep(None)
    await asyncio.sleep(0.02)


@art.task
async def summed(name: str, parts: list[Any]) -> np.ndarray[Any, Any]:
    runs[name] += 1
    return np.sum([await part for part in parts], axis=0)


@pytest.mark.parametrize("are_pending", [True, False])
def test_results_whose_refs_are_inside_an_argument_are_made_again_too(are_pending: bool) -> None:
    async def main() -> None:
        parts = [full.submit(f"a{number}", number) for number in range(3)]
        if not are_pending:
            await made(*parts)
        ref = summed.submit("sum", parts)
        await made(ref)
        del parts
        gc.collect()
        await until_not_in_view(ref)
        lose(ref)
        assert (await ref)[0] == 3
        assert runs == {"a0": 2, "a1": 2, "a2": 2, "sum": 2}

    local(main)


def test_a_copy_that_others_read_is_put_again_from_the_result() -> None:
    async def main() -> None:
        gates["gate"] = asyncio.Event()
        ref = gated.submit("a", 7)
        box = art.put([ref])  # while the task is pending, so that an object is promised for it
        gates["gate"].set()
        await made(ref)
        copy = ref.in_store()
        assert copy.id != ref.stored_id
        copy.keep(None)
        await asyncio.sleep(0.02)
        lose(copy)
        (read,) = await box
        assert (await read)[0] == 7
        assert runs == {"a": 1}

    local(main)


gates: dict[str, asyncio.Event] = {}


@art.task
async def gated(name: str, value: float) -> np.ndarray[Any, Any]:
    runs[name] += 1
    await gates["gate"].wait()
    return np.full(LENGTH, value)


def test_a_large_argument_by_value_is_not_kept_and_the_error_names_it() -> None:
    async def main() -> None:
        ref = added.submit("a", np.full(LENGTH, 2.0))
        await made(ref)
        lose(ref)
        with pytest.raises(art.ObjectLostError, match=r"argument 1 of task added\(\) was given by value"):
            await ref
        assert runs == {"a": 1}

    local(main)


def test_a_task_that_must_not_run_twice_does_not() -> None:
    async def main() -> None:
        ref = once.submit("a", 1)
        total = added.submit("total", ref)
        await made(ref, total)
        lose(ref, total)
        with pytest.raises(art.ObjectLostError, match=r"task once\(\) has retries=0, so it runs at most once"):
            await total
        with pytest.raises(art.ObjectLostError, match=r"the test has lost it"):
            await ref
        assert runs == {"a": 1, "total": 1}

    local(main)


def test_an_object_that_is_lost_again_and_again_is_given_up() -> None:
    async def main() -> None:
        ref = full.submit("a", 1)
        for _ in range(4):
            await made(ref)
            await until_not_in_view(ref)
            lose(ref)
            if runs["a"] < 4:
                assert (await ref)[0] == 1
        with pytest.raises(art.ObjectLostError, match="has run again 3 times within 60 s"):
            await ref

    local(main)


def test_what_is_lost_again_before_its_submitter_knows_that_it_was_made_is_made_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_run = Lineage._has_run

    def late(of: Lineage, origin: Origin) -> None:
        if runs["a"] == 2:
            lose_objects(store_here(), [origin.object_id])
        of._loop.call_later(0.05, has_run, of, origin)

    monkeypatch.setattr(Lineage, "_has_run", late)

    async def main() -> None:
        ref = full.submit("a", 1)
        await made(ref)
        lose(ref)
        again = ref.once_more()
        await asyncio.wait([asyncio.ensure_future(art.wait([again]))], timeout=0.02)
        assert (await ref)[0] == 1
        assert runs == {"a": 3}

    local(main)


@art.task
def fails_again(name: str) -> np.ndarray[Any, Any]:
    runs[name] += 1
    if runs[name] > 1:
        raise ValueError("not this time")
    return np.ones(LENGTH)


def test_a_task_that_fails_when_it_runs_again_says_so_to_all_that_wait() -> None:
    async def main() -> None:
        ref = fails_again.submit("a")
        total = added.submit("total", ref)
        await made(ref, total)
        lose(ref, total)
        with pytest.raises(
            art.ObjectLostError, match=r"of task added\(\), is lost and could not be made again.*not this"
        ):
            await total
        with pytest.raises(art.ObjectLostError, match=r"of task fails_again\(\), is lost and could not be made again"):
            await ref

    local(main)


@art.task
def small_later(name: str) -> Any:
    runs[name] += 1
    return np.ones(LENGTH) if runs[name] == 1 else [runs[name]]


def test_a_result_of_another_size_takes_the_place_of_the_lost_one() -> None:
    async def main() -> None:
        ref = small_later.submit("a")
        await made(ref)
        lose(ref)
        assert await ref == [2]

    local(main)


@art.task
def followed(name: str) -> Any:
    runs[name] += 1
    return full.submit(f"{name}-inner", runs[name])


def test_a_ref_that_was_followed_is_made_again_by_the_task_that_has_submitted_it() -> None:
    async def main() -> None:
        ref = followed.submit("a")
        assert (await ref)[0] == 1
        await until_not_in_view(ref)
        lose(ref)
        assert (await ref)[0] in (1, 2)
        assert runs["a-inner"] == 2

    local(main)


def test_a_cancelled_wait_withdraws_nothing_and_cancel_of_what_is_made_again_makes_no_difference() -> None:
    async def main() -> None:
        ref = full.submit("a", 1)
        await made(ref)
        lose(ref)
        waiting = asyncio.ensure_future(ref)
        await asyncio.sleep(0)
        waiting.cancel()
        assert not await ref.cancel()
        assert (await ref)[0] == 1

    local(main)


def test_how_results_were_made_is_forgotten_with_the_last_ref_to_them() -> None:
    async def main() -> None:
        refs = full.submit_many([("a", 1)] * (2 * DOUBTFUL_COUNT))
        await made(*refs)
        assert len(lineage().origins) == 2 * DOUBTFUL_COUNT
        del refs
        gc.collect()  # a wait for many has cycles
        await asyncio.sleep(0.02)
        await made(full.submit("b", 1))
        assert len(lineage().origins) == DOUBTFUL_COUNT + 1

    local(main)
