"""Pure: what makes links survive: which frames must be kept and sent again, and when to say which have arrived.

Frames of a link are numbered without gaps. The sending side keeps each until the far end has acknowledged it, and
after a broken connection sends all of those again over the next one; the far end drops what it has seen. So each
frame is taken once, in order, as long as both processes live and find each other again.

    Window (sender):    acknowledged ≤ handed over ≤ sealed      frames between the first and the last are kept
    Receipts (far end): told ≤ taken                             the difference is owed: an acknowledgement is due
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from actorrt.config import ACK_FRAMES_COUNT
from actorrt.transport.interfaces import Buffer

Frame = tuple[Sequence[Buffer], int, int]
"""A message, ready to leave: its parts, how many envelopes it carries, and the bytes of all parts."""

_SIZE: Final = 2


class Window:
    """The frames of a link that have not been acknowledged: those the connection took, then those it did not.

    Args:
        first: the number of the first frame.

    Attributes:
        next: the number of the next frame to be pushed.
        handed_below: the number below which frames were handed over once, and may have arrived.
        unacknowledged_bytes: bytes of all frames kept.
        waiting_bytes: bytes of those that the connection has not taken, or not again since it broke.
    """

    __slots__ = ("_frames", "_handed_count", "handed_below", "next", "unacknowledged_bytes", "waiting_bytes")

    def __init__(self, first: int = 0) -> None:
        self._frames: deque[Frame] = deque()
        self._handed_count = 0
        self.handed_below = first
        self.next = first
        self.unacknowledged_bytes = 0
        self.waiting_bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def acknowledged(self) -> int:
        """The number below which the far end has taken everything."""
        return self.next - len(self._frames)

    @property
    def waiting(self) -> list[Frame]:
        """The frames that the connection has not taken, in order."""
        return list(self._frames)[self._handed_count :]

    @property
    def next_to_hand(self) -> Frame | None:
        """The first frame that the connection has not taken."""
        return self._frames[self._handed_count] if self._handed_count < len(self._frames) else None

    def push(self, frame: Frame) -> None:
        """Keep the frame numbered `next`, behind all others."""
        self._frames.append(frame)
        self.next += 1
        size_bytes = frame[_SIZE]
        self.unacknowledged_bytes += size_bytes
        self.waiting_bytes += size_bytes

    def push_handed(self, frame: Frame) -> None:
        """Keep a frame that the connection has taken already. Nothing may be waiting."""
        self._frames.append(frame)
        self._handed_count += 1
        self.next = self.handed_below = self.next + 1
        self.unacknowledged_bytes += frame[_SIZE]

    def handed(self, frame: Frame) -> None:
        """Note that the connection took `next_to_hand`, which is `frame`."""
        self._handed_count += 1
        self.waiting_bytes -= frame[_SIZE]
        self.handed_below = max(self.handed_below, self.next - len(self._frames) + self._handed_count)

    def acknowledge(self, number: int) -> bool:
        """Forget the frames below `number`; return False, and forget none, if it names what was never handed over.

        A number that was acknowledged before is no fault: acknowledgements overtake each other.
        """
        if number > self.handed_below:
            return False
        frames = self._frames
        for _ in range(number - self.next + len(frames)):
            size_bytes = frames.popleft()[_SIZE]
            self.unacknowledged_bytes -= size_bytes
            if self._handed_count:
                self._handed_count -= 1
            else:
                self.waiting_bytes -= size_bytes
        return True

    def rewind(self) -> None:
        """All that was not acknowledged waits again: the connection that had taken it is gone."""
        self._handed_count = 0
        self.waiting_bytes = self.unacknowledged_bytes

    def clear(self) -> None:
        """Forget all frames, but not which may have arrived."""
        self._frames.clear()
        self._handed_count = self.unacknowledged_bytes = self.waiting_bytes = 0


class Receipts:
    """What has been taken of one link of a peer, and what of that the peer has been told.

    Attributes:
        first: the number of the link's first frame; -1 before there is a link.
        taken: the number below which everything has been taken.
        told: what the peer was last told of it.
    """

    __slots__ = ("_owed_before", "first", "taken", "told")

    def __init__(self) -> None:
        self.first = -1
        self.taken = 0
        self.told = 0
        self._owed_before = 0

    def begin(self, first: int) -> bool:
        """A connection begins that carries the link of that first number; return whether it may.

        The link in hand is taken up where it stands, a later one starts afresh, an earlier one is over.
        """
        if first < self.first:
            return False
        if first > self.first:
            self.first = self.taken = first
        self.told = self.first  # what was told may have been lost with the connection before
        return True

    @property
    def is_owed(self) -> bool:
        """Whether the peer has not been told all."""
        return self.taken != self.told

    @property
    def is_due(self) -> bool:
        """Whether so much is owed that the peer is to be told at once."""
        return self.taken - self.told >= ACK_FRAMES_COUNT

    def is_overdue(self) -> bool:
        """Whether something is owed that was owed at the last call already. To be called at regular intervals."""
        owed_before, self._owed_before = self._owed_before, self.taken
        return owed_before > self.told

    def tell(self) -> int:
        """Return what is to be told now, and take it for told."""
        self.told = self.taken
        return self.told
