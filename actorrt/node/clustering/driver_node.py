"""The part of a driver's node in a cluster: it joins by a token, and is no member.

The node has no CPUs: its actors run on the members, and their records are here. It hosts nobody's actors, so it needs
no lease. It reads the members from its entry node, and tells it each second that it lives. When its entry node does not
answer, it takes another one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import msgpack

from actorrt.actors.wire.control import Control
from actorrt.cluster.control.remote import RemoteControlStore
from actorrt.cluster.joining.join import join, read_token
from actorrt.cluster.membership.cluster_member import members_of
from actorrt.cluster.membership.driver_watch import SILENT_S, DriverWatch
from actorrt.cluster.membership.view import BELONGS
from actorrt.cluster.peers.node_peers import NodePeers
from actorrt.cluster.security.card import Role
from actorrt.cluster.security.state_directory import StateDirectory
from actorrt.cluster.security.stored_rows import REVOCATIONS, Revocations
from actorrt.errors import ActorRtError, PeerUnreachableError
from actorrt.ids import NodeId, PeerAddress, PeerId, short
from actorrt.machine.surroundings import Surroundings
from actorrt.node.clustering.bulk_way import open_bulk_way
from actorrt.node.clustering.cluster_names import ClusterNames
from actorrt.node.clustering.cluster_setting import LOOPBACK, ClusterSetting
from actorrt.node.clustering.enrolment import Introduction
from actorrt.node.clustering.member_directory import MemberDirectory, accept_keys, placed
from actorrt.node.clustering.own_host import own_host_towards
from actorrt.node.objects.transfers import Transfers
from actorrt.protocol.cluster.control import MEMBERS, Change, Row, Write
from actorrt.protocol.cluster.drivers import DRIVERS, DriverAlive
from actorrt.protocol.cluster.members import Member, MemberStatus
from actorrt.reasons import ExitKind, ExitReason
from actorrt.scopes import Scope
from actorrt.transport.composite.sockets import NodeSockets
from actorrt.transport.composite.transport import CompositeTransport
from actorrt.transport.zeromq.security import save_keys

logger = logging.getLogger(__name__)

ROUND_S: Final = 1.0
"""How often the node reads the members, and says that it lives."""
ANSWER_S: Final = 3.0
"""How long its entry node may take to answer; then the node asks another one."""
LEAVE_TIMEOUT_S: Final = 2.0


class DriverNode:
    """The part of a driver's node in its cluster.

    Args:
        setting: the options, of which the token, the host and the ports count.
        directory: the runtime directory of the node; keys and card are in it, and go with it.
        surroundings: of the daemon.

    Attributes:
        sockets, members, names, closing, on_given_up, on_viewed: as of `ClusterNode`.
        on_frozen, on_lease: never called: the node has no lease.
    """

    def __init__(self, setting: ClusterSetting, directory: str, surroundings: Surroundings) -> None:
        assert setting.token is not None, "a driver's node joins by a token"
        self._token = read_token(setting.token)
        self._surroundings = surroundings
        self._state = StateDirectory(
            f"{directory}/state", disk=surroundings.disk, draw=os.urandom, pid=surroundings.pid
        )
        save_keys(Path(directory), self._state.identity.keys)
        self.sockets = NodeSockets(
            node=self._state.identity.node,
            directory=directory,
            keys=directory,
            host=setting.host or own_host_towards(self._token.addresses) or LOOPBACK,
            advertised=setting.advertised_host,
            ports=setting.ports,
        )
        self.members = MemberDirectory()
        self.names: ClusterNames
        self.closing = AsyncExitStack()
        self.closing.callback(self._state.close)
        self.on_given_up: Callable[[str], None] = lambda why: None
        self.on_frozen: Callable[[bool], None] = lambda is_frozen: None
        self.on_lease: Callable[[float], None] = lambda until_s: None
        self.on_viewed: Callable[[], None] = lambda: None
        self._known: dict[NodeId, Member] = {}
        self._drivers = DriverWatch(self.sockets.node)
        self._version = 0

    @property
    def id(self) -> bytes:
        """The id of the cluster, once the node has joined; empty before."""
        return self._state.cluster or b""

    async def start(
        self,
        control: Control,
        scope: Scope,
        transport: CompositeTransport,
        peers: NodePeers,
        resources: dict[str, float],
    ) -> None:
        """Join the cluster; see `ClusterNode.start`."""
        self._control, self._scope, self._peers = control, scope, peers
        own = self._own = Member(
            node=self.sockets.node,
            incarnation=transport.peer,
            addresses=[transport.listen()],
            resources=dict.fromkeys(resources, 0.0),
            labels={},
            status=MemberStatus.ALIVE,
            suspicions=[],
            ended_s=None,
        )
        joined = await join(
            self._token, self._state.identity, wall=time.time, role=Role.DRIVER, about=msgpack.packb(own.pack())
        )
        self._state.keep_membership(joined.authority, joined.issuer, joined.card)
        introduction = Introduction.from_packed(joined.view)
        assert introduction.store_node is not None, "a driver's node is told its entry node"
        self._entry = introduction.store_node
        accept_keys(transport, introduction.members)
        self._take_members(introduction.members)
        self._store = RemoteControlStore(control, self._entry_daemon)
        self._revocations = Revocations(peers.key_revoked)
        self.members.drivers = lambda: [row.member for row in self._drivers.rows()]
        self.members.follow(lambda: list(self._known.values()), self._read, scope)
        await self._read()
        self.names = ClusterNames(
            self._store, self.members, own.node, own.incarnation, control, scope, self._surroundings.ids
        )
        self.closing.push_async_callback(self._leave)
        scope.start(self._live(), "live in the cluster")

    @property
    def entry(self) -> NodeId:
        """The node through which this one speaks with the cluster."""
        return self._entry

    def _entry_daemon(self) -> PeerAddress:
        member = self._known.get(self._entry)
        if member is None or member.status not in BELONGS:
            raise PeerUnreachableError(f"the entry node {short(self._entry)} has ended")
        return placed(member).daemon

    def exchange_in_bulk(self, transfers: Transfers) -> Callable[[], None]:
        """Read large objects of members over their TLS ports, from now on; see `ClusterNode.exchange_in_bulk`."""
        return open_bulk_way(
            transfers,
            None,
            self.members,
            self._own.incarnation,
            credentials=self._state.credentials,
            refusal=lambda card: None,
            wall=time.time,
            scope=self._scope,
            surroundings=self._surroundings,
        )

    # The life of the node

    async def _live(self) -> None:
        """Read the members, and say that this node lives, until the cluster has given it up."""
        silent_since: float | None = None
        while True:
            await asyncio.sleep(ROUND_S)
            try:
                async with asyncio.timeout(ANSWER_S):
                    is_known = await self._control.request(self._entry_daemon(), DriverAlive(member=self._own))
                    await self._read()
            except (ActorRtError, TimeoutError) as error:
                now = self._surroundings.clock.now()
                silent_since = now if silent_since is None else silent_since
                if now - silent_since > SILENT_S:
                    self.on_given_up("no node of the cluster has answered for a minute")
                    return
                self._choose_entry(error)
                continue
            silent_since = None
            if not is_known:
                self.on_given_up("the cluster has taken this driver for ended, after it was silent for a minute")
                return

    def _choose_entry(self, error: Exception) -> None:
        """Take the next node as the entry node, in the order of ids."""
        alive = sorted(node for node, member in self._known.items() if member.status is MemberStatus.ALIVE)
        later = [node for node in alive if node > self._entry] or alive
        if later and later[0] != self._entry:
            logger.warning(
                "node %s does not answer (%s): node %s is asked from now on", short(self._entry), error, short(later[0])
            )
            self._entry = later[0]
            self.on_viewed()

    async def _read(self) -> None:
        """Read what is new in the control store."""
        news = await self._store.since(self._version, [MEMBERS, REVOCATIONS, DRIVERS])
        self._version = max(self._version, news.version)
        self._revocations.read(news.rows)
        for row in self._drivers.read(news.rows, is_whole=news.is_whole):
            self._node_ended(row.member)
        if any(row.table == MEMBERS for row in news.rows):
            gone = [NodeId(row.key) for row in news.rows if row.table == MEMBERS and row.value is None]
            self._take_members(members_of([row for row in news.rows if row.table == MEMBERS]), gone)
            self.on_viewed()

    def _take_members(self, members: Sequence[Member], gone: Sequence[NodeId] = ()) -> None:
        ended = [self._known.pop(node) for node in gone if node in self._known]
        for member in members:
            before = self._known.get(member.node)
            self._known[member.node] = member
            if before is not None and before.incarnation != member.incarnation:
                ended.append(before)
            if member.status not in BELONGS and (before is None or before.status in BELONGS):
                ended.append(member)
        for member in ended:
            self._node_ended(member)

    def _node_ended(self, member: Member) -> None:
        reason = ExitReason(ExitKind.NODE_LOST, f"node {short(member.node)} ended")
        self._peers.node_ended(PeerId(member.incarnation), reason)

    async def _leave(self) -> None:
        """Delete the row of this node; if that fails, its entry node finds out."""
        with suppress(TimeoutError, ActorRtError):
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                found: Row | None = await self._store.read(DRIVERS, self._own.node)
                if found is not None:
                    change = Change(DRIVERS, self._own.node, None, found.version)
                    await self._store.write(Write([change], self._surroundings.ids.peer()))

    async def close(self) -> None:
        """Leave the cluster. Idempotent."""
        await self.closing.aclose()
