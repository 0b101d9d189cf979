"""A process that is no daemon asks its daemon for its peers and their keys, and tells it of its links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from actorrt.actors.wire.control import Control
from actorrt.completion import Completion
from actorrt.errors import PeerUnreachableError
from actorrt.ids import NodeId, PeerAddress, PeerId
from actorrt.protocol.cluster.peers import (
    AskKeyOwner,
    KeyRevoked,
    LinkedPeers,
    Listen,
    PeerPlace,
    ResolvePeer,
)
from actorrt.transport.composite.resolver import Resolved
from actorrt.transport.composite.transport import CompositeTransport

if TYPE_CHECKING:
    from actorrt.transport.zeromq.node_keys import NodeKeys
    from actorrt.transport.zeromq.security import Verdict


class ProcessPeers:
    """Connects the transport of a worker or driver with the daemon of its node.

    Args:
        transport: the process's transport, which has no links to other nodes yet.
        control: of the process.
        node: the daemon.
    """

    def __init__(self, transport: CompositeTransport, control: Control, node: PeerAddress) -> None:
        self._transport = transport
        self._control = control
        self._node = node
        transport.resolver = self
        transport.on_unknown_key = self._ask_about_key
        transport.on_linked = self._tell_links
        control.handle(Listen.by(lambda *_: listen(transport)))
        control.handle(KeyRevoked.by(lambda _, revoked: transport.keys.revoke(revoked.key)))

    def resolve(self, to: PeerAddress) -> Completion[Resolved]:
        """Ask the daemon where a process of another node is reached; see `Resolver`."""
        resolved = Completion[Resolved]()
        answer = self._control.request(self._node, ResolvePeer(to=to))

        def answered(_: Completion[PeerPlace]) -> None:
            if answer.error() is not None:
                resolved.set_error_of(answer)
            else:
                resolved.set_value(Resolved(answer.value().address, answer.value().daemon))

        answer.add_callback(answered)
        return resolved

    def _ask_about_key(self, key: bytes, verdict: Verdict) -> None:
        judge(key, self._control.request(self._node, AskKeyOwner(key=key)), self._transport.keys, verdict)

    def _tell_links(self, daemon: PeerAddress, peers: Sequence[PeerId]) -> None:
        self._control.notify(self._node, LinkedPeers(daemon=daemon, peers=peers))


def judge(key: bytes, owner: Completion[NodeId | None], keys: NodeKeys, verdict: Verdict) -> None:
    """Give the verdict about an unknown key when its owner is known, and accept the key if it has one."""

    def found(_: object) -> None:
        if owner.error() is not None:
            verdict(None)
            return
        node = owner.value()
        if node is not None:
            keys.accept(key, node)
        verdict(node is not None)

    owner.add_callback(found)


def listen(transport: CompositeTransport) -> str:
    """Return the address at which processes of other nodes reach this one; bind it if that was not done.

    Raises:
        PeerUnreachableError: no port can be bound.
    """
    try:
        return transport.listen()
    except OSError as error:
        raise PeerUnreachableError(f"process {transport.address} can't listen for other nodes: {error}") from error
