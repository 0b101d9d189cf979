"""The life of a worker's endpoint: it reports to its node, serves until the node tells it to leave, and closes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeAlias

from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.actors.refs import current
from actorrt.config import FLUSH_TIMEOUT_S
from actorrt.protocol.nodes import AttachWorker
from actorrt.protocol.processes import Leave

logger = logging.getLogger(__name__)

ServeTasks: TypeAlias = Callable[[ActorEndpoint], None]
"""Called when the endpoint of a worker for tasks has started, before the node hears that the worker is ready."""


def serve_no_tasks(_: ActorEndpoint) -> None:
    """Leave an endpoint as it is."""


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
