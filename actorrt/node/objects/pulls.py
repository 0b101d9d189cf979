"""Pure: the chunks of an object that is being pulled: missing, in flight or here, and the next ones to request.

    missing ── asked for ─▶ in flight ── arrived, and right ─▶ here
       ▲                        │
       └── source lost, wrong ──┘

Invariant: the bytes in flight never exceed the window, unless a part is read as a whole, over a connection that bounds
its own. A chunk is requested again only when its answer can't come any
more, so chunks that are here when a source is lost are not read again.
"""

from __future__ import annotations

from typing import Final

from actorrt.config import MIB

CHUNK_BYTES: Final = 1 * MIB
WINDOW_BYTES: Final = 16 * MIB


def chunks(length_bytes: int) -> list[tuple[int, int]]:
    """Return the offset and length of every chunk of an object. All nodes cut an object in the same places."""
    return [(offset, min(CHUNK_BYTES, length_bytes - offset)) for offset in range(0, length_bytes, CHUNK_BYTES)]


class Pull:
    """The state of one object's chunks.

    Args:
        length_bytes: the length of the object.
    """

    def __init__(self, length_bytes: int) -> None:
        self.length_bytes = length_bytes
        self._lengths = dict(chunks(length_bytes))
        self._missing = list(reversed(self._lengths))  # the next one is at the end
        self._in_flight: set[int] = set()
        self._here: set[int] = set()

    @property
    def is_complete(self) -> bool:
        """Whether every chunk is here."""
        return len(self._here) == len(self._lengths)

    @property
    def here_count(self) -> int:
        """The number of chunks that are here."""
        return len(self._here)

    @property
    def in_flight_bytes(self) -> int:
        """The number of bytes that were requested and are not here yet."""
        return sum(self._lengths[offset] for offset in self._in_flight)

    def has(self, offset: int) -> bool:
        """Whether the chunk at this offset is here."""
        return offset in self._here

    def awaits(self, offset: int, length_bytes: int) -> bool:
        """Whether a chunk of this offset and length is in flight."""
        return offset in self._in_flight and self._lengths[offset] == length_bytes

    def next_requests(self) -> list[tuple[int, int]]:
        """Return the chunks to request now; they count as in flight."""
        requests = []
        room_bytes = WINDOW_BYTES - self.in_flight_bytes
        while self._missing and (length := self._lengths[self._missing[-1]]) <= room_bytes:
            offset = self._missing.pop()
            self._in_flight.add(offset)
            requests.append((offset, length))
            room_bytes -= length
        return requests

    def next_run(self) -> tuple[int, int] | None:
        """Return the first missing part as offset and length, to be requested as a whole; it counts as in flight.

        Its bytes are bounded by the connection on which they come, and not by the window.
        """
        if not self._missing:
            return None
        first = end = self._missing[-1]
        while self._missing and self._missing[-1] == end:
            self._in_flight.add(self._missing.pop())
            end += self._lengths[end]
        return first, end - first

    @property
    def missing_bytes(self) -> int:
        """The number of bytes that are neither here nor in flight."""
        return sum(self._lengths[offset] for offset in self._missing)

    def arrived(self, offset: int, *, is_right: bool) -> None:
        """Called when a chunk in flight has arrived. A wrong chunk is requested again."""
        self._in_flight.remove(offset)
        if is_right:
            self._here.add(offset)
        else:
            self._missing.append(offset)

    def source_lost(self) -> None:
        """Called when the source is lost. The chunks in flight are requested again."""
        self._missing.extend(sorted(self._in_flight, reverse=True))
        self._in_flight.clear()
