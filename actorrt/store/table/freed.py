"""Pure: the ids of the objects that were freed last: a ref to one of them that arrives late fails at once."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from actorrt.ids import ObjectId

_MAX_COUNT: Final = 10_000


class FreedIds(OrderedDict[ObjectId, None]):
    """The newest freed ids. A mapping, so that a look-up costs no call."""

    def add(self, object_id: ObjectId) -> None:
        """Add an id; the oldest one is forgotten if there are too many."""
        self[object_id] = None
        if len(self) > _MAX_COUNT:
            self.popitem(last=False)
