"""The places of the actors of a group, packed: most of a million actors share a few places."""

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
        """Add the next actor; an actor that has ended since its start has no place."""
        place = self._places.setdefault((record.peer_address, record.incarnation), len(self._places))
        if place == len(self._sightings):
            self._sightings.append(record.sighting())
        self._place_of.append(place)

    def places(self) -> GroupPlaces:
        """Return the places of all actors that were added."""
        return GroupPlaces(places=self._sightings, place_of=self._place_of.tobytes())
