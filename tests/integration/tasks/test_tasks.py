"""Tasks as users write them: values, errors, refs between tasks, waiting inside tasks, cancelling."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actorrt as art
from actorrt.node.leases.pools import IDLE_S
from actorrt.tasks.policy.class_queue import KEEP_S
from tests.integration.tasks import functions as f
from tests.running import wait_for_answer


class Submitter(art.Actor):
    """Submits tasks from an actor."""

    async def sum(self, numbers: list[int]) -> int:
        refs = [f.add.submit(number, 0) for number in numbers]
        return sum([await ref for ref in refs])

    def ref_in_a_box(self) -> list[art.ObjectRef[int]]:
        return [f.add_slowly.submit(3, 4, 0.05)]


async def until_noted(path: Path, text: str) -> None:
    """Wait until a task has written the text."""

    async def noted() -> str:
        return path.read_text() if path.exists() else ""

    await wait_for_answer(noted, lambda found: found == text, f"{path.name} has {text!r}")


async def test_a_submitted_function_returns_its_value(runtime: art.Runtime) -> None:
    assert await f.add.submit(1, 2) == 3
    assert await f.add.submit(one=1, two=2) == 3
    assert f.add(1, 2) == 3
    assert await f.add_slowly.submit(1, 2) == 3


async def test_tasks_run_in_other_processes(node_runtime: art.Runtime) -> None:
    assert await f.own_pid.submit() != os.getpid()


async def test_many_tasks_return_in_order_of_their_refs(runtime: art.Runtime) -> None:
    refs = f.add.submit_many([(number, 1) for number in range(2_000)])
    assert await art.gather(*refs) == list(range(1, 2_001))


async def test_the_exception_of_a_task_is_raised_as_its_own_type_with_its_traceback(runtime: art.Runtime) -> None:
    with pytest.raises(ValueError, match="wrong") as raised:
        await f.fail.submit("wrong")
    assert raised.value.executed == "yes"  # type: ignore[attr-defined]
    assert "functions.py" in "".join(raised.value.__notes__)


async def test_a_ref_as_an_argument_arrives_as_its_value(runtime: art.Runtime) -> None:
    slow = f.add_slowly.submit(1, 2, 0.1)
    assert await f.add.submit(slow, two=f.add.submit(slow, 10)) == 16
    assert await f.total.submit(art.put(np.ones(100_000))) == 100_000
    assert await f.total.submit(f.ones.submit(100_000)) == 100_000
    assert await f.add.submit(f.add.submit("a", "b"), art.put("c")) == "abc"


async def test_tasks_that_need_a_failed_one_fail_with_its_error_and_a_note_that_names_it(runtime: art.Runtime) -> None:
    failed = f.fail.submit("first")
    needs = f.add.submit(f.add.submit(failed, 1), 1)
    with pytest.raises(ValueError, match="first") as raised:
        await needs
    assert raised.value.executed == "no"  # type: ignore[attr-defined]
    assert any("fail()" in note for note in raised.value.__notes__)


async def test_the_error_of_a_task_stays_its_own_when_tasks_that_need_it_fail_too(runtime: art.Runtime) -> None:
    failed = f.fail.submit("first")
    needing = [f.add.submit(failed, 1) for _ in range(2)]
    for ref, executed, notes_count in [(needing[0], "no", 2), (needing[1], "no", 2), (failed, "yes", 1)]:
        with pytest.raises(ValueError, match="first") as raised:
            await ref
        assert raised.value.executed == executed  # type: ignore[attr-defined]
        assert len(raised.value.__notes__) == notes_count


async def test_refs_of_tasks_travel_to_actors_and_back(runtime: art.Runtime) -> None:
    submitter = await Submitter.spawn()
    assert await submitter.sum(list(range(100))) == 4_950
    [ref] = await submitter.ref_in_a_box()
    assert await ref == 7
    [inner] = await f.boxed.submit("value")
    assert await inner == "value"


async def test_a_ref_inside_a_container_stays_a_ref_that_plain_code_can_wait_for(node_runtime: art.Runtime) -> None:
    pending = f.add_slowly.submit(1, 1, 0.05)
    assert await f.opened.submit([pending]) == 2


async def test_a_returned_ref_is_followed(runtime: art.Runtime) -> None:
    assert await f.delegate.submit(5) == 0


async def test_tasks_wait_for_tasks_in_plain_code(runtime: art.Runtime) -> None:
    assert await f.fibonacci.submit(12) == 144


async def test_tasks_wait_for_tasks_in_coroutines(runtime: art.Runtime) -> None:
    assert await f.fibonacci_awaited.submit(10) == 55


async def test_more_coroutines_than_cpus_gather_what_they_have_submitted(runtime: art.Runtime) -> None:
    assert await art.gather(*[f.gather_sum.submit(4) for _ in range(8)]) == [6] * 8


async def test_a_worker_whose_coroutine_has_waited_is_kept(node_runtime: art.Runtime) -> None:
    pids = set()
    for _ in range(4):
        pids.add(await f.pid_after.submit(0.02))
        await asyncio.sleep(2 * KEEP_S)  # the lease is returned
    assert len(pids) <= 2


async def test_a_task_is_tried_again_when_its_worker_dies(node_runtime: art.Runtime, tmp_path: Path) -> None:
    assert await f.die_until.submit(str(tmp_path / "noted"), 2) == 3


async def test_a_task_that_always_ends_its_worker_fails_with_all_attempts(
    node_runtime: art.Runtime, tmp_path: Path
) -> None:
    with pytest.raises(art.TaskDiedError) as raised:
        await f.die_until.options(retries=100).submit(str(tmp_path / "noted"), 100)
    assert [attempt.reason.signal for attempt in raised.value.attempts] == [9, 9, 9]
    assert raised.value.executed == "maybe"


async def test_a_task_without_retries_runs_at_most_once(node_runtime: art.Runtime, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    with pytest.raises(art.TaskDiedError):
        await f.die_until.options(retries=0).submit(str(noted), 1)
    assert noted.read_text() == "x"


async def test_exceptions_are_retried_only_where_that_is_asked(runtime: art.Runtime, tmp_path: Path) -> None:
    assert await f.raise_until.submit(str(tmp_path / "one"), 2) == "xxx"
    with pytest.raises(OSError, match="attempt 3"):
        await f.raise_until.submit(str(tmp_path / "two"), 9)
    with pytest.raises(OSError, match="attempt 1"):
        await f.raise_until.options(retry_on=KeyError).submit(str(tmp_path / "three"), 9)


async def test_a_waiting_task_is_cancelled_and_never_runs(runtime: art.Runtime, tmp_path: Path) -> None:
    slow = f.add_slowly.submit(1, 2, 0.2)
    waiting = f.note_when_begun.options().submit(str(tmp_path / "begun"), slow)
    assert await waiting.cancel() is True
    with pytest.raises(art.CallCancelledError) as raised:
        await waiting
    assert raised.value.executed == "no"
    await slow
    assert await waiting.cancel() is False
    assert not (tmp_path / "begun").exists()


async def test_a_coroutine_that_runs_is_cancelled(runtime: art.Runtime, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    running = f.note_when_cancelled.submit(str(noted))
    await until_noted(noted, "begun")
    assert await running.cancel() is True
    with pytest.raises(art.CallCancelledError):
        await running
    await until_noted(noted, "cancelled")


async def test_plain_code_that_runs_goes_on_after_a_cancel_and_its_worker_takes_further_tasks(
    node_runtime: art.Runtime, tmp_path: Path
) -> None:
    running = f.note_when_begun.submit(str(tmp_path / "noted"), 0.3)
    await until_noted(tmp_path / "noted", "begun")
    assert await running.cancel() is True
    with pytest.raises(art.CallCancelledError) as raised:
        await running
    assert raised.value.executed == "maybe"
    assert await f.add.submit(1, 1) == 2


async def test_a_task_that_is_late_fails_with_a_timeout(runtime: art.Runtime) -> None:
    with pytest.raises(art.CallTimeoutError):
        await f.add_slowly.options(timeout_s=0.1).submit(1, 2, 60)
    assert await f.add.submit(1, 2) == 3


async def test_map_yields_values_as_tasks_end_or_in_the_order_of_the_items(runtime: art.Runtime) -> None:
    values = [value async for value in art.map(f.identity, range(100), in_flight=8)]
    assert sorted(values) == list(range(100))
    values = [value async for value in art.map(f.identity, range(100), in_flight=8, order="input")]
    assert values == list(range(100))


async def test_map_raises_the_first_failure_and_withdraws_the_rest(runtime: art.Runtime) -> None:
    with pytest.raises(ValueError, match="one"):
        async for _ in art.map(f.fail, ["one"] * 10):
            pass


async def test_as_completed_and_wait_take_refs_of_tasks(runtime: art.Runtime) -> None:
    refs = [f.add.submit(number, 0) for number in range(50)]
    assert {await ref async for ref in art.as_completed(refs)} == set(range(50))
    done, pending = await art.wait([*refs, f.add_slowly.submit(1, 1, 5)], count=50)
    assert (len(done), len(pending)) == (50, 1)
    await pending[0].cancel()


async def test_arguments_that_do_not_fit_and_what_cannot_be_sent_are_refused_where_they_are_written(
    runtime: art.Runtime,
) -> None:
    with pytest.raises(TypeError, match="add"):
        f.add.submit(1)
    with pytest.raises(art.SerializationError, match=r"args\[1\]"):
        f.add.submit(1, threading.Lock())
    with pytest.raises(TypeError, match=r"retrys.*did you mean 'retries'"):
        f.add.options(retrys=3)
    with pytest.raises(art.PlacementError, match="gpus"):
        await f.add.options(gpus=3).submit(1, 2)


async def test_a_function_may_refer_to_an_object_that_was_put_just_before(runtime: art.Runtime) -> None:
    for number in range(3):
        stored = art.put(np.full(200_000, number))

        @art.task
        def least(stored: art.ObjectRef[np.ndarray[Any, Any]] = stored) -> int:
            return int(opened(stored).min())

        def opened(ref: art.ObjectRef[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
            return ref.get()

        assert await least.submit() == number


def test_tasks_in_plain_code(session: art.Runtime) -> None:
    refs = [f.add.submit(number, number) for number in range(100)]
    assert [ref.get() for ref in refs] == [2 * number for number in range(100)]
    assert list(art.map(f.identity, range(20), order="input")) == list(range(20))
    assert sorted(ref.get() for ref in art.as_completed(refs)) == [2 * number for number in range(100)]


def test_plain_code_of_a_task_that_awaits_on_a_loop_of_its_own_is_told_what_to_write(
    node_session: art.Runtime,
) -> None:
    with pytest.raises(art.RuntimeStateError, match="async task"):
        f.add_on_a_loop_of_its_own.submit().get()


def test_a_script_in_local_mode_that_awaits_on_a_loop_of_its_own_is_told_what_to_write() -> None:
    async def add_here() -> int:
        return int(await f.add.submit(1, 1))

    art.init(mode="local")
    try:
        with pytest.raises(art.RuntimeStateError, match=r"\.result\(\)"):
            asyncio.run(add_here())
        assert f.add.submit(1, 1).get() == 2
    finally:
        art.shutdown()


async def test_what_a_cancelled_task_has_submitted_is_cancelled_too(runtime: art.Runtime, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    parent = f.with_a_child.submit(str(noted))
    await until_noted(noted, "begun")
    await parent.cancel()
    with pytest.raises(art.CallCancelledError):
        await parent
    await until_noted(noted, "cancelled")


async def test_a_worker_is_replaced_after_as_many_tasks_as_its_function_allows(node_runtime: art.Runtime) -> None:
    pids = await art.gather(*[f.short_lived_pid.submit() for _ in range(30)])
    assert len(pids) == 30
    assert max(pids.count(pid) for pid in pids) <= 3
    pids = await art.gather(*[f.used_once_pid.submit() for _ in range(10)])
    assert len({*pids}) == 10


async def test_tasks_that_wait_for_each_other_end_with_their_runtime() -> None:
    async with art.Runtime(cpus=1):
        chain = [f.add_slowly.submit(1, 2, 60.0)]
        for _ in range(3):
            chain.append(f.add.submit(chain[-1], 1))
    for ref in chain:
        with pytest.raises(art.ActorRtError):
            await ref


async def test_a_task_that_uses_more_memory_than_it_reserves_is_ended_and_tried_within_a_budget_of_its_own(
    node_runtime: art.Runtime, tmp_path: Path
) -> None:
    assert await f.use_memory.submit(1 << 20, tmp_path / "few") == 1
    with pytest.raises(art.TaskDiedError, match="reserved memory_bytes=33554432") as raised:
        await f.use_memory.submit(128 << 20, tmp_path / "many")
    assert (tmp_path / "many").read_text() == "xxx"
    assert [attempt.reason.kind for attempt in raised.value.attempts] == [art.ExitKind.OUT_OF_MEMORY] * 3
    with pytest.raises(art.TaskDiedError):
        await f.use_memory.options(retries=0).submit(128 << 20, tmp_path / "once")
    assert (tmp_path / "once").read_text() == "x"


async def test_children_that_wait_for_an_argument_outlast_the_idle_time_of_their_parents_workers() -> None:
    async with art.Runtime(cpus=4):
        late = f.pid_after.submit(IDLE_S + 1.5)
        left = [f.leave_a_waiting_child.submit([late], 0.2) for _ in range(4)]
        followed = [f.follow_a_waiting_child.submit([late], 0.2) for _ in range(4)]
        children = [child for box in await art.gather(*left) for child in box]
        assert {await late} == {*await art.gather(*children, *followed)}
