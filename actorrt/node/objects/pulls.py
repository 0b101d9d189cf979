"""Pure: the chunks of one object that is being pulled: which are here, on their way, and to be asked for next.

    missing ── asked for ─▶ in flight ── arrived, and right ─▶ here
       ▲                        │
       └── source lost, wrong ──┘

Invariant: what is in flight is never more than the window. A chunk is asked for again only when its answer can't come
any more, so what is here when a source is lost is not sent twice.
"""

from __future__ import annotations

from typing import Final

from actorrt.config import MIB

CHUNK_BYTES: Final = 1 * MIB
WINDOW_BYTES: Final = 16 * MIB


def chunks(length_bytes: int) -> list[tuple[int, int]]:
    """Return the offset and length of every chunk of an object; everybody cuts an object in the same places."""
    return [(offset, min(CHUNK_BYTES, length_bytes - offset)) for offset in range(0, length_bytes, CHUNK_BYTES)]


class Pull:
    """What is known of one object's bytes.

    Args:
        length_bytes: the object's.
    """

    def __init__(self, length_bytes: int) -> None:
        self.length_bytes = length_bytes
        self._lengths = dict(chunks(length_bytes))
        self._missing = list(reversed(self._lengths))  # the next one is the last
        self._in_flight: set[int] = set()
        self._here: set[int] = set()

    @property
    def is_complete(self) -> bool:
        """Whether every chunk is here."""
        return len(self._here) == len(self._lengths)

    @property
    def here_count(self) -> int:
        """How many chunks are here."""
        return len(self._here)

    @property
    def in_flight_bytes(self) -> int:
        """The bytes that were asked for and are not here yet."""
        return sum(self._lengths[offset] for offset in self._in_flight)

    def has(self, offset: int) -> bool:
        """Whether the chunk that begins there is here."""
        return offset in self._here

    def awaits(self, offset: int, length_bytes: int) -> bool:
        """Whether a chunk like that is in flight."""
        return offset in self._in_flight and self._lengths[offset] == length_bytes

    def next_requests(self) -> list[tuple[int, int]]:
        """Return the chunks to ask for now, which are in flight from now on."""
        requests = []
        room_bytes = WINDOW_BYTES - self.in_flight_bytes
        while self._missing and (length := self._lengths[self._missing[-1]]) <= room_bytes:
            offset = self._missing.pop()
            self._in_flight.add(offset)
            requests.append((offset, length))
            room_bytes -= length
        return requests

    def arrived(self, offset: int, *, is_right: bool) -> None:
        """Keep a chunk that was awaited, or have it asked for again."""
        self._in_flight.remove(offset)
        if is_right:
            self._here.add(offset)
        else:
            self._missing.append(offset)

    def source_lost(self) -> None:
        """Have everything asked for again that was in flight."""
        self._missing.extend(sorted(self._in_flight, reverse=True))
        self._in_flight.clear()
