"""Logs peers that fall silent, and that speak again. A silent peer may be stopped, blocked or busy: nothing ends."""

from __future__ import annotations

import logging

from actorrt.ids import PeerId, short

logger = logging.getLogger(__name__)


class Silences:
    """The silent peers of one endpoint.

    Args:
        node: the node daemon. Its silence is a warning; that of workers is not, since the node watches them.
    """

    def __init__(self, node: PeerId) -> None:
        self._node = node
        self.peers: set[PeerId] = set()

    def began(self, peer: PeerId, silent_s: float) -> None:
        """Called when an acknowledgement of the peer is overdue."""
        self.peers.add(peer)
        why = "it is stopped, blocked or busy; what it was asked waits"
        self._log(peer, f"has said nothing for {silent_s:.1f} s: {why}")

    def ended(self, peer: PeerId) -> None:
        """Called when a peer that was silent is heard again."""
        self.peers.discard(peer)
        self._log(peer, "answers again")

    def _log(self, peer: PeerId, what: str) -> None:
        is_node = peer == self._node
        name = "the node" if is_node else f"peer {short(peer)}"
        logger.log(logging.WARNING if is_node else logging.INFO, "%s %s", name, what)
