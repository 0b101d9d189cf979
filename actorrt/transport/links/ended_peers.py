"""Pure: remembers the peers that were dropped and the links that were given up, so that late messages are recognised.

Both memories are bounded. Forgetting is safe: a link that is not known must begin with a HELLO.
"""

from __future__ import annotations

from typing import Final

from actorrt.ids import PeerId

REMEMBERED_COUNT: Final = 10_000


class EndedPeers:
    """What is over: whole peers, and single links of peers that may open others."""

    def __init__(self) -> None:
        self._dropped: dict[PeerId, None] = {}  # in the order of insertion: the oldest is forgotten first
        self._given_up: dict[bytes, int] = {}  # the first frame of the last link that is over, by lane key

    def drop(self, peer: PeerId) -> None:
        """Remember that the peer is ignored from now on."""
        self._dropped[peer] = None
        if len(self._dropped) > REMEMBERED_COUNT:
            del self._dropped[next(iter(self._dropped))]

    def is_dropped(self, peer: PeerId) -> bool:
        """Whether the peer was dropped."""
        return peer in self._dropped

    def give_up(self, key: bytes, first: int) -> bytes | None:
        """Remember that the link whose first frame has that number is over; return the key that is forgotten for it."""
        self._given_up[key] = first
        if len(self._given_up) <= REMEMBERED_COUNT:
            return None
        oldest = next(iter(self._given_up))
        del self._given_up[oldest]
        return oldest

    def forget_link(self, key: bytes) -> None:
        """Forget the link on that lane that was given up, if there was one."""
        self._given_up.pop(key, None)

    def is_over(self, key: bytes, first: int) -> bool:
        """Whether a HELLO continues a link that was given up. A later link makes the earlier one forgotten."""
        if first <= self._given_up.get(key, -1):
            return True
        self.forget_link(key)
        return False
