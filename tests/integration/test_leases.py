"""Leases of real workers, granted to a driver that submits no tasks."""

from __future__ import annotations

import os
import signal

import actorrt as art
from actorrt.errors import PlacementError
from actorrt.protocol.nodes import AskTree
from actorrt.protocol.processes import Fence
from tests.integration.submitters import Submitter


async def test_leases_are_granted_for_workers_that_are_ready_up_to_the_cpus_of_the_node() -> None:
    async with art.Runtime(cpus=2) as runtime:
        submitter = Submitter(runtime.endpoint)
        submitter.want(3)
        await submitter.until(lambda told: len(told.granted) == 2)
        addresses = [granted.worker for granted in submitter.granted.values()]
        for address in addresses:
            await runtime.endpoint.control.request(address, Fence())
        first, _ = submitter.granted
        submitter.give_back(first)
        await submitter.until(lambda told: len(told.granted) == 2)
        assert {granted.worker for granted in submitter.granted.values()} == {*addresses}
        assert first not in submitter.granted
        status = await runtime.status()
        assert {worker["kind"] for worker in status["workers"]} == {"tasks"}
        assert [worker["lent"] for worker in status["workers"]].count("leased") == 2
        assert status["leased_cpus"] == 2
        tree = await runtime.endpoint.control.request(runtime.endpoint.node, AskTree(siblings_count=1))
        assert tree.jobs[0].task_workers["leased"] == 2


async def test_class_that_the_node_can_never_serve_is_refused_by_name() -> None:
    async with art.Runtime(cpus=2) as runtime:
        submitter = Submitter(runtime.endpoint)
        submitter.want(1, gpus=0, resources={"license": 1})
        await submitter.until(lambda told: told.refused)
        assert isinstance(submitter.refused[1], PlacementError)
        assert "need 1 license, and the node has none" in str(submitter.refused[1])


async def test_worker_that_dies_is_replaced_by_another_lease() -> None:
    async with art.Runtime(cpus=1) as runtime:
        submitter = Submitter(runtime.endpoint)
        submitter.want(1)
        await submitter.until(lambda told: told.granted)
        (granted,) = submitter.granted.values()
        pid = next(
            worker["pid"] for worker in (await runtime.status())["workers"] if worker["peer"] == granted.worker.peer
        )
        os.kill(pid, signal.SIGKILL)
        await submitter.until(lambda told: len(told.granted) == 2)
        assert submitter.granted[max(submitter.granted)].worker != granted.worker
