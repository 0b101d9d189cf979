"""The node daemon: one process, one loop, no user code ever.

The daemon consists of the node's core, the factory of workers that the zygote forks, and the object store. An embedded
node belongs to the driver that started it, and ends when the channel between them is closed; a standalone node ends by
a signal. `boot` starts the process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import signal as signals
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actorrt import config, errors
from actorrt.cluster.peers.members import Members
from actorrt.cluster.peers.process_transport import write_sockets
from actorrt.cluster.peers.single_node import SingleNode
from actorrt.ids import JobId, NodeAddress, PeerAddress, PeerId, short
from actorrt.machine.surroundings import Surroundings
from actorrt.node.code.serving import CodeServer
from actorrt.node.daemon.core import NodeCore
from actorrt.node.daemon.gpus import gpu_ids
from actorrt.node.daemon.node_directory import NodeDescriptor, NodeDirectory
from actorrt.node.daemon.node_setting import NodeSetting
from actorrt.node.daemon.process_workers import ProcessWorkers
from actorrt.node.listing.node_rows import NodeRows
from actorrt.node.placement.jobs import Job, Worker
from actorrt.node.placement.resources import Resources
from actorrt.node.processes.forker import Forker
from actorrt.node.processes.limits import cpu_count, memory_bytes, store_capacity_bytes
from actorrt.protocol.cluster.questions import AskObjects, ObjectListing, ObjectRow
from actorrt.protocol.processes import CodeSource, Output, OutputLine
from actorrt.reasons import ExitReason
from actorrt.store.memory.disk import SpillDisk, spill_directory
from actorrt.store.server.server import StoreServer
from actorrt.transport.composite.sockets import NodeSockets
from actorrt.transport.composite.transport import CompositeTransport
from actorrt.transport.interfaces import Transport
from actorrt.transport.unix.transport import UnixTransport

if TYPE_CHECKING:
    from actorrt.node.clustering.cluster_node import ClusterNode
    from actorrt.node.clustering.driver_node import DriverNode

logger = logging.getLogger(__name__)

LINES_AT_ONCE_COUNT: Final = 1_000
"""The number of lines of output in one envelope, at most."""


class Daemon:
    """One node's process.

    Args:
        setting: the options of the node.
        forker: makes its workers. `run` closes it.
    """

    def __init__(self, setting: NodeSetting, forker: Forker) -> None:
        self._setting = setting
        self._forker = forker
        self._surroundings = Surroundings.of_process()
        self._stop = asyncio.Event()
        self._why_given_up = ""
        self._end_bulk: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Serve until a signal or the driver's end stops the node; leave nothing behind."""
        peer = self._surroundings.ids.peer()
        directory = NodeDirectory(short(peer))
        try:
            await self._serve(asyncio.get_running_loop(), peer, directory)
        finally:
            await self._forker.close()  # before the directory that workers use is removed
            directory.remove()

    async def _serve(self, loop: asyncio.AbstractEventLoop, peer: PeerId, directory: NodeDirectory) -> None:
        setting = self._setting
        capacity = store_capacity_bytes(setting.store_bytes)
        store = StoreServer(
            f"{directory.path}/store",
            capacity,
            self._surroundings.clock,
            disk=SpillDisk(spill_directory()),
            on_close=lambda gone, _: self._core.peer_gone(gone),
        )
        await store.start()
        cluster = self._own_cluster(directory)
        sockets = self._own_sockets(directory) if cluster is None else cluster.sockets
        if sockets is not None:
            write_sockets(sockets)
        factory = ProcessWorkers(
            self._forker,
            directory.path,
            f"{directory.path}/store",
            self._worker_ended,
            self._pass_on_output,
            sockets=sockets,
            may_preload=setting.embedded_fd is not None,
        )
        resources = _resources(setting)
        transport, address = self._own_transport(peer, directory, sockets)
        members: Members = SingleNode() if cluster is None else cluster.members
        self._core = NodeCore(
            transport,
            factory,
            resources,
            self._surroundings,
            store.retention,
            store.exchange,
            None if sockets is None else members,
        )
        self._core.on_crash, self._core.on_driver_gone = _leave, partial(_remove_socket, sockets)
        await self._core.start()
        self._core.control.handle(AskObjects.by(lambda _, asked: _objects(store, asked.count)))
        factory.node = self._core.peer_address
        core = self._core
        NodeRows(core.nodes, resources, core.control, core.peer_address, store.stats)
        try:
            if cluster is not None:
                await self._enter(cluster, transport, resources, factory)
            descriptor = self._descriptor(peer, address, directory, b"" if cluster is None else cluster.id)
            self._begin(loop, directory, descriptor, resources, capacity)
            await self._stop.wait()
            if self._why_given_up:
                raise errors.RuntimeStateError(f"it has to end what runs on it: {self._why_given_up}")
            logger.info("stopping")
        finally:
            if cluster is not None:
                await cluster.close()
            await self._core.close()
            self._end_bulk()
            await store.close()

    def _descriptor(self, peer: PeerId, address: str, directory: NodeDirectory, cluster_id: bytes) -> NodeDescriptor:
        is_embedded = self._setting.embedded_fd is not None
        return NodeDescriptor(
            peer=peer.hex(),
            address=address,
            store=f"{directory.path}/store",
            url=f"unix://{directory.path}",
            pid=self._surroundings.pid,
            is_embedded=is_embedded,
            owner_pid=os.getppid() if is_embedded else 0,
            cluster=cluster_id.hex(),
        )

    def _own_cluster(self, directory: NodeDirectory) -> ClusterNode | DriverNode | None:
        """Return the node's part in its cluster; None if it is to be part of none."""
        setting = self._setting.cluster
        if setting is None:
            return None
        from actorrt.node.clustering.cluster_node import ClusterNode  # other nodes do without keys and ZeroMQ
        from actorrt.node.clustering.driver_node import DriverNode

        kind = DriverNode if setting.is_driver else ClusterNode
        return kind(setting, str(directory.path), self._surroundings)

    async def _enter(
        self, cluster: ClusterNode | DriverNode, transport: Transport, resources: Resources, factory: ProcessWorkers
    ) -> None:
        """Take part in the cluster from now on."""
        core = self._core
        assert core.peers is not None
        assert isinstance(transport, CompositeTransport)
        amounts = {"cpus": float(resources.cpu_count), "gpus": float(resources.gpu_count)}
        cluster.on_given_up = self._forker.on_unguarded = self._given_up
        cluster.on_frozen = core.hang_detector.set_paused
        if self._forker.lease is not None:
            cluster.on_lease = self._forker.lease.set_until
        await cluster.start(core.control, core.scope, transport, core.peers, amounts)
        core.registry.share_names(cluster.names)
        core.nodes.drivers = cluster.members.drivers

        def viewed() -> None:
            core.nodes.entry = cluster.entry
            core.room_news.members_changed()

        core.nodes.entry, cluster.on_viewed = cluster.entry, viewed
        core.enter_cluster(cluster.sockets.node, cluster.members.members)
        assert core.transfers is not None, "a daemon has an object store"
        self._end_bulk = cluster.exchange_in_bulk(core.transfers)
        await self._serve_code(cluster, factory)

    async def _serve_code(self, cluster: ClusterNode | DriverNode, factory: ProcessWorkers) -> None:
        """Have workers for drivers of other nodes import what these drivers can."""
        jobs, sockets = self._core.jobs, cluster.sockets
        path = f"{sockets.directory}/code"

        def home_of(job_id: JobId) -> PeerAddress | None:
            job = jobs.find(job_id)
            return None if job is None else job.home

        code = CodeServer(
            self._core.control, self._surroundings, home_of, lambda job_id: jobs.job(job_id).setting.sys_path
        )
        await code.serve(path)
        cluster.closing.push_async_callback(code.close)
        here = f"node {short(sockets.node)} ({platform.node()})"

        def code_for(job: Job) -> CodeSource | None:
            if job.home is None:
                return None
            there = f"node {short(NodeAddress.parse(job.home.address).node)}"
            return CodeSource(socket=path, job=job.job_id, here=here, there=there)

        factory.code_for = code_for

    def _given_up(self, why: str) -> None:
        self._why_given_up = why
        for worker in self._core.workers.here():  # they may be stopped, and would answer nothing
            self._core.workers.kill(worker)
        self._stop.set()

    def _own_sockets(self, directory: NodeDirectory) -> NodeSockets | None:
        """Return how the node's processes are reached, which they read in a file; None if Unix sockets are enough."""
        if not self._setting.uses_tcp_inside:
            return None
        path = str(directory.path)
        sockets = NodeSockets(node=self._surroundings.ids.node(), directory=path, keys=path, uses_tcp_inside=True)
        from actorrt.transport.zeromq.security import load_keys  # other nodes do without ZeroMQ

        load_keys(directory.path)  # made now, before processes of the node need them
        return sockets

    def _own_transport(
        self, peer: PeerId, directory: NodeDirectory, sockets: NodeSockets | None
    ) -> tuple[Transport, str]:
        """Return the daemon's transport, and the address of its Unix socket."""
        clock = self._surroundings.clock
        if sockets is None:
            address = f"unix://{directory.path}/node"
            return UnixTransport(peer, address, clock=clock, node=PeerAddress(peer, address).packed()), address
        daemon = PeerAddress(peer, sockets.address_of(peer))
        return CompositeTransport(peer, sockets, daemon, clock=clock), sockets.unix_address_of(peer)

    def _begin(
        self,
        loop: asyncio.AbstractEventLoop,
        directory: NodeDirectory,
        descriptor: NodeDescriptor,
        resources: Resources,
        capacity: int,
    ) -> None:
        for number in (signals.SIGTERM, signals.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        directory.publish(descriptor)
        logger.info(
            "node %s is up: process %d, %d cpus, %d gpus, object store of %d MiB",
            descriptor.url,
            descriptor.pid,
            resources.cpu_count,
            resources.gpu_count,
            capacity // config.MIB,
        )
        if self._setting.embedded_fd is not None:
            self._serve_owner(loop, socket.socket(fileno=self._setting.embedded_fd), descriptor)

    def _serve_owner(self, loop: asyncio.AbstractEventLoop, owner: socket.socket, descriptor: NodeDescriptor) -> None:
        """Tell the driver that the node is up; stop when the driver closes the channel, or ends."""
        owner.setblocking(False)

        def readable() -> None:
            loop.remove_reader(owner.fileno())
            owner.close()
            self._stop.set()

        loop.add_reader(owner.fileno(), readable)
        with suppress(BrokenPipeError):  # the driver is gone already, so `readable` is called
            owner.send(json.dumps(asdict(descriptor)).encode())

    def _worker_ended(self, worker: Worker, reason: ExitReason) -> None:
        self._core.worker_ended(worker, reason)

    def _pass_on_output(self, job_id: JobId, pid: int, lines: Sequence[OutputLine]) -> None:
        driver: PeerAddress | None = None
        try:
            driver = self._core.jobs.job(job_id).driver
        except errors.ActorRtError as error:
            logger.debug("output of a job that has ended: %s", error)
        for first in range(0, len(lines), LINES_AT_ONCE_COUNT):
            part = lines[first : first + LINES_AT_ONCE_COUNT]
            output = Output(pid=pid, lines=part)
            if driver is not None and self._core.control.notify(driver, output, may_wait=False):
                continue
            for line in part:  # the driver is gone, or does not read: the output goes to the log
                logger.info("(%s pid=%d) %s", line.label, pid, line.text)


def _resources(setting: NodeSetting) -> Resources:
    gpus = gpu_ids(setting.gpus)
    return Resources(
        cpu_count() if setting.cpus is None else setting.cpus,
        len(gpus),
        memory_bytes()[0],
        {} if setting.cluster is None else setting.cluster.resources,
        gpus,
        may_exceed=setting.embedded_fd is not None,
    )


def _objects(store: StoreServer, count: int) -> ObjectListing:
    rows = [
        ObjectRow(object=object_id, length_bytes=length_bytes, state=state, holders=holders, line=line or "")
        for object_id, length_bytes, state, holders, line in store.largest(count)
    ]
    return ObjectListing(counts=store.stats(), objects=rows)


def _remove_socket(sockets: NodeSockets | None, driver: PeerAddress) -> None:
    """Remove what a killed driver leaves."""
    path = driver.address.removeprefix("unix://") if sockets is None else sockets.path_of(driver.peer)
    Path(path).unlink(missing_ok=True)


def _leave(error: BaseException) -> None:
    """Called when the node has failed. Its workers die with this process, and drivers notice its end."""
    raise SystemExit(1) from error
