"""Shares the processes of nodes: makes the parts that run actors of this node elsewhere, and actors of others here."""

from __future__ import annotations

from collections.abc import Callable

from actorrt.actors.authority.registry import Registry
from actorrt.actors.wire.control import Control
from actorrt.ids import PeerAddress, PeerId
from actorrt.node.guests.guest_objects import GuestObjects
from actorrt.node.guests.guest_workers import EndJob, GuestWorkers
from actorrt.node.placement.far_workers import FarWorkers
from actorrt.node.placement.job_table import JobTable
from actorrt.node.placement.jobs import Worker
from actorrt.node.placement.resources import Resources
from actorrt.node.placement.room_news import RoomNews
from actorrt.node.placement.workers import Workers
from actorrt.reasons import ExitReason
from actorrt.scopes import Scope
from actorrt.store.server.exchange import Exchange
from actorrt.transport.interfaces import Transport


class Sharing:
    """The part of a node that shares processes with other nodes.

    Args:
        jobs, workers, resources, registry, room_news: the node's.
        control, scope, transport: of its daemon.
        exchange: the interface of its store to those of other nodes; None: it exchanges no objects.
        end_job: stops what a job has on this node.
        on_worker_ended: called with a worker on another node that has ended, and how it ended.
    """

    def __init__(
        self,
        jobs: JobTable,
        workers: Workers,
        resources: Resources,
        registry: Registry,
        room_news: RoomNews,
        control: Control,
        scope: Scope,
        transport: Transport,
        exchange: Exchange | None,
        end_job: EndJob,
        on_worker_ended: Callable[[Worker, ExitReason], None],
    ) -> None:
        own = PeerAddress(transport.peer, transport.address)
        address_of = transport.address_of
        self._room_news = room_news
        self._far_workers = workers.far = FarWorkers(
            workers, control, room_news.told, own, transport.round_trip_s, on_worker_ended
        )
        objects = None if exchange is None else GuestObjects(exchange, workers, control, address_of)
        self._guests = GuestWorkers(jobs, workers, resources, registry, control, scope, address_of, end_job, objects)
        self.end_guests = self._guests.end_guests
        self.worker_ended = self._guests.worker_ended
        room_news.serve()

    def close(self) -> None:
        """Make no workers for other nodes any more. Idempotent."""
        self._guests.is_closing = True

    def node_ended(self, daemon: PeerId, reason: ExitReason) -> None:
        """Called when another node has ended. What belonged to it ends first; then what ran there is started again."""
        self._guests.node_ended(daemon)
        self._far_workers.node_ended(daemon, reason)
        self._room_news.node_ended(daemon)
