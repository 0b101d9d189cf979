"""Pure: lets a link outlive its connections: which frames to keep and send again, which acknowledgements are due.

Frames of a link are numbered without gaps. The sender keeps each frame until the far end has acknowledged it. When a
broken connection has been replaced, the sender sends the unacknowledged frames again, and the far end ignores those
that it has received already. So each frame is received once and in order, if both processes live and reconnect in time.

    SendWindow (sender):  acknowledged ≤ handed over ≤ queued    the frames from the first bound to the last are kept
    Receipts (far end):   acknowledged ≤ received                the difference is owed: an acknowledgement is due
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from actorrt.transport.interfaces import Buffer

ACK_FRAMES_COUNT: Final = 64
"""This many unacknowledged frames are acknowledged at once, without waiting for a frame that carries the number."""

Frame = tuple[Sequence[Buffer], int, int]
"""A message that is ready to leave: its parts, the number of its envelopes, and the bytes of all parts."""

_SIZE: Final = 2


class SendWindow:
    """The frames of a link that have not been acknowledged: first those handed to the connection, then the others.

    Args:
        first: the number of the first frame.

    Attributes:
        next: the number of the next frame to be pushed.
        handed_below: the number below which every frame was handed to a connection once, and may have arrived.
        unacknowledged_bytes: the bytes of all frames that are kept.
        waiting_bytes: the bytes of the frames that are to be handed over, for the first time or again.
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
        """The number below which the far end has received every frame."""
        return self.next - len(self._frames)

    @property
    def waiting(self) -> list[Frame]:
        """The frames that are to be handed to the connection, in order."""
        return list(self._frames)[self._handed_count :]

    @property
    def next_to_hand(self) -> Frame | None:
        """The first frame that is to be handed to the connection."""
        return self._frames[self._handed_count] if self._handed_count < len(self._frames) else None

    def push(self, frame: Frame) -> None:
        """Keep the frame numbered `next`, behind all others."""
        self._frames.append(frame)
        self.next += 1
        size_bytes = frame[_SIZE]
        self.unacknowledged_bytes += size_bytes
        self.waiting_bytes += size_bytes

    def push_handed(self, frame: Frame) -> None:
        """Keep a frame that has been handed to the connection. No other frame may be waiting."""
        self._frames.append(frame)
        self._handed_count += 1
        self.next = self.handed_below = self.next + 1
        self.unacknowledged_bytes += frame[_SIZE]

    def handed(self, frame: Frame) -> None:
        """Note that the connection accepted `frame`, which is `next_to_hand`."""
        self._handed_count += 1
        self.waiting_bytes -= frame[_SIZE]
        self.handed_below = max(self.handed_below, self.next - len(self._frames) + self._handed_count)

    def acknowledge(self, number: int) -> bool:
        """Forget the frames below `number`.

        A number that was acknowledged before is no fault: acknowledgements overtake each other.

        Returns:
            False, and nothing is forgotten, if a frame below `number` was never handed over.
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
        """Queue all unacknowledged frames again: the connection that they were handed to is gone."""
        self._handed_count = 0
        self.waiting_bytes = self.unacknowledged_bytes

    def clear(self) -> None:
        """Forget all frames, but not the number below which frames may have arrived."""
        self._frames.clear()
        self._handed_count = self.unacknowledged_bytes = self.waiting_bytes = 0


class Receipts:
    """The frames that were received over one link of a peer, and those that were acknowledged to the peer.

    Attributes:
        first: the number of the link's first frame; -1 before the peer has opened a link.
        received: the number below which every frame has been received.
        acknowledged: the number in the last acknowledgement to the peer.
    """

    __slots__ = ("_owed_before", "acknowledged", "first", "received")

    def __init__(self) -> None:
        self.first = -1
        self.received = 0
        self.acknowledged = 0
        self._owed_before = 0

    def begin(self, first: int) -> bool:
        """Begin a connection of the link whose first frame has this number; return whether it is acceptable.

        The same number continues the present link, a greater number begins another, and a smaller number is refused.
        """
        if first < self.first:
            return False
        if first > self.first:
            self.first = self.received = first
        self.acknowledged = self.first  # the former connection may have lost the acknowledgements
        return True

    @property
    def is_owed(self) -> bool:
        """Whether frames have been received that are not acknowledged."""
        return self.received != self.acknowledged

    @property
    def is_due(self) -> bool:
        """Whether `ACK_FRAMES_COUNT` frames are unacknowledged, so that an acknowledgement must be sent at once."""
        return self.received - self.acknowledged >= ACK_FRAMES_COUNT

    def wait_from_now(self) -> None:
        """Begin an interval of `is_overdue`: the frames that have been received are overdue at its end."""
        self._owed_before = self.received

    def is_overdue(self) -> bool:
        """Whether a frame was unacknowledged at the last call, and still is. To be called at regular intervals."""
        owed_before, self._owed_before = self._owed_before, self.received
        return owed_before > self.acknowledged

    def acknowledge(self) -> int:
        """Return the number that acknowledges all received frames. The caller sends it."""
        self.acknowledged = self.received
        return self.acknowledged
