"""`cancel(force=True)`: code that does not end by itself is ended with its process, and nothing else is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import actorrt as art
from tests.integration.tasks import functions as f
from tests.running import state_of, wait_for_answer


async def pid_noted(path: Path) -> int:
    """Wait until a task has noted its process, and return that."""

    async def noted() -> str:
        return path.read_text() if path.exists() else ""

    return int(await wait_for_answer(noted, bool, f"{path.name} has the number of a process"))


async def until_ended(pid: int) -> None:
    async def state() -> str:
        return state_of(pid)

    await wait_for_answer(state, lambda found: found in "XZ", f"process {pid} has ended")


async def assert_cancelled(ref: art.ObjectRef[Any]) -> None:
    with pytest.raises(art.CallCancelledError) as raised:
        await ref
    assert raised.value.executed == "maybe"


@pytest.mark.parametrize("endless", [f.compute_for_ever, f.sleep_for_ever])
async def test_plain_code_that_never_ends_is_ended_with_its_process(
    node_runtime: art.Runtime, tmp_path: Path, endless: Any
) -> None:
    running = endless.submit(str(tmp_path / "pid"))
    pid = await pid_noted(tmp_path / "pid")
    assert await running.cancel(force=True) is True
    await assert_cancelled(running)
    await until_ended(pid)
    assert await f.add.submit(1, 1) == 2
    await wait_for_answer(lambda: running.cancel(force=True), lambda made: not made, "its end is known")


async def test_force_may_follow_a_cancel_and_a_deadline_that_did_not_end_the_code(
    node_runtime: art.Runtime, tmp_path: Path
) -> None:
    running = f.compute_for_ever.submit(str(tmp_path / "cancelled"))
    pid = await pid_noted(tmp_path / "cancelled")
    assert await running.cancel() is True
    assert await running.cancel() is False
    assert await running.cancel(force=True) is True
    await until_ended(pid)
    late = f.sleep_for_ever.options(timeout_s=0.5).submit(str(tmp_path / "late"))
    pid = await pid_noted(tmp_path / "late")
    with pytest.raises(art.CallTimeoutError):
        await late
    assert await late.cancel(force=True) is True
    await until_ended(pid)


async def test_a_task_that_has_not_begun_is_cancelled_and_the_one_before_it_on_its_worker_goes_on(
    node_runtime: art.Runtime, tmp_path: Path
) -> None:
    """A light worker takes many tasks at a time: the second one waits there for the end of the first."""
    first = f.note_when_begun.options(cpus=0, retries=0).submit(str(tmp_path / "first"), 1.2)
    second = f.note_when_begun.options(cpus=0).submit(str(tmp_path / "second"), 0)
    await asyncio.sleep(0.05)  # so that the second one was sent, too
    assert await second.cancel(force=True) is True
    assert await first is None
    assert not (tmp_path / "second").exists()


async def test_tasks_beside_the_one_that_is_ended_run_again_and_lose_no_retries(
    node_runtime: art.Runtime, tmp_path: Path
) -> None:
    endless = f.refuse_to_end.submit(str(tmp_path / "pid"))
    beside = f.attempt_after.options(retries=1).submit(str(tmp_path / "beside"), 2.0)
    once = f.attempt_after.options(retries=0).submit(str(tmp_path / "once"), 2.0)
    await pid_noted(tmp_path / "pid")

    async def begun() -> bool:
        return (tmp_path / "beside").exists() and (tmp_path / "once").exists()

    await wait_for_answer(begun, bool, "all of them have begun")
    assert await endless.cancel(force=True) is True
    await assert_cancelled(endless)
    with pytest.raises(art.TaskDiedError, match="cancelled with force=True"):
        await once
    assert (tmp_path / "once").read_text() == "x"
    assert await beside == 2


async def test_a_task_that_obeys_ends_by_itself_and_its_worker_stays(runtime: art.Runtime, tmp_path: Path) -> None:
    pid = await f.own_pid.submit()
    running = f.note_when_cancelled.submit(str(tmp_path / "noted"))
    await wait_for_answer(_text(tmp_path / "noted"), lambda text: text == "begun", "it has begun")
    assert await running.cancel(force=True) is True
    await wait_for_answer(_text(tmp_path / "noted"), lambda text: text == "cancelled", "it was cancelled")
    assert await f.own_pid.submit() == pid


def _text(path: Path) -> Any:
    async def text() -> str:
        return path.read_text() if path.exists() else ""

    return text


async def test_what_the_task_has_submitted_is_cancelled(node_runtime: art.Runtime, tmp_path: Path) -> None:
    computing = f.compute_beside_a_child.submit(str(tmp_path / "pid"), str(tmp_path / "child"))
    pid = await pid_noted(tmp_path / "pid")
    assert await computing.cancel(force=True) is True
    await until_ended(pid)
    await wait_for_answer(_text(tmp_path / "child"), lambda text: text == "cancelled", "the child was cancelled")
    waiting = f.wait_for_a_child.submit(str(tmp_path / "other"))
    await wait_for_answer(_text(tmp_path / "other"), lambda text: text == "begun", "the child has begun")
    assert await waiting.cancel(force=True) is True
    await wait_for_answer(_text(tmp_path / "other"), lambda text: text == "cancelled", "the child was cancelled")


async def test_force_is_a_cancel_where_no_code_of_the_task_runs(runtime: art.Runtime, tmp_path: Path) -> None:
    slow = f.add_slowly.submit(1, 2, 600.0)
    resting = f.raise_until.options(retries=1_000).submit(str(tmp_path / "resting"), 1_000)
    await wait_for_answer(_text(tmp_path / "resting"), lambda text: len(text) >= 4, "it rests between attempts")
    for ref, executed in [(f.add.submit(slow, 1), "no"), (resting, "maybe"), (slow, "maybe")]:
        assert await ref.cancel(force=True) is True
        with pytest.raises(art.CallCancelledError) as raised:
            await ref
        assert raised.value.executed == executed
    done = f.add.submit(1, 1)
    assert await done == 2
    assert await done.cancel(force=True) is False
