"""What one endpoint sends to another and may not drop: while the link is at its bound, the envelopes wait in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt import errors
from actorrt.ids import PeerId
from actorrt.transport.interfaces import Link

if TYPE_CHECKING:
    from collections.abc import Callable


RETRY_S: Final = 0.05
"""How long an envelope waits for a link whose queue is at its bound."""


class Outlet:
    """The way to one peer.

    Args:
        peer: the peer.
        open_link: returns the link to it; None if it is gone, or has failed.
        after: calls a function in so many seconds.
    """

    def __init__(
        self,
        peer: PeerId,
        open_link: Callable[[PeerId], Link | None],
        after: Callable[[float, Callable[[], None]], Any],
    ) -> None:
        self.peer = peer
        self._open_link = open_link
        self._after = after
        self._link: Link | None = None
        self._unsent: deque[tuple[tuple[Any, ...], Sequence[Any]]] = deque()  # while the link is at its bound

    def send(self, envelope: tuple[Any, ...], buffers: Sequence[Any] = ()) -> None:
        """Send an envelope behind those that wait. Without effect if the peer is gone: there is nobody to tell."""
        if self._unsent:
            self._unsent.append((envelope, buffers))
            return
        link = self._link
        if link is None:
            link = self._link = self._open_link(self.peer)
            if link is None:
                return
        try:
            link.send(envelope, buffers)
        except errors.PeerUnreachableError:
            self._link = None  # a link that was closed is not used again
            if self._open_link(self.peer) is not link:
                self.send(envelope, buffers)  # another has taken its place
        except errors.MailboxFullError:
            self._unsent.append((envelope, buffers))
            self._after(RETRY_S, self._send_unsent)

    def try_send(self, envelope: tuple[Any, ...], buffers: Sequence[Any] = ()) -> bool:
        """Send an envelope if the link is open and has room; return whether it was sent. The loop need not run."""
        if self._link is None or self._unsent:
            return False
        try:
            self._link.send(envelope, buffers)
        except (errors.PeerUnreachableError, errors.MailboxFullError):
            return False
        return True

    def _send_unsent(self) -> None:
        unsent, self._unsent = self._unsent, deque()
        while unsent:
            self.send(*unsent.popleft())
            if self._unsent:
                self._unsent.extend(unsent)
                return

    def cut_off(self) -> None:
        """Called when the peer was given up, and knows it: drop what was not sent."""
        self._link = None
        self._unsent.clear()
