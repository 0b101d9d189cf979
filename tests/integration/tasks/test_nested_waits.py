"""Waits inside tasks: to any depth, without a process for each waiter, and through actors."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import actorrt as art
from tests.integration.tasks import functions as f

PROCESSES_COUNT = 8


class Middle(art.Actor):
    """Submits tasks, and waits for them."""

    async def fibonacci(self, number: int) -> int:
        return int(await f.fibonacci.submit(number))

    async def pass_on(self, actors: list[art.ActorRef[Middle]]) -> int:
        return int(await ask_first.submit(actors))


@art.task
def ask_first(actors: list[art.ActorRef[Middle]]) -> int:
    """Return how many actors are asked, each by a task that the one before has submitted."""
    return 1 + actors[0].pass_on(actors[1:]).result() if actors else 0


@art.task
async def ask_first_awaited(actors: list[art.ActorRef[Middle]]) -> int:
    return 1 + await actors[0].pass_on(actors[1:]) if actors else 0


async def test_21891_tasks_wait_for_each_other_in_plain_code_on_one_cpu() -> None:
    async with art.Runtime(cpus=1):
        assert await f.fibonacci.submit(20) == 6_765


@pytest.mark.parametrize("chain", [f.chain, f.chain_awaited], ids=["plain", "async"])
async def test_a_chain_of_200_waits_ends_on_one_cpu(chain: Any) -> None:
    async with art.Runtime(cpus=1):
        assert await chain.submit(200) == 200


@pytest.mark.parametrize("parent", [f.pids_one_by_one, f.pids_gathered, f.pids_awaited], ids=lambda task: task.name)
async def test_500_parents_of_10_children_use_few_processes(parent: Any) -> None:
    async with art.Runtime(cpus=2):
        pids = await art.gather(*parent.submit_many([(10,)] * 500))
    assert len({pid for family in pids for pid in family}) <= PROCESSES_COUNT


async def test_children_that_plain_code_gathers_run_in_several_workers() -> None:
    async with art.Runtime(cpus=4):
        assert len({*await f.slow_pids.submit(8, 0.1)}) > 1


async def test_long_children_that_a_coroutine_gathers_leave_its_loop_free_while_a_worker_is_lent_for_them() -> None:
    async with art.Runtime(cpus=2):
        own, *children = await f.pids_of_long_children.submit(4, 0.05)
        assert own not in children


async def test_tasks_wait_for_actors_that_submit_tasks() -> None:
    async with art.Runtime(cpus=2):
        actors = list(await Middle.spawn_many(20))
        assert await ask_first.submit(actors) == 20
        assert await ask_first_awaited.submit(actors) == 20


async def test_many_tasks_wait_for_one_actor_that_submits_tasks() -> None:
    async with art.Runtime(cpus=2):
        middle = await Middle.spawn()
        assert await art.gather(*[ask_fibonacci.submit(middle, 8) for _ in range(30)]) == [21] * 30


@art.task
def gather_plainly(count: int) -> int:
    return sum(art.gather(*[f.add.submit(number, 0) for number in range(count)]).result())


@art.task
def wait_for_a_coroutine() -> int:
    return int(f.add_slowly.submit(1, 2).get())


@art.task
def iterate_plainly(count: int) -> list[Any]:
    """Return what plain code gets from each wait for some of several tasks."""
    refs = f.add.submit_many([(number, 0) for number in range(count)])
    done, pending = art.wait(refs, count=2).result()
    others = f.add.submit_many([(number, 1) for number in range(count)])
    return [
        len(done) + len(pending),
        sorted(ref.get() for ref in art.as_completed([*refs, *others])),
        sorted(art.map(f.double, range(count), in_flight=2)),
        [*art.map(f.double, range(count), in_flight=2, order="input")],
    ]


def test_in_local_mode_plain_code_waits_for_plain_tasks_and_other_waits_are_refused_in_words() -> None:
    art.init(mode="local")
    recursion_limit = sys.getrecursionlimit()
    try:
        assert gather_plainly.submit(10).get() == 45
        assert iterate_plainly.submit(5).get() == [5, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5], [0, 2, 4, 6, 8], [0, 2, 4, 6, 8]]
        assert f.chain.submit(250).get() == 250
        assert f.chain_awaited.submit(200).get() == 200
        assert sys.getrecursionlimit() == recursion_limit
        for refused in (wait_for_a_coroutine.submit(), f.chain.submit(260)):
            with pytest.raises(art.RuntimeStateError, match=r"plain tasks that it has submitted, up to 256.*async"):
                refused.get()
        assert sys.getrecursionlimit() == recursion_limit
    finally:
        art.shutdown()


async def test_in_local_mode_on_a_running_loop_plain_code_waits_for_some_of_several_tasks() -> None:
    async with art.Runtime(mode="local"):
        assert (await iterate_plainly.submit(3))[1:] == [[0, 1, 1, 2, 2, 3], [0, 2, 4], [0, 2, 4]]


@art.task
def ask_fibonacci(middle: art.ActorRef[Middle], number: int) -> int:
    return middle.fibonacci(number).result()
