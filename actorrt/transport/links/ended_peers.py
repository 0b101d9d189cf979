"""Pure: remembers dropped peers and given-up links, so that late messages of them are recognised.

Both memories are bounded. Forgetting is safe, since the messages of an unknown link must begin with a HELLO.
"""

from __future__ import annotations

from typing import Final

from actorrt.ids import PeerId

REMEMBERED_COUNT: Final = 10_000


class EndedPeers:
    """The dropped peers, and the given-up links of peers that may open other links."""

    def __init__(self) -> None:
        self._dropped: dict[PeerId, None] = {}  # the oldest entry is first, and is forgotten first
        self._given_up: dict[bytes, int] = {}  # the number of the first frame of the last given-up link, by lane key

    def drop(self, peer: PeerId) -> None:
        """Remember that the peer is ignored from now on."""
        self._dropped[peer] = None
        if len(self._dropped) > REMEMBERED_COUNT:
            del self._dropped[next(iter(self._dropped))]

    def is_dropped(self, peer: PeerId) -> bool:
        """Whether the peer was dropped."""
        return peer in self._dropped

    def give_up(self, key: bytes, first: int) -> bytes | None:
        """Remember a given-up link by its first frame's number; return the lane key that is forgotten, if any."""
        self._given_up[key] = first
        if len(self._given_up) <= REMEMBERED_COUNT:
            return None
        oldest = next(iter(self._given_up))
        del self._given_up[oldest]
        return oldest

    def forget_link(self, key: bytes) -> None:
        """Forget the given-up link on that lane, if any."""
        self._given_up.pop(key, None)

    def is_over(self, key: bytes, first: int) -> bool:
        """Whether a HELLO continues a given-up link. If the HELLO opens a later link, the given-up one is forgotten."""
        if first <= self._given_up.get(key, -1):
            return True
        self.forget_link(key)
        return False
