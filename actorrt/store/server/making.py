"""Pure: the messages by which clients make objects: with memory that they ask for, or on loan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from actorrt.errors import ObjectLostError
from actorrt.ids import ObjectId
from actorrt.store.memory.arena import align
from actorrt.store.memory.pool import Place
from actorrt.store.server.allocation_requests import AllocationRequest
from actorrt.store.server.allocator import Allocator
from actorrt.store.server.arguments import count_of, flag_of, object_id_of
from actorrt.store.server.connections import LATER, Handler
from actorrt.store.table.table import ObjectTable
from actorrt.store.wire.protocol import HELD, SEALED, Op

_MAX_LINE_CHARACTERS: Final = 300


class MakingHandlers:
    """Handles the messages that make objects.

    Args:
        table: the objects.
        allocator: finds memory for them.
        carry_out: carries out what the table says, so that memory which was released before is free.

    Attributes:
        handlers: the handler of each message.
    """

    def __init__(self, table: ObjectTable, allocator: Allocator, carry_out: Callable[[], None]) -> None:
        self._table = table
        self._allocator = allocator
        self._carry_out = carry_out
        self.handlers: dict[Op, Handler] = {
            Op.CREATE: self._on_create,
            Op.RESERVE: self._on_reserve,
            Op.BORROW: self._on_borrow,
            Op.REPORT: self._on_report,
            Op.CONTAIN: self._on_contain,
            Op.SEAL: self._on_seal,
            Op.ABORT: self._on_abort,
        }

    def _on_create(
        self,
        connection: int,
        serial: int,
        object_id: bytes,
        length_bytes: int,
        is_promised: bool,
        line: str,
        waits_for_release: bool = False,
    ) -> Any:
        objects = ((object_id_of(object_id), count_of(length_bytes)),)
        if not self._table.may_create(ObjectId(object_id)):
            return None
        self._carry_out()  # memory that this connection released just before is free
        line = line[:_MAX_LINE_CHARACTERS]
        self._allocator.ask(
            AllocationRequest(
                connection, serial, length_bytes, objects, flag_of(is_promised), line, flag_of(waits_for_release)
            )
        )
        return LATER

    def _on_reserve(
        self, connection: int, serial: int, wanted: list[list[Any]], line: str, waits_for_release: bool = False
    ) -> Any:
        objects = tuple((object_id_of(object_id), count_of(length_bytes)) for object_id, length_bytes in wanted)
        if len({object_id for object_id, _ in objects}) < max(1, len(objects)):
            raise ValueError("objects that are reserved together have an id each")
        if not all([self._table.may_create(object_id) for object_id, _ in objects]):
            raise ValueError("an object that is reserved is sealed already")
        self._carry_out()
        total_bytes = sum(align(length_bytes) for _, length_bytes in objects)
        line = line[:_MAX_LINE_CHARACTERS]
        self._allocator.ask(
            AllocationRequest(
                connection, serial, total_bytes, objects, line=line, waits_for_release=flag_of(waits_for_release)
            )
        )
        return LATER

    def _on_borrow(self, connection: int, serial: int, length_bytes: int) -> Any:
        self._carry_out()
        if length_bytes == 0:
            self._allocator.lending.take_back(connection)
            self._allocator.offer()
            return None
        self._allocator.ask(AllocationRequest(connection, serial, count_of(length_bytes)))
        return LATER

    def _on_report(self, connection: int, _: int, end: int, objects: list[list[Any]]) -> None:
        """Take over the objects that a process made on loan."""
        places = self._allocator.lending.settle(
            connection, end, [(offset, length) for _, offset, length, *_ in objects]
        )
        for place, (object_id, _offset, _length, flags, pins_count, line) in zip(places, objects, strict=True):
            self._take_over(connection, object_id_of(object_id), place, flags, pins_count, line[:_MAX_LINE_CHARACTERS])

    def _take_over(
        self, connection: int, object_id: ObjectId, place: Place, flags: int, pins_count: int, line: str
    ) -> None:
        try:
            may_create = self._table.may_create(object_id)
        except ObjectLostError:  # its ref overtook this report, and its holder has failed it
            may_create = False
        if not may_create:
            self._allocator.free(place)
            return
        self._table.create(object_id, connection, place, is_promised=False, line=line)
        if flags & SEALED:
            self._table.seal(object_id, connection)
            for _ in range(pins_count):
                self._table.pin(object_id, connection)
        if not flags & HELD:
            self._table.release(object_id, connection)

    def _on_contain(self, connection: int, _: int, object_id: bytes, contained: list[bytes]) -> None:
        self._table.contain(object_id_of(object_id), connection, [object_id_of(other) for other in contained])

    def _on_seal(self, connection: int, _: int, object_id: bytes) -> None:
        self._table.seal(object_id_of(object_id), connection)

    def _on_abort(self, connection: int, _: int, object_id: bytes) -> None:
        self._allocator.withdraw(connection, object_id_of(object_id))
        self._table.abort(object_id_of(object_id), connection)
