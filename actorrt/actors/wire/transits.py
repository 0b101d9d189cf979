"""Releases what the store keeps for messages that are never opened.

A message carries large arguments and refs. The store keeps them for the sender, by the tokens of the message, until
the receiver opens the message and takes them over. When a call ends, they are no longer needed, opened or not. The
sender of a tell hears nothing more of it, so the tokens are remembered with the peer that it went to, and settled if
that peer dies. To settle a token that has arrived has no effect.

A message to another node is opened there before that node can say so to this one. So its tokens are not settled if the
receiver has opened it: they arrive, or end with that node, which the store is told when the message leaves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt.ids import PeerAddress, PeerId
from actorrt.store.table.ref_transits import TRANSIT_GRACE_S

if TYPE_CHECKING:
    from actorrt.store.client.client import StoreClient
    from actorrt.store.client.ref import ObjectRef

REMEMBERED_COUNT: Final = 10_000


class Transit:
    """The tokens of one message that goes to one or more receivers.

    Args:
        store: keeps the objects that the tokens name.
        tokens: those of the message and of the refs inside it.
        copies_count: how many calls carry them.
        held: refs to the large values, which a call needs if it is sent again.
        inner: refs to objects inside the values, each with its token.
    """

    __slots__ = ("_left_count", "_nodes", "_store", "_was_opened", "held", "inner", "tokens")

    def __init__(
        self,
        store: StoreClient,
        tokens: Sequence[bytes],
        copies_count: int,
        held: Sequence[ObjectRef[Any]] = (),
        inner: Sequence[tuple[ObjectRef[Any], bytes]] = (),
    ) -> None:
        self._store = store
        self.inner = inner
        self.held = held
        self._left_count = copies_count
        self._was_opened = True
        self._nodes: dict[int, PeerId] | None = None  # the other nodes that calls have left for
        self.tokens = tokens

    def left_for(self, node: PeerId | None, call_id: int = 0) -> None:
        """Called when a call has left for a process of another node, or, if `node` is None, of this one."""
        if self._nodes is None:
            if node is None:
                return
            self._nodes = {}
        before = self._nodes.pop(call_id, None)
        if before is not None and before != node:
            self._store.address(self.tokens, before, has_left=False)
        if node is not None:
            self._nodes[call_id] = node
            if before != node:
                self._store.address(self.tokens, node)

    def call_ended(self, *, was_opened: bool = False) -> None:
        """Called when one of the calls has ended; `was_opened` says whether its receiver certainly opened it."""
        self._left_count -= 1
        self._was_opened &= was_opened
        if self._left_count == 0:
            self.held = self.inner = ()
            if not self._nodes:
                self._store.settle(self.tokens)
            elif not self._was_opened:
                self._store.call_later(TRANSIT_GRACE_S, self._store.settle, self.tokens)


class Transits:
    """The tokens that were sent to each peer in messages whose arrival is not answered.

    Args:
        store: keeps the objects that the tokens name; None: there are no tokens.
        node_of: returns the node of a peer, as of `Transport`.
    """

    def __init__(self, store: StoreClient | None, node_of: Callable[[PeerId], bytes]) -> None:
        self._store = store
        self._node_of = node_of
        self._by_peer: dict[PeerId, deque[bytes]] = {}

    def __len__(self) -> int:
        """How many tokens are remembered."""
        return sum(map(len, self._by_peer.values()))

    def left(self, peer: PeerId, transit: Transit, call_id: int = 0) -> None:
        """Called when a message has left for the peer: a call with its number, or a message without an answer."""
        transit.left_for(self._node(peer), call_id)
        if not call_id:
            self._remember(peer, transit.tokens)

    def call_ended(self, peer: PeerId | None, transit: Transit, call_id: int, *, was_opened: bool) -> None:
        """Called when a call has ended, which had left for the peer unless that is None."""
        node = None if peer is None else self._node(peer)
        if peer is not None and node is not None:
            transit.left_for(node, call_id)  # when it left, the node may not have been known
            if was_opened:
                self._remember(peer, transit.tokens)
        transit.call_ended(was_opened=was_opened)

    def _node(self, peer: PeerId) -> PeerId | None:
        """Return which other node a peer is on; None for this one, and for one that does not name itself."""
        node = self._node_of(peer)
        try:
            return PeerAddress.from_packed(node).peer if node else None
        except ValueError:
            return None

    def _remember(self, peer: PeerId, tokens: Sequence[bytes]) -> None:
        remembered = self._by_peer.get(peer)
        if remembered is None:
            remembered = self._by_peer[peer] = deque(maxlen=REMEMBERED_COUNT)
        remembered.extend(tokens)

    def lost(self, peer: PeerId) -> None:
        """Called when the peer is gone: release what it had not opened. Its node may still say what it had opened."""
        tokens = self._by_peer.pop(peer, None)
        if tokens and self._store is not None:
            if self._node(peer) is None:
                self._store.settle(list(tokens))
            else:
                self._store.call_later(TRANSIT_GRACE_S, self._store.settle, list(tokens))
