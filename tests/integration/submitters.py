"""A process that wants leases and gives no tasks: the endpoint of a driver, with a record of what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from actorrt.actors.endpoint.endpoint import ActorEndpoint
from actorrt.errors import ActorStartError
from actorrt.protocol.leases import LeaseGranted, LeasesRefused, RecallLease, ReturnLease, WantLeases


class Submitter:
    """Wants leases for an endpoint, on whose loop it is used."""

    def __init__(self, endpoint: ActorEndpoint) -> None:
        self.endpoint = endpoint
        self.granted: dict[int, LeaseGranted] = {}
        self.recalled: list[int] = []
        self.refused: dict[int, ActorStartError] = {}
        control = endpoint.control
        control.handle(LeaseGranted.by(lambda _, told: self._note(self.granted.__setitem__, told.lease, told)))
        control.handle(RecallLease.by(lambda _, told: self._note(self.recalled.append, told.lease)))
        control.handle(
            LeasesRefused.by(lambda _, told: self._note(self.refused.__setitem__, told.task_class, told.error))
        )
        self._told = asyncio.Event()

    def _note(self, note: Callable[..., Any], *what: Any) -> None:
        note(*what)
        self._told.set()

    def want(self, count: int, task_class: int = 1, depth: int = 0, **needs: Any) -> None:
        needs = {"cpus": 1, "gpus": 0, "resources": {}, "memory_bytes": None, "env_vars": {}, **needs}
        wanted = WantLeases(task_class=task_class, count=count, depth=depth, **needs)
        assert self.endpoint.control.notify(self.endpoint.node, wanted)

    def give_back(self, lease: int) -> LeaseGranted:
        self.endpoint.control.notify(self.endpoint.node, ReturnLease(lease=lease))
        return self.granted.pop(lease)

    async def until(self, condition: Callable[[Submitter], object]) -> None:
        """Wait until what was told meets a condition."""
        async with asyncio.timeout(20):
            while not condition(self):
                self._told.clear()
                await self._told.wait()
