"""Hosting of light children: on the endpoint of the actor that spawned them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorrt.actors.control import Data, Endpoint
from actorrt.actors.record import Record
from actorrt.errors import ActorDiedError
from actorrt.ids import PeerId
from actorrt.reasons import ExitKind, ExitReason

if TYPE_CHECKING:
    from actorrt.actors.system import System


class Family:
    """Hosts the actors of an endpoint's own registry in its own cells."""

    def __init__(self, system: System) -> None:
        self._system = system
        system.control.handle("spawn", self._spawn)

    async def _spawn(self, _: PeerId, data: Data) -> Data:
        return await self._system.registry.spawn(Record.from_data(data))

    async def start(self, record: Record) -> Endpoint:
        await self._system.host.start(record.order(self._system.endpoint))
        return self._system.endpoint

    def stop(self, record: Record, reason: str) -> None:
        exit_reason = ExitReason(ExitKind.SHUTDOWN, reason)
        self._system.host.stop(record.actor_id, exit_reason, is_administrative=record.is_administrative)

    def kill(self, record: Record) -> None:
        self._system.host.kill(record.actor_id)

    def bury(self, record: Record, error: ActorDiedError) -> None:
        self._system.host.bury(record.actor_id, error)
