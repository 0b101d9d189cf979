"""Tasks that are cancelled by other processes than those that submitted them, and tasks that nobody waits for any more
because the attempt that submitted them was given up."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actorrt as art
from tests.integration.tasks import functions as f
from tests.running import state_of, wait_for_answer


class Canceller(art.Actor):
    """Cancels what it is given, and gives away what it has submitted."""

    def pid(self) -> int:
        return os.getpid()

    async def cancel(self, box: list[art.ObjectRef[Any]]) -> list[bool]:
        return [await ref.cancel() for ref in box]

    def running(self, path: str) -> list[art.ObjectRef[None]]:
        return [f.note_when_cancelled.submit(path)]


async def until_noted(path: Path, text: str) -> None:
    async def noted() -> str:
        return path.read_text() if path.exists() else ""

    await wait_for_answer(noted, lambda found: found == text, f"{path.name} has {text!r}")


async def assert_cancelled(ref: Any) -> None:
    with pytest.raises(art.CallCancelledError):
        await ref


async def test_an_actor_cancels_a_task_of_the_script(runtime: art.Runtime, tmp_path: Path) -> None:
    canceller = await Canceller.spawn()
    noted = tmp_path / "noted"
    running = f.note_when_cancelled.submit(str(noted))
    await until_noted(noted, "begun")
    assert await canceller.cancel([running]) == [True]
    await assert_cancelled(running)
    await until_noted(noted, "cancelled")
    assert await canceller.cancel([running]) == [False]
    done = f.add.submit(1, 1)
    assert await done == 2
    assert await canceller.cancel([done]) == [False]


async def test_the_script_cancels_a_task_that_an_actor_submitted(runtime: art.Runtime, tmp_path: Path) -> None:
    canceller = await Canceller.spawn()
    [running] = await canceller.running(str(tmp_path / "noted"))
    await until_noted(tmp_path / "noted", "begun")
    assert await running.cancel() is True
    await assert_cancelled(running)
    await until_noted(tmp_path / "noted", "cancelled")


async def test_a_holder_of_the_second_hand_cancels_a_task_in_plain_code(
    node_runtime: art.Runtime, tmp_path: Path
) -> None:
    noted = tmp_path / "noted"
    running = f.note_when_cancelled.submit(str(noted))
    await until_noted(noted, "begun")
    assert await f.pass_on.submit([running]) == [True]
    await assert_cancelled(running)


async def test_refs_inside_objects_of_the_store_cancel_too(runtime: art.Runtime, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    running = f.note_when_cancelled.submit(str(noted))
    await until_noted(noted, "begun")
    [held] = art.put([running]).get()
    assert held is not running
    assert await held.cancel() is True
    await assert_cancelled(running)
    await assert_cancelled(held)


async def test_another_holder_cancels_by_force(node_runtime: art.Runtime, tmp_path: Path) -> None:
    running = f.compute_for_ever.submit(str(tmp_path / "pid"))

    async def has_begun() -> bool:
        return (tmp_path / "pid").exists()

    await wait_for_answer(has_begun, bool, "it has begun")
    assert await f.cancel_in_a_box.submit([running], force=True) == [True]
    await assert_cancelled(running)
    pid = int((tmp_path / "pid").read_text())

    async def state() -> str:
        return state_of(pid)

    await wait_for_answer(state, lambda found: found in "XZ", f"process {pid} has ended")


async def test_objects_that_no_task_makes_can_not_be_cancelled(runtime: art.Runtime) -> None:
    with pytest.raises(TypeError, match="no task makes it"):
        art.put(np.ones(3)).cancel()


async def test_the_owner_of_a_task_that_has_ended_has_nothing_to_cancel(
    node_runtime: art.Runtime, tmp_path: Path
) -> None:
    canceller = await Canceller.spawn()
    [running] = await canceller.running(str(tmp_path / "noted"))
    await until_noted(tmp_path / "noted", "begun")
    os.kill(await canceller.pid(), signal.SIGKILL)
    with pytest.raises(art.ObjectLostError):
        await running
    assert await running.cancel() is False


async def test_the_task_that_is_followed_is_cancelled(runtime: art.Runtime, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    following = f.follow_a_child.submit(str(noted))
    await until_noted(noted, "begun")
    assert await following.cancel() is True
    await assert_cancelled(following)
    await until_noted(noted, "cancelled")


async def test_children_of_an_attempt_that_is_retried_are_cancelled(node_runtime: art.Runtime, tmp_path: Path) -> None:
    assert await f.leave_a_child.submit(str(tmp_path / "raised")) == 2
    assert await f.die_beside_a_child.submit(str(tmp_path / "died")) == 2


async def test_children_of_a_task_that_was_cancelled_while_it_computed_are_cancelled_when_it_has_ended(
    node_runtime: art.Runtime, tmp_path: Path
) -> None:
    child, goes_on = tmp_path / "child", tmp_path / "goes on"
    computing = f.return_beside_a_child.submit(str(child), str(goes_on))
    await until_noted(child, "begun")
    assert await computing.cancel() is True
    goes_on.write_text("")
    await until_noted(child, "cancelled")
