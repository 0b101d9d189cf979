"""A node's part in its cluster: the state directory, the way in, the control store, and the node's membership.

The order of a start: the state directory gives the node its identity, by which its processes have their addresses; then
the daemon's core starts. A first node makes the authority of a new cluster and opens the control store in its state
directory. Another node joins through the TLS port of a member, which writes its row: from then on the others accept its
connections. Then the node opens its own TLS port, writes its row with all addresses, and takes part.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgpack

from actorrt.actors.wire.control import Control
from actorrt.background import in_background
from actorrt.cluster.control.store import ControlStore
from actorrt.cluster.joining.admission import Admission, Membership
from actorrt.cluster.joining.join import join, read_token
from actorrt.cluster.membership.cluster_member import ClusterMember
from actorrt.cluster.membership.membership import Phase
from actorrt.cluster.peers.node_peers import NodePeers
from actorrt.cluster.security.card import Card
from actorrt.cluster.security.minting import mint_token
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.state_directory import StateDirectory, default_state_directory
from actorrt.cluster.security.stored_rows import REVOCATIONS, Revocations, StoredTokenRows, revoke_key
from actorrt.errors import ActorRtError, RuntimeStateError
from actorrt.ids import NodeId, PeerId, short
from actorrt.machine.surroundings import Surroundings
from actorrt.node.clustering.bulk_way import open_bulk_way
from actorrt.node.clustering.cluster_names import NAMES, ClusterNames
from actorrt.node.clustering.cluster_setting import LOOPBACK, ClusterSetting
from actorrt.node.clustering.driver_entry import DriverEntry
from actorrt.node.clustering.enrolment import Enrolment, Introduction, tls_addresses
from actorrt.node.clustering.known_nodes import KnownNodes
from actorrt.node.clustering.member_directory import MemberDirectory, accept_keys, key_of
from actorrt.node.clustering.own_host import own_host_towards
from actorrt.node.clustering.store_place import StorePlace
from actorrt.node.objects.transfers import Transfers
from actorrt.node.processes.lease_page import boot_time_s
from actorrt.protocol.cluster.control import Row
from actorrt.protocol.cluster.drivers import DRIVERS
from actorrt.protocol.cluster.members import (
    AskMembers,
    BuryNode,
    Member,
    MemberStatus,
    MintToken,
    RevokeNode,
)
from actorrt.reasons import ExitKind, ExitReason
from actorrt.scopes import Scope
from actorrt.transport.composite.sockets import NodeSockets
from actorrt.transport.composite.transport import CompositeTransport
from actorrt.transport.zeromq.security import save_keys

logger = logging.getLogger(__name__)

RENEW_EVERY_S: Final = 3600.0
LEAVE_TIMEOUT_S: Final = 2.0
STORE_FILE: Final = "control.sqlite"
KNOWN_FILE: Final = "nodes"


class BootClock:
    """The clock of leases, which goes on while the machine sleeps."""

    def now(self) -> float:
        return boot_time_s()


class ClusterNode:
    """The part of one daemon in its cluster.

    Args:
        setting: the options.
        directory: the runtime directory of the node, with the sockets of its processes.
        surroundings: of the daemon.

    Attributes:
        sockets: where the processes of the node listen.
        members: the members of the cluster, as far as they are known.
        names: the names that the nodes share, once the node has joined.
        on_given_up: called with the reason when the node has to end what runs on it.
        on_frozen: called when the node's lease is over, and when it is back.
        on_lease: called with the end of the lease, by the clock of leases, when that has changed.
        entry: None: a member needs no entry node.
        closing: what `close` undoes, the newest first.
        on_viewed: called when the members have changed.

    Raises:
        RuntimeStateError, AuthenticationError, OSError: the state directory can't be used; the text says why.
    """

    def __init__(self, setting: ClusterSetting, directory: str, surroundings: Surroundings) -> None:
        self._setting = setting
        self._surroundings = surroundings
        self._state = StateDirectory(
            setting.state_directory or default_state_directory(os.environ),
            disk=surroundings.disk,
            draw=os.urandom,
            pid=surroundings.pid,
        )
        save_keys(Path(directory), self._state.identity.keys)
        self._known = KnownNodes(self._state.file(KNOWN_FILE), surroundings.disk)
        self.sockets = NodeSockets(
            node=self._state.identity.node,
            directory=directory,
            keys=directory,
            host=setting.host or self._host(),
            advertised=setting.advertised_host,
            ports=setting.ports,
        )
        self.members = MemberDirectory()
        self._revocations = Revocations(self._revoked)
        self.names: ClusterNames
        self._admission: Admission | None = None
        self._member: ClusterMember | None = None
        self._place: StorePlace
        self._drivers: DriverEntry
        self.entry: NodeId | None = None
        self.closing = AsyncExitStack()
        self.closing.callback(self._state.close)
        self.on_given_up: Callable[[str], None] = lambda why: None
        self.on_frozen: Callable[[bool], None] = lambda is_frozen: None
        self.on_lease: Callable[[float], None] = lambda until_s: None
        self.on_viewed: Callable[[], None] = lambda: None

    def _host(self) -> str:
        """Return the address of this machine that reaches the cluster; the loopback one if there is no cluster yet."""
        return own_host_towards(self._entry_addresses()) or LOOPBACK

    def _entry_addresses(self) -> list[str]:
        """Return where the node can join, those of its token first."""
        token = self._setting.token
        return [*(read_token(token).addresses if token else ()), *self._known.addresses()]

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
        """Begin or join the cluster, and take part in it.

        Args:
            control, scope, transport, peers: of the daemon, which has started.
            resources: what can be reserved on the node.

        Raises:
            AuthenticationError, WireVersionError: the cluster refuses this node.
            PeerUnreachableError, ControlUnavailableError: it can't be reached.
            OSError: an address can't be bound, or a file can't be used.
        """
        self._control, self._scope, self._transport, self._peers = control, scope, transport, peers
        own = self._own_row(transport, resources)
        self._place = StorePlace(own.node, self.members, control, scope, self._surroundings)
        self.closing.push_async_callback(self._place.close)
        await self._open_store(own)
        store = self._place.store
        await self._refuse_if_revoked(store)
        drivers = self._drivers = self._driver_entry(store)
        tls = await self._admit(store)
        self._state.keep_ports({"tls": tls})
        own = own.replaced(addresses=[*own.addresses, f"tls://{self._announced(tls)}"])
        ids = self._surroundings.ids
        member = self._member = ClusterMember(own, control, store, scope, BootClock(), ids, [REVOCATIONS, DRIVERS])
        member.on_ended, member.on_phase = self._ended, self._turned
        member.on_viewed, member.on_probed = self._viewed, self._place.probed
        member.on_rows, member.on_lease = self._read, self.on_lease
        self.members.drivers = lambda: [row.member for row in drivers.watch.rows()]
        member.on_undecided = peers.undecided
        self.closing.push_async_callback(self._leave, member)
        await member.join()
        self.members.follow(lambda: member.members, member.read, scope)
        self._viewed()
        self._renew()
        self.names = ClusterNames(store, self.members, own.node, own.incarnation, control, scope, ids)
        self._tidy()
        self._tokens = StoredTokenRows(store, os.urandom)
        control.handle(MintToken.by(lambda _, asked: self._mint(asked)))
        control.handle(AskMembers.by(lambda *_: member.members))
        control.handle(BuryNode.by(lambda _, asked: member.bury(asked.node)))
        control.handle(RevokeNode.by(lambda _, asked: self._revoke(store, member, asked.node)))

    def _driver_entry(self, store: ControlStore) -> DriverEntry:
        around = self._surroundings
        return DriverEntry(
            self.sockets.node,
            store,
            self._control,
            self._scope,
            around.clock,
            around.ids,
            self.members.members,
            self._ended,
            self._drivers_changed,
        )

    def _drivers_changed(self) -> None:
        self.on_viewed()

    def _read(self, rows: Sequence[Row]) -> None:
        """Called with rows of the control store as they arrive."""
        self._revocations.read(rows)
        self._drivers.read(rows)

    def _own_row(self, transport: CompositeTransport, resources: dict[str, float]) -> Member:
        return Member(
            node=self._state.identity.node,
            incarnation=transport.peer,
            addresses=[transport.listen()],
            resources={**resources, **self._setting.resources},
            labels=dict(self._setting.labels),
            status=MemberStatus.JOINING,
            suspicions=[],
            ended_s=None,
        )

    # The control store

    async def _open_store(self, own: Member) -> None:
        """Find the control store: in the state directory, in a database, or at a node of the cluster to join."""
        state, place = self._state, self._place
        url, path = self._setting.control or state.control, state.file(STORE_FILE)
        is_first = self._setting.token is None and state.cluster is None
        if url is not None and is_first and await place.open_database(url, None) is not None:
            raise RuntimeStateError("the database has the control store of a cluster: join that one with --join TOKEN")
        if is_first:
            state.begin_cluster(time.time())
        elif state.cluster is None or (url is None and not os.path.exists(path)):
            url = await self._join(own) or url
        elif self._setting.token is not None:
            self._refuse_another_cluster()
        if url is not None:
            await place.open_database(url, state.cluster)
            state.keep_control(url)
        elif place.node is None:
            await place.open_file(path)

    def _refuse_another_cluster(self) -> None:
        token = read_token(self._setting.token or "")
        if token.fingerprint != self._state.cluster:
            raise RuntimeStateError(
                f"the node of {self._state.path} belongs to a cluster: to join another one, give another directory "
                "with --state-dir"
            )

    async def _join(self, own: Member) -> str | None:
        """Join by the token, or by the card of an earlier join; return the database of the cluster, if it has one."""
        state, token = self._state, self._setting.token
        about: bytes = msgpack.packb(own.pack())
        if state.cluster is None:
            parsed = read_token(token or "")
            joined = await join(parsed, state.identity, wall=time.time, about=about)
        else:
            joined = await join(
                state.credentials(), state.identity, wall=time.time, addresses=self._entry_addresses(), about=about
            )
        state.keep_membership(joined.authority, joined.issuer, joined.card)
        introduction = Introduction.from_packed(joined.view)
        self.members.tell(introduction.members)
        accept_keys(self._transport, introduction.members)
        if introduction.store_node is not None:
            self._place.at_node(introduction.store_node)
        return introduction.database

    # The way in

    async def _admit(self, store: ControlStore) -> str:
        """Open the TLS port; return its address."""
        issuer = self._state.issuer
        assert issuer is not None, "a full node has the key of the authority"
        enrolment = Enrolment(
            self.sockets.node, store, self._drivers, self._place.node, self._place.url, self._surroundings.ids
        )
        admission = self._admission = Admission(
            issuer,
            self._state.credentials(),
            tokens=StoredTokenRows(store, os.urandom),
            revoked=self._revocations,
            membership=Membership(enrolment.enrol, self._refusal),
            scope=self._scope,
            clock=self._surroundings.clock,
            wall=time.time,
            draw=os.urandom,
        )
        self.closing.push_async_callback(admission.close)
        port = self._setting.port or int(self._state.ports.get("tls", ":0").rpartition(":")[2])
        return await admission.serve(self.sockets.host, port)

    def _announced(self, bound: str) -> str:
        """Return the address of the TLS port that other nodes connect to."""
        sockets = replace(self.sockets, advertised=self._setting.advertised)
        return sockets.announced(f"tcp://{bound}").removeprefix("tcp://")

    def _refusal(self, card: Card) -> RefusedError | None:
        """Return why a node that asks is not accepted; None if it is."""
        if card.key in self._revocations:
            return RefusedError(Reason.CARD_REVOKED, "the key of this node has been revoked")
        if self._drivers.watch.row(card.node) is not None:
            return None
        if self._member is None or self._member.member(card.node) is None:
            return RefusedError(Reason.NO_MEMBER, "this node is no member now: it was written dead, or has left")
        return None

    async def _revoke(self, store: ControlStore, member: ClusterMember, node: NodeId) -> None:
        """Revoke the key of a member; see `RevokeNode`."""
        other = member.member(node)
        key = None if other is None else key_of(other)
        if key is None or node == self.sockets.node:
            raise ValueError(f"{short(node)} is no other member of the cluster that has not ended")
        await revoke_key(store, key, time.time(), os.urandom)
        await member.read()

    async def _refuse_if_revoked(self, store: ControlStore) -> None:
        """Refuse to go on without having joined, if the others have revoked this node meanwhile.

        Raises:
            AuthenticationError: they have.
        """
        self._revocations.read((await store.since(0, [REVOCATIONS])).rows)
        if self._state.identity.keys.public in self._revocations:
            raise RefusedError(Reason.CARD_REVOKED, "the key of this node has been revoked").public("the control store")

    def _revoked(self, key: bytes) -> None:
        """Called once with each key that has been revoked."""
        self._peers.key_revoked(key)

    def _renew(self) -> None:
        """Show a new card when half of the time of the old one is over; look again later."""
        if self._admission is not None and self._state.renew_card(time.time()):
            self._admission.renew(self._state.credentials())
            logger.info("the card of this node is renewed")
        in_background(self._scope.after, RENEW_EVERY_S, self._renew)

    async def _mint(self, asked: MintToken) -> str:
        assert self._state.cluster is not None, "the node belongs to a cluster since it has started"
        addresses = tls_addresses([own for own in self.members.members() if own.node == self.sockets.node])
        token = await mint_token(
            self._tokens, self._state.cluster, addresses, os.urandom, minutes=asked.minutes, uses=asked.uses
        )
        return token.text()

    # The others

    def _viewed(self) -> None:
        """Called when the members have changed."""
        members = self.members.members()
        self._known.keep(tls_addresses([member for member in members if member.node != self.sockets.node]))
        self.on_viewed()

    def _ended(self, member: Member) -> None:
        reason = ExitReason(ExitKind.NODE_LOST, f"node {short(member.node)} ended")
        self._peers.node_ended(PeerId(member.incarnation), reason)
        self._tidy()

    def _tidy(self) -> None:
        """Delete the names of actors whose nodes have ended, if that is up to this node."""
        if self._place.is_tidied_here(self.members.members()):
            self._scope.start(self._forget_names(), "forget names")

    async def _forget_names(self) -> None:
        """Delete the names of actors whose nodes have ended. What is not deleted is free all the same."""
        try:
            news = await self._place.store.since(0, [NAMES])
            await self.names.forget_ended([row for row in news.rows if row.value is not None])
        except ActorRtError as error:
            logger.warning("names of ended nodes stay in the control store for now: %s", error)

    def _turned(self, phase: Phase, why: str) -> None:
        self.on_frozen(phase is not Phase.RUNNING)
        if phase is Phase.GIVEN_UP:
            self.on_given_up(why)

    def exchange_in_bulk(self, transfers: Transfers) -> Callable[[], None]:
        """Exchange large objects with other members over the TLS ports, from now on.

        Returns:
            A function that ends the threads of that, to be called when the daemon's scope and this are closed.
        """
        assert self._admission is not None, "the node has started"
        return open_bulk_way(
            transfers,
            self._admission,
            self.members,
            self._transport.peer,
            credentials=self._state.credentials,
            refusal=self._refusal,
            wall=time.time,
            scope=self._scope,
            surroundings=self._surroundings,
        )

    async def close(self) -> None:
        """Leave the cluster, and release the state directory. Idempotent."""
        await self.closing.aclose()

    async def _leave(self, member: ClusterMember) -> None:
        with suppress(TimeoutError):  # the others learn of this node's end by its silence
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await member.leave()
