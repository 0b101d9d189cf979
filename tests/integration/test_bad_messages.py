"""Code in a worker that sends messages which no worker sends: they are refused and affect no other process."""

from __future__ import annotations

import os
from typing import Any

import pytest

import actorrt as art
from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.ids import JobId
from actorrt.protocol.nodes import AttachDriver, Detach, Goodbye, JobSetting
from actorrt.protocol.verb import Request
from tests.integration.cast import Gate

SETTING = JobSetting(namespace="default", sys_path=[], cwd="/", env_vars={}, log_level=30)


class Impostor(art.Actor):
    """Sends messages to its node that only drivers may send."""

    async def attach(self, address: Any) -> str:
        driver = AttachDriver(job=JobId(b"\x01" * 16), address=address, pid=1, setting=SETTING)
        return await self._ask(driver)

    async def detach(self, job: JobId) -> str:
        return await self._ask(Detach(job=job))

    async def _ask(self, request: Request[Any]) -> str:
        endpoint = current_endpoint()
        try:
            return repr(await endpoint.control.request(endpoint.node, request))
        except (art.ActorRtError, ValueError) as error:
            return str(error)

    def say_goodbye(self) -> None:
        endpoint = current_endpoint()
        endpoint.control.notify(endpoint.node, Goodbye())

    def end(self) -> None:
        os._exit(3)


async def test_worker_that_poses_as_a_driver_is_refused_and_ends_of_workers_are_still_reported(node_runtime) -> None:
    impostor = await Impostor.options(isolation="process").spawn()
    gate = await Gate.options(isolation="process").spawn()
    refused = await impostor.attach(7)
    assert "attach_driver.address is 7" in refused
    refused = await impostor.attach("unix:///tmp/x")
    assert "is a worker of this node, and no driver" in refused
    await impostor.say_goodbye()
    monitors = [art.monitor(impostor), art.monitor(gate)]
    with pytest.raises(art.ActorDiedError):
        await impostor.end()
    await gate.kill()
    downs = [await monitor for monitor in monitors]
    assert [down.reason.kind for down in downs] == [art.ExitKind.CRASHED, art.ExitKind.KILLED]
    assert len((await node_runtime.status())["jobs"]) == 1


async def test_only_the_driver_of_a_job_can_end_the_job(node_runtime) -> None:
    impostor = await Impostor.options(isolation="process").spawn()
    refused = await impostor.detach(current_endpoint().job)
    assert "another driver's" in refused
    assert await impostor.is_alive()
