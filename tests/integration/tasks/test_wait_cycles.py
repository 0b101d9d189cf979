"""Tasks that wait for themselves, through tasks, actors and objects, get a `DeadlockError` that shows the path."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import actorrt as art
from actorrt.actors.hosting.deadlock import LOOK_EVERY_S

LONG_S = 4 * LOOK_EVERY_S

Refs = list[art.ObjectRef[Any]]


class Board(art.Actor):
    """Hands refs from one task to another: a task learns the ref of a task that was submitted after it."""

    def __init__(self) -> None:
        self.refs: dict[str, asyncio.Future[Refs]] = {}

    def _place(self, name: str) -> asyncio.Future[Refs]:
        return self.refs.setdefault(name, asyncio.get_running_loop().create_future())

    async def pin(self, name: str, ref: Refs) -> None:
        self._place(name).set_result(ref)

    async def read(self, name: str) -> Refs:
        return await self._place(name)


class Keeper(art.Actor):
    """Waits for refs, and for tasks that ask it."""

    async def wait_for(self, refs: Refs) -> Any:
        return await refs[0]

    async def read_and_wait(self, board: art.ActorRef[Board], name: str) -> Any:
        [ref] = await board.read(name)
        return await ref

    async def submit_and_wait(self, me: art.ActorRef[Keeper]) -> Any:
        return await ask_count.submit(me)

    async def count(self) -> int:
        return 1


@art.task
def ask_count(keeper: art.ActorRef[Keeper]) -> int:
    return keeper.count().result()


@art.task
def wait_plainly(board: art.ActorRef[Board], name: str) -> Any:
    return board.read(name).result()[0].get()


@art.task
async def wait_awaiting(board: art.ActorRef[Board], name: str) -> Any:
    [ref] = await board.read(name)
    return await ref


@art.task
async def wait_in_a_gather(board: art.ActorRef[Board], name: str) -> Any:
    [ref] = await board.read(name)
    return await art.gather(ref, later.submit(0.1))


@art.task
async def wait_in_a_gather_of_asyncio(board: art.ActorRef[Board], name: str) -> Any:
    [ref] = await board.read(name)
    return await asyncio.gather(ref, asyncio.sleep(0.1))


@art.task
def wait_or_give_up(board: art.ActorRef[Board], name: str, seconds: float) -> str:
    try:
        board.read(name).result()[0].get(seconds)
    except art.CallTimeoutError:
        return "gave up"
    return "waited"


@art.task
async def later(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "later"


@art.task
def wait_through_a_child(board: art.ActorRef[Board], name: str) -> Any:
    return opened.submit(board.read(name).result()).get()


@art.task
def opened(refs: Refs) -> Any:
    return refs[0].get()


@art.task
def wait_through_an_actor(board: art.ActorRef[Board], name: str, keeper: art.ActorRef[Keeper]) -> Any:
    return keeper.wait_for(board.read(name).result()).result()


@art.task
async def return_what_takes(board: art.ActorRef[Board], name: str) -> Any:
    """Return the ref of a task that takes this task's own result."""
    [ref] = await board.read(name)
    return taken.submit(ref)


@art.task
def taken(value: Any) -> Any:
    return value


@art.task
def chain(depth: int, last_s: float) -> Any:
    return chain.submit(depth - 1, last_s).get() if depth else later.submit(last_s).get()


async def crossed(board: art.ActorRef[Board], one: Any, two: Any, *others: Any) -> list[Any]:
    """Submit two tasks, each with the ref of the other; return their outcomes."""
    first, second = one.submit(board, "second", *others), two.submit(board, "first", *others)
    await board.pin("first", [first])
    await board.pin("second", [second])
    return list(await art.gather(first, second, return_exceptions=True, timeout_s=20))


@pytest.fixture
async def board(runtime: art.Runtime) -> Any:
    return await Board.options(max_concurrency=10).spawn()


@pytest.fixture
async def node_board(node_runtime: art.Runtime) -> Any:
    return await Board.options(max_concurrency=10).spawn()


async def test_plain_tasks_that_wait_for_each_other_get_a_deadlock_error_with_the_path(node_board: Any) -> None:
    outcomes = await crossed(node_board, wait_plainly, wait_plainly)
    assert [type(outcome) for outcome in outcomes] == [art.DeadlockError] * 2
    text = "task wait_plainly() would wait for itself: "
    assert str(outcomes[0]).startswith(text + " -> ".join(["task wait_plainly()"] * 3))


@pytest.mark.parametrize("task", [wait_awaiting, wait_in_a_gather, wait_in_a_gather_of_asyncio], ids=lambda t: t.name)
async def test_coroutines_of_tasks_that_wait_for_each_other_get_a_deadlock_error(board: Any, task: Any) -> None:
    outcomes = await crossed(board, task, wait_awaiting)
    assert [type(outcome) for outcome in outcomes] == [art.DeadlockError] * 2
    assert f"task {task.name}()" in str(outcomes[0])


async def test_task_that_waits_for_itself_gets_a_deadlock_error(node_board: Any) -> None:
    me = wait_plainly.submit(node_board, "me")
    await node_board.pin("me", [me])
    with pytest.raises(art.DeadlockError, match=r"itself: task wait_plainly\(\) -> task wait_plainly\(\);") as raised:
        await me
    assert raised.value.executed == "yes"


async def test_task_that_waits_in_the_place_of_a_wait_for_it_gets_a_deadlock_error(node_board: Any) -> None:
    me = wait_through_a_child.submit(node_board, "me")
    await node_board.pin("me", [me])
    with pytest.raises(art.DeadlockError, match=r"task opened\(\) -> task wait_through_a_child\(\) -> task opened"):
        await me


async def test_cycle_over_an_actor_and_a_task_that_it_waits_for_is_a_deadlock(node_board: Any) -> None:
    keeper = await Keeper.options(isolation="process").spawn()
    first = wait_through_an_actor.submit(node_board, "second", keeper)
    second = wait_plainly.submit(node_board, "first")
    await node_board.pin("first", [first])
    await node_board.pin("second", [second])
    outcomes = await art.gather(first, second, return_exceptions=True, timeout_s=20)
    assert [type(outcome) for outcome in outcomes] == [art.DeadlockError] * 2
    assert "task wait_through_an_actor() -> Keeper-" in str(outcomes[0])
    assert "task wait_plainly()" in str(outcomes[0])


async def test_actor_whose_task_asks_it_is_told_the_path(node_runtime: art.Runtime) -> None:
    keeper = await Keeper.spawn()
    path = r"Keeper-\w+.submit_and_wait\(\) -> task ask_count\(\) -> Keeper-\w+.count\(\)"
    with pytest.raises(art.DeadlockError, match=path):
        await keeper.submit_and_wait(keeper)
    assert await keeper.count() == 1


async def test_returned_ref_of_a_task_that_takes_the_result_is_a_deadlock(board: Any) -> None:
    me = return_what_takes.submit(board, "me")
    await board.pin("me", [me])
    path = r"task return_what_takes\(\) -> task taken\(\) -> task return_what_takes\(\)"
    with pytest.raises(art.DeadlockError, match=path):
        await me


async def test_cycle_over_the_result_of_a_call_that_stays_in_the_store_is_a_deadlock(board: Any) -> None:
    keeper = await Keeper.spawn()
    result = keeper.read_and_wait.options(returns="ref")(board, "waits")
    waits = wait_awaiting.submit(board, "result")
    await board.pin("waits", [waits])
    await board.pin("result", [result])
    with pytest.raises(art.DeadlockError, match=r"read_and_wait\(\)"):
        await waits
    with pytest.raises(art.DeadlockError):
        await result


async def test_wait_that_ends_by_its_timeout_is_no_part_of_a_cycle(node_board: Any) -> None:
    one = wait_or_give_up.submit(node_board, "two", LONG_S)
    two = wait_plainly.submit(node_board, "one")
    await node_board.pin("one", [one])
    await node_board.pin("two", [two])
    assert await art.gather(one, two) == ["gave up", "gave up"]


async def test_long_waits_without_a_cycle_end_with_their_values(node_board: Any) -> None:
    refs = [
        chain.submit(5, LONG_S),
        wait_awaiting.submit(node_board, "later"),
        wait_plainly.submit(node_board, "later"),
    ]
    await node_board.pin("later", [later.submit(LONG_S)])
    assert await art.gather(*refs) == ["later"] * 3
