"""What `actorrt ps` and `actorrt tree` say of tasks: how many there are in each state, and what each waits for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import actorrt as art
from actorrt.node.inspect.ps import render_tasks
from actorrt.node.listing.asking import NodeAnswer
from actorrt.protocol.nodes import AskTasks, AskTree, NodeTasks
from tests.integration.tasks import functions as f
from tests.running import wait_for_answer


async def listed(runtime: art.Runtime, count: int = 100) -> NodeTasks:
    endpoint = runtime.endpoint
    return await endpoint.control.request(endpoint.node, AskTasks(count=count))


async def until_begun(path: Path) -> None:
    async def begun() -> bool:
        return path.exists()

    await wait_for_answer(begun, bool, f"{path.name} is there")


def rendered(tasks: NodeTasks) -> list[str]:
    return list(render_tasks([NodeAnswer(None, tasks)], [], is_cluster=False))


async def test_each_pending_task_says_what_it_waits_for(tmp_path: Path) -> None:
    async with art.Runtime(cpus=1) as runtime:
        assert (await listed(runtime)).submitters == []
        running = f.note_when_begun.options(retries=0).submit(str(tmp_path / "begun"), 600.0)
        await until_begun(tmp_path / "begun")
        queued = [f.add.submit(1, number) for number in range(2)]
        waiting = f.add.submit(queued[1], f.identity.submit(running))
        (driver,) = (await listed(runtime)).submitters
        assert (driver.process, driver.has_answered) == ("driver", True)
        (row,) = driver.classes
        assert (row.needs, row.waiting, row.queued, row.sent, row.leases) == ("1 cpus", 2, 2, 1, 1)
        waits = {task.name + str(task.number): (task.state, task.waits_for) for task in driver.tasks}
        assert waits == {
            "note_when_begun1": ("sent", "its own end"),
            "add2": ("queued", "a worker with 1 cpus, behind 0 tasks"),
            "add3": ("queued", "a worker with 1 cpus, behind 1 tasks"),
            "identity4": ("waiting", "the result of note_when_begun()"),
            "add5": ("waiting", "the result of add(), identity()"),
        }
        assert driver.tasks[0].worker is not None
        assert [task.name for task in (await listed(runtime, 1)).submitters[0].tasks] == ["note_when_begun"]
        tree = await runtime.endpoint.control.request(runtime.endpoint.node, AskTree(siblings_count=10))
        assert tree.jobs[0].tasks == {"sent": 1, "queued": 2, "waiting": 2}
        await running.cancel(force=True)
        del waiting


async def test_tasks_that_find_no_resources_say_which(tmp_path: Path) -> None:
    async with art.Runtime(cpus=2) as runtime:
        running = [f.note_when_begun.submit(str(tmp_path / f"begun-{number}"), 600.0) for number in range(2)]
        for number in range(2):
            await until_begun(tmp_path / f"begun-{number}")
        both = f.add.options(cpus=2).submit(1, 1)

        async def reason() -> str:
            (driver,) = (await listed(runtime)).submitters
            return driver.classes[1].waits_for

        await wait_for_answer(
            reason, lambda text: "0 of 2 cpus reserved by actors, and the rest by other tasks" in text, "the reason"
        )
        for ref in running:
            await ref.cancel(force=True)
        assert await both == 2


async def test_tasks_of_tasks_are_listed_below_the_workers_that_submitted_them(tmp_path: Path) -> None:
    async with art.Runtime(cpus=2) as runtime:
        parent = f.with_a_child.submit(str(tmp_path / "child"))
        await until_begun(tmp_path / "child")
        driver, worker = (await listed(runtime)).submitters
        assert (driver.process, [task.name for task in driver.tasks]) == ("driver", ["with_a_child"])
        assert worker.process.startswith("tasks-")
        assert [task.name for task in worker.tasks] == ["note_when_cancelled"]
        lines = rendered(await listed(runtime))
        assert any("driver" in line and "1 cpus" in line for line in lines)
        assert any("note_when_cancelled-1" in line and worker.process in line for line in lines)
        await parent.cancel()


async def test_a_worker_that_computes_and_so_does_not_answer_is_named(tmp_path: Path) -> None:
    async with art.Runtime(cpus=2) as runtime:
        computing = f.compute_beside_a_child.submit(str(tmp_path / "pid"), str(tmp_path / "child"))
        await until_begun(tmp_path / "pid")
        submitters = (await listed(runtime)).submitters
        (silent,) = [one for one in submitters if not one.has_answered]
        assert silent.pid == int((tmp_path / "pid").read_text())
        assert any("it does not answer" in line for line in rendered(await listed(runtime)))
        await computing.cancel(force=True)


async def test_the_tasks_of_a_node_in_local_mode_are_listed_too() -> None:
    async with art.Runtime(mode="local", cpus=1) as runtime:
        slow = f.add_slowly.submit(1, 2, 600.0)
        needing = f.add.submit(slow, 1)
        await asyncio.sleep(0.01)
        (driver,) = (await listed(runtime)).submitters
        assert [(task.state, task.waits_for) for task in driver.tasks] == [
            ("sent", "its own end"),
            ("waiting", "the result of add_slowly()"),
        ]
        await needing.cancel()
        await slow.cancel()
