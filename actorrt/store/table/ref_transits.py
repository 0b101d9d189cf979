"""Pure: the messages under way that carry refs, and whether they hold their objects.

A transit holds its object from the time when the sender announces it until all copies that were sent have arrived. The
store may hear of an arrival before the announcement, and even before it hears of the object. Then the balance of the
transit is negative, and the transit holds nothing.

Copies that have left for processes of another node end when that node can't be reached any more, as its holds do.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from actorrt.ids import ID_BYTES, ObjectId, PeerId
from actorrt.store.table.objects import Token

TRANSIT_GRACE_S: Final = 5.0
_MAX_REMOTE_SENDERS_COUNT: Final = 100_000


@dataclass(slots=True)
class RefTransit:
    """One message with one ref.

    Attributes:
        sender: the connection of its sender.
        balance_count: copies sent less copies arrived.
        ends_at: when it ends without an arrival, because its sender has ended.
    """

    object_id: ObjectId
    sender: int
    balance_count: int = 0
    ends_at: float | None = None


class RefTransits:
    """The transits of one store, and their senders."""

    def __init__(self) -> None:
        self._by_token: dict[Token, RefTransit] = {}
        self._connections: dict[PeerId, int] = {}
        self._nodes: OrderedDict[PeerId, bytes] = OrderedDict()
        self._ending: dict[Token, None] = {}
        self._peers: dict[int, PeerId] = {}
        self._far: dict[PeerId, Counter[Token]] = {}
        """For each other node the copies that left for its processes, less those that it has reported."""

    def __len__(self) -> int:
        return len(self._by_token)

    def get(self, token: Token) -> RefTransit | None:
        """Return a transit that is under way."""
        return self._by_token.get(token)

    def connect(self, peer: PeerId, connection: int) -> None:
        """Note the connection of a process of this node, which may send refs."""
        self._connections[peer], self._peers[connection] = connection, peer

    def sender_of(self, token: Token | None) -> int | None:
        """Return the connection of a transit's sender; None if it is not connected here, or there is no transit."""
        return None if token is None else self._connections.get(PeerId(token[:ID_BYTES]))

    def introduce(self, peer: PeerId, node: bytes) -> None:
        """Note a sender that is on another node."""
        self._nodes[peer] = node
        if len(self._nodes) > _MAX_REMOTE_SENDERS_COUNT:
            self._nodes.popitem(last=False)

    def node_of(self, token: Token | None) -> bytes | None:
        """Return the node of a transit's sender; None if it is this node."""
        return self._nodes.get(PeerId(token[:ID_BYTES])) if token is not None and self._nodes else None

    def change(self, token: Token, object_id: ObjectId, sender: int, count: int, receiver: int = 0) -> bool:
        """Add copies sent, or take copies arrived, at the connection `receiver` if it is not 0.

        Returns:
            Whether the transit holds its object now.
        """
        transit = self._by_token.setdefault(token, RefTransit(object_id, sender))
        transit.balance_count += count
        if transit.balance_count == 0:
            self._forget(token)
        elif receiver < 0:  # another node
            self.address(token, self._peers[receiver], count)
        return transit.balance_count > 0

    def _forget(self, token: Token) -> None:
        del self._by_token[token]
        self._ending.pop(token, None)
        for copies in self._far.values():
            copies.pop(token, None)

    def address(self, token: Token, node: PeerId, count: int) -> None:
        """Note that copies have left for processes of another node; a negative count takes such copies back."""
        if token in self._by_token:
            self._far.setdefault(node, Counter())[token] += count

    def copies_for(self, node: PeerId) -> Mapping[Token, int]:
        """Return how many copies have left for processes of another node and have not arrived, to be read only."""
        return self._far.get(node, {})

    def lose_node(self, node: PeerId) -> list[tuple[Token, int]]:
        """Called when another node can't be reached; return the transits with copies there, and how many."""
        copies = self._far.pop(node, Counter())
        return [(token, count) for token, count in copies.items() if count > 0]

    def end_sender(self, sender: int, now: float) -> list[tuple[Token, ObjectId]]:
        """Called when a sender ended: its messages may still arrive for a while.

        Returns:
            The transits that arrived, and that the sender had never announced. They are removed.
        """
        self._connections = {peer: other for peer, other in self._connections.items() if other != sender}
        self._peers.pop(sender, None)
        unannounced = []
        for token, transit in list(self._by_token.items()):
            if transit.sender != sender:
                continue
            if transit.balance_count > 0:
                transit.ends_at = now + TRANSIT_GRACE_S
                self._ending[token] = None
            else:
                self._forget(token)
                unannounced.append((token, transit.object_id))
        return unannounced

    def expired(self, now: float) -> list[Token]:
        """Return the transits whose senders ended long enough ago."""
        ends = ((token, self._by_token[token].ends_at) for token in self._ending)
        return [token for token, ends_at in ends if ends_at is not None and ends_at <= now]
