"""The state of one object while its bytes are being read from other nodes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from actorrt.ids import ObjectId, PeerAddress
from actorrt.node.objects.pulls import Pull
from actorrt.transport.interfaces import Landing


@dataclass(slots=True)
class Reading:
    """An object that is being read.

    Attributes:
        object_id: the object.
        pull: the state of its chunks.
        target: its memory in this node's store.
        source: the node that it is read from.
        turn: done when that source will send nothing more.
        heard_at: the time when the source last sent a chunk.
        progress_at, progress_count: the time when a source was last found to have sent chunks, and the number of chunks
            that were here then.
        wrong_count: the number of chunks that did not agree with their checksums.
        landings: the parts of `target` in which chunks may be arriving, by the offset of the chunk.
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
        """Stop reading from the source. Idempotent."""
        if not self.turn.done():
            self.turn.set_result(None)

    def land(self, offset: int, size_bytes: int) -> Landing:
        """Let a chunk arrive in the object's memory. An earlier arrival of the same chunk is stopped."""
        self.recall(offset)
        landing = self.landings[offset] = Landing(self.target[offset : offset + size_bytes])
        return landing

    def recall(self, *offsets: int) -> None:
        """Stop the arrival of chunks in the object's memory."""
        for offset in offsets:
            landing = self.landings.pop(offset, None)
            if landing is not None:
                landing.recall()
