"""Puts an endpoint of the runtime together: what it hosts, what it calls, and how both reach other endpoints.

Everything runs on one loop, in the thread that called `start`. Other threads hand over through `on_loop` and `operate`
(see `loop_thread`). They may call nothing else, except for the public API.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from actorrt import config, errors, forks
from actorrt.actors.authority.authority_verbs import serve_links, serve_questions
from actorrt.actors.authority.registry import Registry
from actorrt.actors.calling.arrivals import Arrivals
from actorrt.actors.calling.call_table import CallTable
from actorrt.actors.calling.calls import Calls
from actorrt.actors.calling.captures import Captures
from actorrt.actors.calling.deadly_calls import DeathCounter
from actorrt.actors.calling.end_orders import EndOrders
from actorrt.actors.calling.losses import Losses
from actorrt.actors.calling.monitors import Monitors
from actorrt.actors.calling.routes import Routes
from actorrt.actors.calling.slow_calls import SlowCalls
from actorrt.actors.calling.streams import Streams
from actorrt.actors.cells.blueprint import SpecBinding
from actorrt.actors.cells.cell_host import CellHost
from actorrt.actors.cells.crash_notes import CrashNotes
from actorrt.actors.cells.snapshots import SnapshotKeeper
from actorrt.actors.endpoint import census, statistics
from actorrt.actors.endpoint.consistency import check_endpoint
from actorrt.actors.endpoint.lookups import Lookups
from actorrt.actors.endpoint.ref_factory import RefFactory
from actorrt.actors.endpoint.spawn_orders import JobScope, Spawning
from actorrt.actors.hosting.actor_links import ActorLinks
from actorrt.actors.hosting.batches import Batches, PlannedStarts
from actorrt.actors.hosting.callers import LocalCaller, RemoteCaller
from actorrt.actors.hosting.dead_letters import DeadLetters
from actorrt.actors.hosting.deadlock import Deadlocks, Probes
from actorrt.actors.hosting.host import Host
from actorrt.actors.hosting.host_verbs import serve_authorities, serve_callers, serve_spawns, serve_supervisors
from actorrt.actors.hosting.incoming import Incoming
from actorrt.actors.hosting.local_hosting import LocalHosting
from actorrt.actors.hosting.message_outcomes import MessageOutcomes
from actorrt.actors.hosting.population import Population
from actorrt.actors.hosting.reports import Reports
from actorrt.actors.hosting.serving import Serving
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.actors.refs.message import Caller
from actorrt.actors.refs.operation import Operation
from actorrt.actors.running.runners import Runners
from actorrt.actors.wire.control import Control
from actorrt.actors.wire.origins import Origins
from actorrt.actors.wire.payload import Payloads
from actorrt.actors.wire.peers import Peers
from actorrt.actors.wire.silences import Silences
from actorrt.actors.wire.transits import Transits
from actorrt.completion import Completion
from actorrt.defects import log_defect, report_defects
from actorrt.ids import ActorId, JobId, ObjectId, PeerAddress, PeerId, short
from actorrt.machine.surroundings import Surroundings
from actorrt.protocol.authorities import CheckInvariants
from actorrt.protocol.envelopes import (
    CANCEL,
    CREDIT,
    ERROR,
    ITEM,
    MORE,
    NOT_HERE,
    NOTICE,
    REPLY,
    REQUEST,
    SETTLE,
    TASK_KINDS,
    TELL,
)
from actorrt.protocol.leases import CancelTask
from actorrt.protocol.processes import AskStatistics, EndpointDown, Fence, TakeCensus
from actorrt.reasons import ExitReason
from actorrt.scopes import Scope
from actorrt.store.client.required import required
from actorrt.transport.interfaces import Buffer, Transport

if TYPE_CHECKING:
    from actorrt.store.client.client import StoreClient

logger = logging.getLogger(__name__)


class TaskPart(Protocol):
    """The tasks of an endpoint: those that it submits, and those that it runs."""

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        """Called when an envelope of one of the `TASK_KINDS` has arrived."""

    def endpoint_gone(self, peer: PeerId, reason: ExitReason, in_hand: Collection[int]) -> None:
        """Called when a process has ended, and its last messages have arrived; see `ActorEndpoint.endpoint_gone`."""

    def close(self, error: errors.ActorRtError) -> None:
        """End everything that waits with `error`."""

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if the tasks contradict each other."""


class ActorEndpoint:
    """An endpoint that hosts and calls actors.

    Args:
        transport: reaches other endpoints; `start` starts it.
        store: takes large values; None: everything travels in messages.
        surroundings: time, identities, chance, threads and disk.
        node: the node daemon, which is the authority of all actors but light children.
        job: the job that this endpoint works for.
        namespace: where the names live that code outside of actors gives and looks up.

    Attributes:
        is_closed: whether it refuses everything: it was shut down, has lost its node, or is a forked child's copy.
        tasks: the tasks; None until the first is submitted here, or this worker begins to run tasks.
        makers: the calls whose results stay in the store, by the objects that were promised for them.
        probes: follows waits from here to other endpoints.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        store: StoreClient | None,
        surroundings: Surroundings,
        node: PeerAddress,
        job: JobId,
        namespace: str,
    ) -> None:
        self.transport = transport
        self.store = store
        self.surroundings = surroundings
        self.clock = surroundings.clock
        self.node = node
        self.job = job
        self.namespace = namespace
        self.crash_notes: CrashNotes | None = None
        self.origins: Origins | None = None  # where methods raised their exceptions, in local mode
        self.threads = LoopThread()
        self.on_loop, self.operate = self.threads.on_loop, self.threads.operate
        self.failure: BaseException | None = None
        self.on_crash: Callable[[BaseException], None] | None = None
        self.is_closed = False
        self.tasks: TaskPart | None = None
        self.makers: dict[ObjectId, Completion[Any]] = {}
        self.peers = Peers(transport, node)
        self.silences = Silences(node.peer)
        self.peer_silent, self.peer_speaks = self.silences.began, self.silences.ended  # for the transport

    async def start(self) -> None:
        """Bind the transport and begin to serve, on the running loop."""
        self.loop = asyncio.get_running_loop()
        self.scope = Scope("actors", self._crashed)
        self.threads.begin(self.loop, self.scope)
        self._stop_reporting_defects = report_defects(self.loop, self.scope.fail)
        self.control = Control(self.transport, self.scope)
        self.payloads = Payloads(self.store, self)
        self.transits = Transits(self.store, self.peers.node_of)
        self.dead_letters = DeadLetters(self.clock, self.scope.after)
        self._begin_calling()
        self._begin_asking()
        self._begin_hosting()
        self.control.handle(AskStatistics.by(lambda *_: statistics.of_endpoint(self)))
        self.control.handle(CheckInvariants.by(lambda *_: check_endpoint(self)))
        self.control.handle(TakeCensus.by(lambda _, asked: census.of_endpoint(self, asked.siblings_count)))
        self.control.handle(Fence.by(lambda *_: None))
        self.control.handle(EndpointDown.by(self._endpoint_down))
        forks.abandon_in_children(self)
        await self.transport.start(self)
        self.peers.started()

    def _begin_calling(self) -> None:
        """Make the parts that call actors, and wait for them."""
        threads, clock, control, peers = self.threads, self.clock, self.control, self.peers
        self.routes = routes = Routes(peers, control, clock, self.payloads, self.transits)
        self.pending = pending = CallTable(threads, clock, routes, DeathCounter(), self.origins, self.dead_letters.add)
        self.arrivals = Arrivals(pending, routes, self.payloads, self.scope, self.clock)
        self.streams = Streams(pending, routes, self.payloads, threads, clock)
        captures = Captures(pending, self.payloads, clock, self.store, self.surroundings.ids, self.makers)
        self.calls = Calls(captures, pending, routes, self.streams, threads, clock)
        self.losses = Losses(pending, routes, peers, control, self.transits, self.loop)
        self.slow_calls = SlowCalls(pending, self.streams, routes, control, peers, self.scope)
        self.ends = EndOrders(threads, control, routes, peers)
        self.monitors = Monitors(threads, control, routes, peers)

    def _begin_asking(self) -> None:
        """Make the parts that start and find actors for code of this process."""
        threads, control, peers = self.threads, self.control, self.peers
        self.refs = RefFactory(self, peers, self._known)
        self.spawning = Spawning(
            threads, control, self.surroundings.ids, self.refs, self.store, peers, JobScope(self.job, self.namespace)
        )
        self.lookups = Lookups(threads, control, peers, self.refs, self.namespace)

    def _known(self, actor_id: ActorId) -> ActorId:
        record = self.registry.record(actor_id)
        return actor_id if record is None else record.actor_id

    def _begin_hosting(self) -> None:
        """Make the parts that host actors, and speak with their authorities."""
        clock, control, scope, payloads, peers = self.clock, self.control, self.scope, self.payloads, self.peers
        own_peer, routes = peers.own_peer, self.routes
        self.population = population = Population(clock)
        self.runners = Runners(scope, self.transport)
        outcomes = MessageOutcomes(self.dead_letters, payloads, self.store)
        keep_origin = None if self.origins is None else partial(self.origins.keep, own_peer)
        local_caller = LocalCaller(self.pending, self.streams, payloads, keep_origin)
        self.serving = Serving()
        self.incoming = routes.here = incoming = Incoming(
            population, outcomes, self.runners, clock, self._remote_caller, local_caller, self.serving
        )

        def caller_of(peer: PeerId) -> Caller | None:
            return local_caller if peer == own_peer else incoming.caller(peer)

        self.probes = probes = Probes(
            own_peer, self.node, population.cell, caller_of, routes.sighting, self.makers, control
        )
        cell_host = CellHost(
            endpoint=self,
            loop=self.loop,
            scope=scope,
            clock=clock,
            payloads=payloads,
            local_caller=local_caller,
            runners=self.runners,
            outcomes=outcomes,
            mailboxes=population,
            deadlocks=Deadlocks(probes, outcomes, clock, scope),
            serving=self.serving,
            snapshots=SnapshotKeeper(self.store, control, self.surroundings.threads, self.surroundings.disk),
            crash_notes=self.crash_notes,
            watches=ActorLinks(self.monitors.watch, control, self.store, self, population.cell),
            ref_to=self.refs.to_cell,
            find_sibling=self.lookups.sibling,
            send_waiting=routes.send_waiting,
        )
        binding = SpecBinding(self.store, self, own_peer)
        hosting = LocalHosting(binding, population, self.store, control, peers)
        self.registry = registry = Registry(hosting, control, clock, self.surroundings.random, scope)
        reports, planned = Reports(registry, peers, control, self.loop.call_soon), PlannedStarts()
        hosting.host = host = Host(cell_host, population, registry, reports, outcomes, planned, routes)
        Batches(host, planned, registry, reports, control, scope)
        serve_questions(registry, control)
        serve_spawns(population.cell, registry, control)
        serve_authorities(host, registry, binding, self.crash_notes, control)
        serve_supervisors(population.cell, control)
        serve_callers(population.cell, caller_of, control)
        serve_links(registry, control)

    def _remote_caller(self, peer: PeerId) -> RemoteCaller:
        return RemoteCaller(
            peer, self.peers, self.control, self.payloads, self.transits, self.surroundings.pid, self.origins
        )

    def refusal(self) -> errors.RuntimeStateError:
        """Return the error of everything that is asked after the end."""
        return self.threads.refusal()

    async def close(self, error: errors.ActorRtError | None = None, why: str | None = None) -> None:
        """End the hosted actors, fail pending calls with `error` and later ones with the text `why`. Idempotent."""
        if self.is_closed:
            return
        self.is_closed = True
        self.threads.why_closed = why or self.threads.why_closed
        self._fail_all(error or errors.ActorDiedError("the runtime was shut down"))
        self.population.close()
        await self.scope.close()
        await self.transport.close()
        self._stop_reporting_defects()
        forks.forget(self)

    def abandon_after_fork(self) -> None:
        """Called in a forked child: refuse everything, and send nothing over the sockets, which are the parent's."""
        self.threads.leave()
        self.transport.abandon()
        self.runners.abandon_after_fork()
        if self.crash_notes is not None:
            self.crash_notes.abandon()
        self.is_closed = True
        self.threads.why_closed = forks.REFUSAL

    def _crashed(self, error: BaseException) -> None:
        """Called with a defect of the runtime itself, in a task or a callback: fail everything that waits."""
        log_defect(logger, "the actor runtime of this process failed", error)
        self.failure = error
        if self.on_crash is not None:
            self.on_crash(error)
        self.threads.why_closed = f"the actor runtime of this process failed: {error!r}"
        self._fail_all(self.refusal())

    def _fail_all(self, error: errors.ActorRtError) -> None:
        """Fail everything that waits with `error`; everything that is asked later is refused."""
        self.threads.closed_by = error
        self.pending.close(error, self.refusal())
        self.arrivals.close(error)
        self.routes.close(error)
        self.control.close(error, self.refusal())
        if self.tasks is not None:
            self.tasks.close(error)

    # What arrives

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        """Called when an envelope has arrived."""
        kind = envelope[0]
        if kind <= TELL:  # the hot ones first: ASK or TELL
            self.incoming.received(peer, envelope, buffers)
        elif kind == REPLY:
            self.arrivals.succeeded(envelope[1], envelope[2], buffers)
        elif kind in TASK_KINDS and self.tasks is not None:
            self.tasks.received(peer, envelope, buffers)
        elif kind == ERROR:
            self.arrivals.failed(envelope[1], envelope[2], envelope[3])
        elif kind == NOT_HERE:
            self.arrivals.not_here(peer, envelope[1], envelope[2])
        elif REQUEST <= kind <= NOTICE:
            self.control.received(peer, envelope)
        elif kind == CANCEL:
            self.incoming.cancelled(peer, envelope[1], envelope[2], envelope[3])
        elif kind == CREDIT:
            self.routes.granted(*envelope[1:])
        elif kind == SETTLE:
            self.incoming.resettled(peer, envelope[1], envelope[2])
        elif kind == ITEM:
            self.streams.received(envelope[1], envelope[2], buffers)
        elif kind == MORE:
            self.serving.granted(self.incoming.caller(peer), envelope[1], envelope[2])
        else:
            self.dead_letters.add(f"peer {short(peer)}", "received", f"an envelope of the unknown kind {kind}")

    def drained(self) -> None:
        """Called when all envelopes that had arrived were passed to `received`."""
        self.runners.drained()

    def peer_failed(self, peer: PeerId, error: errors.ActorRtError) -> None:
        """Called when the transport can't reach the peer: an `ActorDiedError` says that it has ended for good."""
        if isinstance(error, errors.ActorDiedError) and error.reason is not None:
            self.endpoint_gone(peer, error.reason)
            return
        self.silences.peers.discard(peer)
        logger.warning("lost %s: %s", short(peer), error)
        self.control.peer_lost(peer, error)
        self.losses.cut_off(peer, error)
        self.incoming.caller_cut_off(peer)
        if self.transport.node_of(peer):  # nobody else reports its end
            self.transits.lost(peer)

    def _endpoint_down(self, _: PeerId, down: EndpointDown) -> None:
        peer, reason = down.peer, down.reason
        self.peers.lost(peer, reason)
        in_hand = {call_id for caller, call_id in down.in_hand if caller == self.peers.own_peer}
        grace_s = config.DEATH_GRACE_S + self.transport.round_trip_s(peer)
        self.scope.after(grace_s, lambda: self.endpoint_gone(peer, reason, in_hand))

    def endpoint_gone(self, peer: PeerId, reason: ExitReason, in_hand: Collection[int] = ()) -> None:
        """Called when a process has ended, and its last messages have arrived: settle everything that it was part of.

        Args:
            peer, reason: the process's endpoint, and how it ended.
            in_hand: the calls of this endpoint that it was handling, as far as that is known.
        """
        self.peers.lost(peer, reason)
        self.silences.peers.discard(peer)
        self.transport.drop(peer)
        self.control.process_ended(peer, reason)
        self.losses.process_ended(peer, reason, in_hand)
        self.incoming.caller_lost(peer)
        if self.tasks is not None:
            self.tasks.endpoint_gone(peer, reason, in_hand)

    def cancel_task(self, object_id: ObjectId, maker: PeerAddress, *, force: bool) -> Operation[bool]:
        """Have the process that has submitted a task cancel it; see `ObjectRef.cancel`."""

        async def cancel() -> bool:
            try:
                return await self.control.request(maker, CancelTask(object=object_id, force=force))
            except (errors.ActorDiedError, errors.PeerUnreachableError):
                return False  # the process has ended, and its tasks with it

        return self.operate(f"cancelling the task of object {short(object_id)}", cancel)

    def require_store(self) -> StoreClient:
        """Return the object store's client.

        Raises:
            RuntimeStateError: this process has none.
        """
        return required(self.store)
