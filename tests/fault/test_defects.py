"""Defects of the runtime itself: in every kind of process, callers that wait get an error and nothing hangs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest

import actorrt as art
from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.protocol.envelopes import REQUEST
from actorrt.transport.interfaces import Lane
from tests.running import Node

FAILED = "the actor runtime of this process failed"


def _defect() -> Callable[[], None]:
    """Return a callback of the runtime that raises; no message of a peer could cause the same."""
    endpoint = current_endpoint()
    return lambda: endpoint.control.received(endpoint.node.peer, [REQUEST])


class Breaker(art.Actor):
    """Causes defects in its own process."""

    async def pid(self) -> int:
        return os.getpid()

    async def wait(self) -> None:
        await asyncio.Event().wait()

    async def defect_in_a_callback(self) -> None:
        endpoint = current_endpoint()
        asyncio.get_running_loop().call_soon(endpoint.threads._take_over)
        endpoint.threads._handed_over.append(_defect())

    async def defect_in_a_timer(self) -> None:
        current_endpoint().scope.after(0, _defect())

    async def send_nonsense_to_the_node(self) -> None:
        endpoint = current_endpoint()
        endpoint.transport.link(*endpoint.node, Lane.CONTROL).send([REQUEST])

    async def defect_in_a_callback_of_its_own(self) -> str:
        asyncio.get_running_loop().call_soon(lambda: {}["of the user"])
        return "goes on"


@pytest.mark.parametrize("defect", ["defect_in_a_callback", "defect_in_a_timer"])
async def test_defect_in_a_worker_ends_it_and_fails_the_calls_to_it(node_runtime: art.Runtime, defect: str) -> None:
    breaker = await Breaker.options(cpus=1, restart="permanent", max_concurrency=2).spawn()
    pid = await breaker.pid()
    waiting = breaker.wait()
    await getattr(breaker, defect).tell()
    with pytest.raises(art.ActorUnavailableError, match="exit status 70"):
        await asyncio.wait_for(waiting, 20)
    assert await asyncio.wait_for(breaker.pid(), 20) != pid


async def test_worker_whose_message_raises_a_defect_in_the_node_is_ended_and_the_calls_to_it_fail(
    node_runtime: art.Runtime,
) -> None:
    neighbour = await Breaker.options(cpus=1).spawn()
    neighbours_pid = await neighbour.pid()
    breaker = await Breaker.options(cpus=1, restart="permanent", max_concurrency=2).spawn()
    pid = await breaker.pid()
    waiting = breaker.wait()
    await breaker.send_nonsense_to_the_node.tell()
    with pytest.raises(art.ActorUnavailableError, match="SIGKILL"):
        await asyncio.wait_for(waiting, 20)
    assert await asyncio.wait_for(breaker.pid(), 20) != pid
    assert await neighbour.pid() == neighbours_pid


async def test_exception_of_a_user_callback_ends_no_process(node_runtime: art.Runtime) -> None:
    breaker = await Breaker.options(cpus=1).spawn()
    pid = await breaker.pid()
    assert await breaker.defect_in_a_callback_of_its_own() == "goes on"
    assert await breaker.pid() == pid


def test_defect_of_a_worker_in_local_mode_ends_that_worker_as_in_a_process() -> None:
    async def main() -> None:
        breaker = await Breaker.options(restart="permanent", max_concurrency=2).spawn()
        waiting = breaker.wait()
        await breaker.defect_in_a_timer.tell()
        with pytest.raises(art.ActorUnavailableError, match="crashed"):
            await asyncio.wait_for(waiting, 20)
        assert await asyncio.wait_for(breaker.pid(), 20) == os.getpid()

    art.run(main, mode="local")


def test_defect_in_a_callback_in_local_mode_fails_pending_and_later_calls() -> None:
    async def main() -> list[str]:
        breaker = await Breaker.options(max_concurrency=2).spawn()
        waiting, operation = breaker.wait(), art.lookup("nobody", timeout_s=60)
        await breaker.defect_in_a_callback.tell()
        errors = []
        for pending in (waiting, operation, breaker.pid(), Breaker.spawn()):
            with pytest.raises(art.RuntimeStateError) as raised:
                await asyncio.wait_for(pending, 20)
            errors.append(str(raised.value))
        return errors

    errors = art.run(main, mode="local")
    assert len(errors) == 4
    assert [text for text in errors if not text.startswith(FAILED)] == []


def test_defect_in_a_driver_fails_the_calls_of_its_plain_threads_and_shutdown_returns(node: Node) -> None:
    runtime = art.init(address=node.url)
    try:
        breaker = Breaker.options(cpus=1).spawn().result(20)
        waiting = breaker.wait()
        endpoint = runtime.endpoint
        endpoint.on_loop(lambda: endpoint.control.received(endpoint.node.peer, [REQUEST]))
        for pending in (waiting, art.lookup("nobody", timeout_s=60)):
            with pytest.raises(art.RuntimeStateError, match=FAILED):
                pending.result(20)
        with pytest.raises(art.RuntimeStateError, match=FAILED):
            breaker.pid().result(20)
    finally:
        art.shutdown()
