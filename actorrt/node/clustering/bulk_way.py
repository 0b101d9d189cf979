"""Lets a node of a cluster read objects of other members in bulk over their TLS ports, and members read from it."""

from __future__ import annotations

from collections.abc import Callable

from actorrt.cluster.joining.admission import Admission
from actorrt.cluster.security.card import Card
from actorrt.cluster.security.refusals import RefusedError
from actorrt.cluster.security.tls import Credentials
from actorrt.ids import PeerId
from actorrt.machine.surroundings import Surroundings
from actorrt.node.clustering.enrolment import tls_addresses
from actorrt.node.clustering.member_directory import MemberDirectory
from actorrt.node.objects.bulk import BULK
from actorrt.node.objects.bulk_reader import BulkReader, Port
from actorrt.node.objects.bulk_source import SENDERS_COUNT, BulkSource
from actorrt.node.objects.transfers import PULLS_COUNT, Transfers
from actorrt.scopes import Scope


def open_bulk_way(
    transfers: Transfers,
    admission: Admission | None,
    members: MemberDirectory,
    own: PeerId,
    *,
    credentials: Callable[[], Credentials],
    refusal: Callable[[Card], RefusedError | None],
    wall: Callable[[], float],
    scope: Scope,
    surroundings: Surroundings,
) -> Callable[[], None]:
    """Open the way in both directions.

    Args:
        transfers: the transfers of the node.
        admission: has its TLS port; None: the node has none, and others read from it in frames.
        members: know the TLS ports of the others.
        own: this incarnation of the node.
        credentials: returns what the node shows.
        refusal: returns why a node is not accepted; None if it is.
        wall: the time in seconds since 1970.
        scope: owns the connections.
        surroundings: of the daemon.

    Returns:
        A function that closes the way, to be called after the scope and the port are closed.
    """

    def port_of(peer: PeerId) -> Port | None:
        member = members.incarnation(peer)
        addresses = [] if member is None else tls_addresses([member])
        return None if member is None or not addresses else Port(member.node, addresses[0])

    receivers = surroundings.threads.pool("actorrt-receive", PULLS_COUNT)
    reader = BulkReader(port_of, credentials, receivers, scope, surroundings.clock, wall)
    transfers.bulk = reader
    senders = None
    if admission is not None:
        senders = surroundings.threads.pool("actorrt-send", SENDERS_COUNT)
        source = BulkSource(own, transfers, senders, refusal, transfers.sent_in_bulk)
        admission.port.routes[BULK] = admission.members_only(source.serve)

    def close() -> None:
        transfers.bulk = None
        reader.close()
        receivers.shutdown(cancel_futures=True)
        if senders is not None:
            senders.shutdown(cancel_futures=True)

    return close
