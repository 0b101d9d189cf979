"""Where the actors of a group run, packed: of a million actors most share a few places."""

from __future__ import annotations

from array import array
from typing import Final

from actorrt.actors.authority.record import Record
from actorrt.actors.wire.control import Data
from actorrt.ids import PeerAddress

PLACE_CODE: Final = "I"
"""How an index of `Sightings` is packed: as a C unsigned int."""


class Sightings:
    """Where each actor of a group runs, as data: `places`, and in `place_of`, packed, the index there of each."""

    def __init__(self) -> None:
        self._places: dict[tuple[PeerAddress | None, int], int] = {}
        self._sightings: list[Data | None] = []
        self._place_of = array(PLACE_CODE)

    def add(self, record: Record) -> None:
        """Take in the next actor; one that has ended since it started is nowhere."""
        place = self._places.setdefault((record.endpoint, record.incarnation), len(self._places))
        if place == len(self._sightings):
            self._sightings.append(None if record.endpoint is None else record.sighting())
        self._place_of.append(place)

    def to_data(self) -> Data:
        """Return what was taken in."""
        return {"places": self._sightings, "place_of": self._place_of.tobytes()}
