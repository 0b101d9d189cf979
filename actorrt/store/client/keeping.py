"""What a process tells and hears as the keeper of objects, which it makes again if they are lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from actorrt.ids import ObjectId, short
from actorrt.store.client.ref import ObjectRef
from actorrt.store.connection.connection import StoreConnection
from actorrt.store.table.objects import Presence
from actorrt.store.values.errors import decode
from actorrt.store.wire.protocol import MAX_BATCH_COUNT, Op

logger = logging.getLogger(__name__)


class Keeping:
    """The keeper of one process.

    Args:
        connection: the process's connection with its store.
        new_ref: makes a ref that takes over a hold which the store has counted.

    Attributes:
        on_lost: called on the attached loop with an object that this process is to make again, and with how it was
            lost. Set before the first `keep`.
    """

    def __init__(self, connection: StoreConnection, new_ref: Callable[[ObjectId], ObjectRef[Any]]) -> None:
        self._connection = connection
        self._new_ref = new_ref
        self.on_lost: Callable[[ObjectId, BaseException], None] | None = None

    def keep(self, object_id: ObjectId) -> None:
        """Tell the store, with the next messages, that this process can make an object again."""
        self._connection.backlog.keep(object_id)

    def find(self, object_ids: Sequence[ObjectId]) -> list[Presence]:
        """Return for each object whether it is in the store.

        Raises:
            ObjectLostError: the store is gone.
        """
        return [Presence(found) for found in self._asked(Op.FIND, object_ids)]

    def claim(self, object_ids: Sequence[ObjectId]) -> list[tuple[ObjectRef[Any], bool]]:
        """Hold objects. Return the ref of each, and whether this process has to make the object.

        Raises:
            ObjectLostError: the store is gone.
        """
        asked = self._asked(Op.CLAIM, object_ids)
        return [(self._new_ref(object_id), is_mine) for object_id, is_mine in zip(object_ids, asked, strict=True)]

    def _asked(self, op: Op, object_ids: Sequence[ObjectId]) -> Iterator[Any]:
        for start in range(0, len(object_ids), MAX_BATCH_COUNT):
            yield from self._connection.request(op, object_ids[start : start + MAX_BATCH_COUNT])

    def on_remake(self, object_id: ObjectId, loss: bytes) -> None:
        """Called when the store asks for an object that is lost."""
        if self.on_lost is not None:
            self.on_lost(object_id, decode(loss))
        else:
            logger.warning("object %s is to be made again, and nothing here can", short(object_id))
