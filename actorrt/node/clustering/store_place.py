"""Where the control store of a cluster lies, and this node's way to it: its own file, another node, or a database."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from actorrt.actors.wire.control import Control
from actorrt.cluster.control.postgres import PostgresControlStore
from actorrt.cluster.control.remote import RemoteControlStore, serve_store
from actorrt.cluster.control.sqlite_log import SqliteLog
from actorrt.cluster.control.store import ControlStore, LocalControlStore
from actorrt.errors import PeerUnreachableError
from actorrt.ids import NodeAddress, NodeId, PeerAddress, PeerId, short
from actorrt.machine.surroundings import Surroundings
from actorrt.node.clustering.member_directory import MemberDirectory, placed
from actorrt.protocol.cluster.members import Member, MemberStatus, ProbeNode
from actorrt.scopes import Scope

logger = logging.getLogger(__name__)


class StorePlace:
    """This node's way to the control store. One of `open_file`, `open_database` and `at_node` is called, once.

    Args:
        own: this node.
        members: the nodes, by which the one with the store is found.
        control: asks other nodes, and answers them.
        scope: owns the work.
        surroundings: of the daemon.

    Attributes:
        store: the control store, once it is open.
        node: the node that has it in a file; None if it is in a database.
        url: of the database; None if it is in a file.
    """

    def __init__(
        self, own: NodeId, members: MemberDirectory, control: Control, scope: Scope, surroundings: Surroundings
    ) -> None:
        self._own = own
        self._members = members
        self._control = control
        self._scope = scope
        self._surroundings = surroundings
        self._opened: LocalControlStore | PostgresControlStore | None = None
        self._incarnation: PeerId | None = None
        self.store: ControlStore
        self.node: NodeId | None = None
        self.url: str | None = None

    async def open_file(self, path: str) -> None:
        """Open the store in a file of this node, and serve it to the others.

        Raises:
            OSError: the file can't be used.
        """
        log = SqliteLog(path)
        store = self._opened = LocalControlStore(log, self._surroundings.threads, self._scope, time.time)
        await store.open()
        serve_store(store, self._control)
        self.store, self.node = store, self._own

    async def open_database(self, url: str, cluster: bytes | None) -> bytes | None:
        """Open the store in a database.

        Args:
            url: of the database.
            cluster: the id of the cluster that it is to belong to; None: only look to which it does.

        Returns:
            The id of the cluster that it belongs to; None if it belongs to none.

        Raises:
            RuntimeStateError: it belongs to another cluster or version, or the driver's package is missing.
            ControlUnavailableError: it can't be reached, or refuses.
        """
        if self._opened is None:
            self._opened = PostgresControlStore(url, self._scope)
            serve_store(self._opened, self._control)  # nodes of drivers have no way to the database of their own
        assert isinstance(self._opened, PostgresControlStore), "a store is opened once"
        owner = await self._opened.open(None if cluster is None else cluster.hex())
        self.store, self.url = self._opened, url
        return None if owner is None else bytes.fromhex(owner)

    def at_node(self, node: NodeId) -> None:
        """Take the store of another node."""
        self.store, self.node = RemoteControlStore(self._control, self._host), node
        serve_store(self.store, self._control)  # for nodes of drivers that have this one as their entry node

    def probed(self, probe: ProbeNode) -> None:
        """Take a probe of a member. The node with the store may have started again: no view says so yet."""
        if probe.node == self.node:
            self._incarnation = probe.incarnation

    def _host(self) -> PeerAddress:
        assert self.node is not None, "the store is at a node"
        if self._incarnation is not None:
            return PeerAddress(self._incarnation, str(NodeAddress(self.node, self._incarnation)))
        for member in self._members.members():
            if member.node == self.node:
                return placed(member).daemon
        raise PeerUnreachableError(f"node {short(self.node)}, which has the control store, is dead")

    def is_tidied_here(self, members: Sequence[Member]) -> bool:
        """Return whether this node deletes the rows that ended nodes have left.

        It is the node with the file; of nodes with a database, the one with the lowest id. Where views differ, two
        nodes or none may do it, which does no harm: rows are deleted by version, and again after the next end.
        """
        if self.node is not None:
            return self.node == self._own
        alive = [member.node for member in members if member.status is MemberStatus.ALIVE]
        return bool(alive) and min(alive) == self._own

    async def close(self) -> None:
        """Release the file or the connections. Idempotent."""
        if self._opened is not None:
            await self._opened.close()
