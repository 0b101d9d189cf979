"""The life of a worker's endpoint: it reports to its node, serves until the node tells it to leave, and closes."""

from __future__ import annotations

import asyncio
import logging

from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.actors.refs import current
from actorrt.config import FLUSH_TIMEOUT_S
from actorrt.protocol.nodes import AttachWorker
from actorrt.protocol.processes import Leave
from actorrt.tasks.working.endpoint_tasks import tasks_of
from actorrt.tasks.working.turns import LoopTurns

logger = logging.getLogger(__name__)


def serve_tasks_on_loop(endpoint: ActorEndpoint) -> None:
    """Have an endpoint that has started run tasks as steps of the running loop, which it shares with others."""
    turns = LoopTurns(endpoint.loop)
    turns.begin(tasks_of(endpoint).serve(turns.work_came, turns.hand_over))


async def serve_until_told_to_leave(endpoint: ActorEndpoint, pid: int) -> None:
    """Serve the node of an endpoint that has started.

    Args:
        endpoint: the worker's endpoint; it is closed when this returns.
        pid: the id of the process.
    """
    current.set_process_endpoint(endpoint)
    leave = asyncio.Event()
    endpoint.control.handle(Leave.by(lambda *_: leave.set()))
    await endpoint.control.request(endpoint.node, AttachWorker(pid=pid))
    await leave.wait()
    await _send_waiting_messages(endpoint)
    await endpoint.close()


async def _send_waiting_messages(endpoint: ActorEndpoint) -> None:
    """Wait at most `FLUSH_TIMEOUT_S` until messages whose receivers had no room are sent."""
    try:
        async with asyncio.timeout(FLUSH_TIMEOUT_S):
            await endpoint.routes.drained()
    except TimeoutError:
        logger.warning("a worker ended with messages for which their receivers had no room")
