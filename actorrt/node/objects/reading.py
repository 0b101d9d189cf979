"""One object on its way here, while its bytes are being read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from actorrt.ids import ObjectId, PeerAddress
from actorrt.node.objects.pulls import Pull
from actorrt.transport.interfaces import Landing


@dataclass(slots=True)
class Reading:
    """What is known of an object that is being read.

    Attributes:
        object_id: the object.
        pull: which of its chunks are here.
        target: its memory in this node's store.
        source: the node that it is read from.
        turn: done when that source will send nothing more.
        heard_at: when the source sent something last.
        progress_at, progress_count: when a source was last found to have sent chunks, and how many were here then.
        wrong_count: how many chunks did not agree with their checksums.
        landings: where in `target` chunks may be arriving, by their offsets.
    """

    object_id: ObjectId
    pull: Pull
    target: memoryview
    source: PeerAddress
    turn: asyncio.Future[None]
    heard_at: float
    progress_at: float
    progress_count: int = 0
    wrong_count: int = 0
    landings: dict[int, Landing] = field(default_factory=dict)

    def end_turn(self) -> None:
        """Give the source up. Idempotent."""
        if not self.turn.done():
            self.turn.set_result(None)

    def land(self, offset: int, size_bytes: int) -> Landing:
        """Let a chunk arrive in the object's memory. A chunk that is sent once more arrives there, too."""
        self.recall(offset)
        landing = self.landings[offset] = Landing(self.target[offset : offset + size_bytes])
        return landing

    def recall(self, *offsets: int) -> None:
        """Stop chunks that began to arrive in the object's memory."""
        for offset in offsets:
            landing = self.landings.pop(offset, None)
            if landing is not None:
                landing.recall()
