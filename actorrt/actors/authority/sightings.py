"""Where the actors of a group run, packed: of a million actors most share a few places."""

from __future__ import annotations

from array import array
from typing import Final

from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import PeerAddress
from actorrt.protocol.authorities import GroupPlaces, Sighting

PLACE_CODE: Final = "I"
"""How an index of `Sightings` is packed: as a C unsigned int."""


class Sightings:
    """Collects where each actor of a group runs."""

    def __init__(self) -> None:
        self._places: dict[tuple[PeerAddress | None, int], int] = {}
        self._sightings: list[Sighting | None] = []
        self._place_of = array(PLACE_CODE)

    def add(self, record: ActorRecord) -> None:
        """Take in the next actor; one that has ended since it started is nowhere."""
        place = self._places.setdefault((record.peer_address, record.incarnation), len(self._places))
        if place == len(self._sightings):
            self._sightings.append(record.sighting())
        self._place_of.append(place)

    def places(self) -> GroupPlaces:
        """Return what was taken in."""
        return GroupPlaces(places=self._sightings, place_of=self._place_of.tobytes())
