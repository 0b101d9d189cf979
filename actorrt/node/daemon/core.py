"""A node without its processes: it connects jobs, workers and the registry of actors, and answers their requests.

The daemon gives it workers that are processes; local mode gives it workers on its own loop. The core never imports user
code and never unpickles: it passes pickled data on unread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

from actorrt import errors
from actorrt.actors.authority.authority_verbs import serve_links, serve_questions
from actorrt.actors.authority.order import Order
from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.authority.registry import Registry
from actorrt.actors.wire.control import Control
from actorrt.cluster.peers.members import Members
from actorrt.cluster.peers.node_peers import NodePeers
from actorrt.config import DEATH_GRACE_S, VERSION
from actorrt.defects import log_defect, report_defects
from actorrt.ids import NodeId, PeerAddress, PeerId, short
from actorrt.machine.surroundings import Surroundings
from actorrt.node.daemon.hang_detector import HangDetector
from actorrt.node.daemon.job_ends import JobEnds
from actorrt.node.guests.sharing import Sharing
from actorrt.node.leases.leases import Leases
from actorrt.node.listing.answers import Answers
from actorrt.node.listing.census import ask_each
from actorrt.node.listing.node_status import NodeStatus
from actorrt.node.objects.promises import serve_promises
from actorrt.node.objects.transfers import Transfers
from actorrt.node.placement.group_restarts import GroupRestarts
from actorrt.node.placement.job_table import JobTable
from actorrt.node.placement.jobs import Worker
from actorrt.node.placement.nodes import Nodes
from actorrt.node.placement.placement import Placement
from actorrt.node.placement.resources import Resources
from actorrt.node.placement.room_news import RoomNews
from actorrt.node.placement.worker_choice import WorkerChoice
from actorrt.node.placement.workers import WorkerFactory, Workers
from actorrt.protocol.authorities import ActorCard, CheckInvariants, GroupPlaces, Spawn, SpawnMany
from actorrt.protocol.cluster.members import Member
from actorrt.protocol.envelopes import CHUNK_KINDS, NOTICE, REQUEST
from actorrt.protocol.nodes import (
    AttachDriver,
    Attached,
    AttachWorker,
    Detach,
    ExplainSilence,
    Goodbye,
    LookUp,
    Orphaned,
    Preload,
)
from actorrt.protocol.processes import ALL_BEGUN, CallInHand, EndpointDown, JobEnded
from actorrt.reasons import ExitKind, ExitReason
from actorrt.scopes import Scope
from actorrt.store.server.exchange import Exchange
from actorrt.store.server.retention import Retention
from actorrt.transport.composite.transport import CompositeTransport
from actorrt.transport.interfaces import Buffer, Landing, Transport

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S: Final = 30.0
LAST_NOTICE_S: Final = 0.2
"""How long the node keeps its link to a driver whose job it has ended, so that the driver can receive the reason."""


class NodeCore:
    """The core of one node.

    Args:
        transport: the node's endpoint; `start` starts it.
        factory: makes and ends workers.
        resources: what can be reserved.
        surroundings: time, identities, chance and threads.
        retention: keeps the objects that the specs of actors refer to.
        exchange: the object store's interface to other nodes; None: the node exchanges no objects.
        members: the nodes of the cluster; None: this node belongs to none. With them, the transport is a composite one.

    Attributes:
        on_crash: called with a defect of the node itself.
        on_driver_gone: called with the endpoint of a driver whose connection to the store has ended.
        peers: finds processes of other nodes, and passes ends on; None if the node belongs to no cluster.
        transfers: exchange objects with other nodes; None if the node exchanges none.
    """

    def __init__(
        self,
        transport: Transport,
        factory: WorkerFactory,
        resources: Resources,
        surroundings: Surroundings,
        retention: Retention,
        exchange: Exchange | None = None,
        members: Members | None = None,
    ) -> None:
        self.transport = transport
        self.resources = resources
        self._factory = factory
        self._surroundings = surroundings
        self._retention = retention
        self._exchange = exchange
        self._members = members
        self.transfers: Transfers | None = None
        self._is_closing = False
        self.jobs = JobTable()
        self.on_crash: Callable[[BaseException], None] | None = None
        self.on_driver_gone: Callable[[PeerAddress], None] | None = None
        self.peers: NodePeers | None = None
        self._sharing: Sharing | None = None

    async def start(self) -> None:
        """Bind the transport and begin to serve."""
        self.scope, clock = Scope("node", self._crashed), self._surroundings.clock
        self._stop_reporting_defects = report_defects(self.scope.loop, self.scope.fail)
        self.control = Control(self.transport, self.scope)
        await self.transport.start(self)
        self.peer_address = PeerAddress(self.transport.peer, self.transport.address)
        self.workers = Workers(self._factory, self.control, self.scope, self._surroundings.ids)
        self.nodes = Nodes(self.resources, self.workers.all)
        self.placement = Placement(
            WorkerChoice(self.workers, self.resources, self.jobs.job, self.nodes),
            self.workers,
            self.control,
            self.scope,
            self.peer_address,
            self._retention,
            self.transport.silent_s,
            self.transport.node_of,
        )
        self.room_news = RoomNews(self.resources, self.nodes, self.placement.waiting, self.control, self.scope)
        self.registry = Registry(self.placement, self.control, clock, self._surroundings.random, self.scope)
        self.leases = Leases(self.jobs, self.workers, self.resources, self.control, self.scope, clock)
        self._job_ends = JobEnds(self.jobs, self.workers, self.registry, self.scope, self.leases.job_ended)
        self.end_job = self._job_ends.end
        self.status = NodeStatus(
            self.peer_address.address,
            self.jobs,
            self.workers,
            self.registry,
            self.resources,
            self.leases,
            self.placement.waiting.lacks,
        )
        self.hang_detector = HangDetector(self.transport, clock, self.scope, self.workers.here, self._factory.kill)
        self.hang_detector.start()
        self._serve()
        if self._members is not None:
            assert isinstance(self.transport, CompositeTransport)
            self.peers = NodePeers(
                self.transport, self.control, self.scope, self._members, self._processes, self._far_process_ended
            )
            self._share(self.peers)
        if self._exchange is not None:
            threads = self._surroundings.threads
            self.transfers = Transfers(self.transport, self.control, self._exchange, self.scope, clock, threads)
            if self.peers is not None:
                self.transfers.become_lasting(self.peers.on_node_ended)

    def _share(self, peers: NodePeers) -> None:
        """Make the part that shares processes with other nodes."""
        self._sharing = Sharing(
            self.jobs,
            self.workers,
            self.resources,
            self.registry,
            self.room_news,
            self.control,
            self.scope,
            self.transport,
            self._exchange,
            self.end_job,
            self.worker_ended,
        )
        self._job_ends.end_guests = self._sharing.end_guests
        peers.on_node_ended.append(self._sharing.node_ended)

    def enter_cluster(self, node: NodeId, members: Callable[[], Sequence[Member]]) -> None:
        """Run actors on other nodes too from now on.

        Args:
            node: this node.
            members: returns the members of the cluster that have not ended.
        """
        self.nodes.own, self.nodes.members = node, members
        self.room_news.members_changed()

    def _serve(self) -> None:
        """Register the handlers of requests."""
        GroupRestarts(self.registry, self.placement, self.control, self.peer_address, self.transport.address_of)
        serve_questions(self.registry, self.control)
        serve_links(self.registry, self.control)
        self.leases.serve()
        serve_promises(self._retention, self.transport.address_of, self.control)
        self.control.handle(ExplainSilence.by(lambda _, asked: self.hang_detector.explain(asked.peer)))
        self.control.handle(AttachDriver.by(self.attach_driver))
        self.control.handle(AttachWorker.by(self._attach_worker))
        self.control.handle(Detach.by(self._detach))
        self.control.handle(Preload.by(self._preload))
        self.control.handle(Goodbye.by(self._goodbye))
        self.control.handle(Spawn.by(self._spawn))
        self.control.handle(SpawnMany.by(self._spawn_many))
        self.control.handle(LookUp.by(self._look_up))
        self.control.handle(Orphaned.by(self._orphaned))
        control, jobs, leases = self.control, self.jobs, self.leases
        Answers(control, self.status, self.registry, self.workers, jobs, leases, self.nodes).serve()
        self.control.handle(CheckInvariants.by(self._check_invariants))

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if the actors, the leases or the object store contradict themselves; for tests."""
        self.registry.check_invariants()
        self.leases.check_invariants()
        self._retention.check_invariants()

    async def _check_invariants(self, _: PeerId, __: CheckInvariants) -> None:
        """Check the node, then its workers that answer soon. A worker that has ended is not a contradiction."""
        self.check_invariants()
        ready = [worker.peer_address for worker in self.workers.all() if worker.ready.done() and worker.is_usable]
        for answer in (await ask_each(self.control, ready, CheckInvariants())).values():
            if answer.done() and isinstance(answer.error(), errors.RemoteActorError):
                answer.value()

    async def close(self) -> None:
        """Stop every job, then the transport. Idempotent."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._sharing is not None:
            self._sharing.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for job in [] if self.scope.is_closed else self.jobs.all():  # a node that has failed sends nothing
                    await self.end_job(job.job_id, with_detached=True)
        except TimeoutError:
            logger.error("actors did not stop within %g s; their processes are ended", CLOSE_TIMEOUT_S)
        await self.scope.close()
        if self.transfers is not None:
            self.transfers.close()
        self.control.close(errors.ActorDiedError("the node was shut down"))
        await self.transport.close()
        self._stop_reporting_defects()

    def _crashed(self, error: BaseException) -> None:
        """Called with a defect of the runtime itself, in a task or a callback."""
        log_defect(logger, "the node failed and ends its work", error)
        if self.on_crash is not None:
            self.on_crash(error)

    # What arrives

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        """Handle control envelopes and chunks of objects; the node hosts no actors itself."""
        if REQUEST <= envelope[0] <= NOTICE:
            self.control.received(peer, envelope)
        elif envelope[0] in CHUNK_KINDS and self.transfers is not None:
            self.transfers.received(peer, envelope, buffers)
        else:
            logger.warning("an envelope of kind %r from %s is not for a node", envelope[0], short(peer))

    def landing(self, peer: PeerId, envelope: list[Any], size_bytes: int) -> Landing | None:
        """Return where a large buffer is to arrive; see `Receiver`."""
        return None if self.transfers is None else self.transfers.landing(peer, envelope, size_bytes)

    def peer_failed(self, peer: PeerId, error: errors.ActorRtError) -> None:
        """Called when the transport can't reach the peer. A worker that can't be reached is ended.

        The end of a process is reported elsewhere: by `worker_ended` and `peer_gone`.
        """
        logger.warning("lost %s: %s", short(peer), error)
        self.control.peer_lost(peer, error)
        worker = self.workers.find(peer)
        if worker is not None and (worker.host is None or not isinstance(error, errors.ActorDiedError)):
            logger.error("the worker %s (pid %s) can't be reached any more; it is ended", worker.label, worker.pid)
            self.workers.kill(worker)
        if self.transfers is not None:
            self.transfers.peer_failed(peer, error)

    # Jobs

    def attach_driver(self, peer: PeerId, driver: AttachDriver) -> Attached:
        """Begin the job of a driver.

        Raises:
            RuntimeStateError: the node is being stopped, the process is no driver, or it has a job already.
            ValueError: the driver is reached at another address.
        """
        if self._is_closing:
            raise errors.RuntimeStateError("the node is being stopped: it takes no drivers any more")
        worker = self.workers.find(peer)
        if worker is not None:
            raise errors.RuntimeStateError(f"{worker.label} is a worker of this node, and no driver")
        self.jobs.check_is_new(driver.job, peer)
        known = self.transport.address_of(peer)
        if known is not None and known != driver.address:
            raise ValueError(f"attach_driver.address is {driver.address!r}: this process is reached at {known!r}")
        job = self.jobs.begin(driver.job, PeerAddress(peer, driver.address), driver.setting)
        if self.peers is not None:
            self.peers.attached(job.driver)
        logger.info("job %s began: driver in process %d", short(job.job_id), driver.pid)
        return Attached(version=VERSION, cpus=self.resources.cpu_count, gpus=self.resources.gpu_count)

    def peer_gone(self, peer: PeerId) -> None:
        """Called when a process's connection to the store ended. If the process was a driver, its job ends.

        Nearly always, the process has ended. A process that lives gets a notice, and `LAST_NOTICE_S` to receive it.
        """
        if self._is_closing:  # `close` ends every job, and then the store
            return
        for job in self.jobs.of_driver(peer):
            logger.info("the driver of job %s is gone", short(job.job_id))
            self.control.notify(job.driver, JobEnded(why="its connection to the object store broke"))
            self.control.peer_lost(peer, errors.ActorDiedError("the driver is gone"))
            self._announce_end(peer, ExitReason(ExitKind.SHUTDOWN, "the driver is gone"))
            self.leases.process_ended(peer, "the driver is gone")
            self.scope.after(LAST_NOTICE_S, partial(self._forget_driver, job.driver))
            self.scope.start(self._job_ends.end_orphaned(job), f"end job {short(job.job_id)}")

    def _forget_driver(self, driver: PeerAddress) -> None:
        self._lose(driver.peer)
        if self.on_driver_gone is not None:
            self.on_driver_gone(driver)

    def _goodbye(self, peer: PeerId, _: Goodbye) -> None:
        worker = self.workers.find(peer)
        if worker is not None:
            raise errors.RuntimeStateError(f"{worker.label} is a worker: it ends when the node tells it to leave")
        self._lose(peer)

    def _detach(self, peer: PeerId, asked: Detach) -> Coroutine[Any, Any, None]:
        job = self.jobs.find(asked.job)
        if job is not None and job.driver.peer != peer:
            raise errors.RuntimeStateError(f"job {short(job.job_id)} is another driver's: only that driver can end it")
        return self.end_job(asked.job)

    def _lose(self, peer: PeerId, reason: ExitReason | None = None) -> None:
        self.transport.drop(peer)
        self.control.peer_lost(peer, errors.ActorDiedError(f"its process ended: {reason}", reason=reason))

    # Workers

    def _attach_worker(self, peer: PeerId, _: AttachWorker) -> None:
        worker = self.workers.find(peer)
        if worker is None:
            raise errors.RuntimeStateError(f"{short(peer)} is no worker of this node")
        if self.peers is not None:
            self.peers.attached(worker.peer_address)
        worker.ready.set_value(None)

    def worker_ended(self, worker: Worker, reason: ExitReason) -> None:
        """Called when a worker's process is gone. Tell all processes, and decide what follows for its actors."""
        if not self.workers.remove(worker):
            return
        worker.ended(reason)
        if not worker.is_leaving and reason.kind is not ExitKind.KILLED:
            logger.warning("the process of %s (pid %s) ended: %s", worker.label, worker.pid, reason)
        self._lose(worker.peer, reason)
        if worker.host is None:
            self._tell_end(worker, reason)
        for actor_id in (*worker.actors, *worker.parents):
            self.registry.stops.stop_children(actor_id)
        self.registry.endpoint_lost(worker.peer, reason, list(worker.actors))

    def _tell_end(self, worker: Worker, reason: ExitReason) -> None:
        """Tell everybody of the end of a worker of this node, its home first."""
        if self._sharing is not None:
            self._sharing.worker_ended(worker, reason)
        in_hand = worker.in_hand
        if worker.begun_count is None:  # its notes can't be read, so all that its submitters sent counts as begun
            in_hand = [*in_hand, *(CallInHand(peer, ALL_BEGUN) for peer in self.leases.submitters_of(worker.peer))]
        self._announce_end(worker.peer, reason, in_hand)
        self.leases.process_ended(worker.peer, str(reason))

    def _announce_end(self, lost: PeerId, reason: ExitReason, in_hand: Sequence[CallInHand] = ()) -> None:
        """Tell every other process of this node, and the nodes that watch it, that a process is gone."""
        workers = [w.peer_address for w in self.workers.here() if w.ready.done() and w.is_usable]
        others = [there for there in (*workers, *self.jobs.drivers()) if there.peer != lost]
        self.control.notify_all(others, EndpointDown(peer=lost, reason=reason, in_hand=in_hand))
        if self.peers is not None:
            self.peers.process_ended(lost, reason, in_hand)

    def _processes(self) -> dict[PeerId, PeerAddress]:
        """Return the workers and drivers of this node."""
        workers = {worker.peer: worker.peer_address for worker in self.workers.here()}
        return workers | {driver.peer: driver for driver in self.jobs.drivers()}

    def _far_process_ended(self, peer: PeerId, reason: ExitReason) -> None:
        """Called when a process of another node has ended that this daemon has links with."""
        grace_s = DEATH_GRACE_S + self.transport.round_trip_s(peer)
        self.scope.after(grace_s, lambda: self._lose(peer, reason))

    # Actors

    def _spawn(self, peer: PeerId, asked: Spawn) -> Coroutine[Any, Any, ActorCard]:
        order = Order(asked.order)
        self._take_order(peer, order)
        return self.registry.spawn(ActorRecord(asked.actor, order, asked.order.supervisor))

    def _spawn_many(self, peer: PeerId, asked: SpawnMany) -> Coroutine[Any, Any, GroupPlaces]:
        order = Order(asked.order)
        self._take_order(peer, order)
        return self.registry.spawn_many(order, asked.actors)

    def _take_order(self, peer: PeerId, order: Order) -> None:
        if self._is_closing:
            raise errors.ActorStartError("the node is being stopped: nothing can be started on it any more")
        self.jobs.job(order.job)
        address = self.transport.address_of(peer)
        order.beside_peer_address = None if address is None else PeerAddress(peer, address)
        worker = self.workers.find(peer)
        if worker is not None and order.parent is not None:
            worker.parents[order.parent] = None

    def _look_up(self, _: PeerId, asked: LookUp) -> Coroutine[Any, Any, ActorCard]:
        return self.registry.questions.look_up(asked.namespace, asked.name, asked.timeout_s)

    async def _orphaned(self, _: PeerId, orphaned: Orphaned) -> None:
        """End the children of an actor that has ended and that the node did not know; return when they are gone."""
        for worker in self.workers.here():
            worker.parents.pop(orphaned.actor, None)
        self.registry.stops.stop_children(orphaned.actor)
        await self.registry.children_gone(orphaned.actor)

    def _preload(self, _: PeerId, asked: Preload) -> None:
        self._factory.preload(asked.modules, self.jobs.job(asked.job), apart=asked.apart)
