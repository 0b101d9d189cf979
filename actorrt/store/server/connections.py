"""Pure: the connections of a store: their processes, the segments that they have, and messages to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from actorrt.ids import ID_BYTES, PeerId, short
from actorrt.store.memory.pool import Place
from actorrt.store.table.instructions import DropSegment, Instruction, Send
from actorrt.store.wire.protocol import VERSION, Event, ProtocolError, Role, Status

NODE_HOLDS: Final = 0
"""The connection of the node's own holds. The connections of processes are numbered from 1; those without a process
have the numbers here, and other nodes the numbers below."""
PUBLISHED_NAMES: Final = -2
"""The connection that holds the newest object of each published name. The table knows it; it sends no messages."""
EXCHANGE_REQUESTS: Final = -3
EXCHANGE_EVENTS: Final = -4


class _Later:
    """The result of a handler that answers later, or that has answered itself."""


LATER: Final = _Later()

Handler = Callable[..., Any]
"""Acts on a message: called with the connection, the serial and the message's arguments; returns the answer."""


@dataclass(slots=True)
class ClientRecord:
    """One connection.

    Attributes:
        mapped: the segments that it has, each for reading or for writing.
        offered: the segments that it was given ahead of need.
        retired: the dropped segments that its next reply will name.
    """

    number: int
    label: str
    peer: PeerId | None = None
    role: Role | None = None
    mapped: set[tuple[int, bool]] = field(default_factory=set)
    offered: set[int] = field(default_factory=set)
    retired: list[int] = field(default_factory=list)


class Connections:
    """The connections that are open, and the instructions gathered for the shell."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self._by_number: dict[int, ClientRecord] = {}
        self._events_by_peer: dict[PeerId, int] = {}
        self._requests_by_peer: dict[PeerId, int] = {}

    def __iter__(self) -> Iterator[ClientRecord]:
        return iter(self._by_number.values())

    def __len__(self) -> int:
        return len(self._by_number)

    def __getitem__(self, number: int) -> ClientRecord:
        return self._by_number[number]

    def __contains__(self, number: object) -> bool:
        return number in self._by_number

    def open(self, number: int, label: str) -> None:
        self._by_number[number] = ClientRecord(number, label)

    def close(self, number: int) -> ClientRecord | None:
        """Forget and return a connection."""
        known = self._by_number.pop(number, None)
        if known is not None and known.peer is not None:
            for role, numbers in self._numbers_by_role():
                if known.role is role:
                    numbers.pop(known.peer, None)
        return known

    def _numbers_by_role(self) -> tuple[tuple[Role, dict[PeerId, int]], ...]:
        return (Role.EVENTS, self._events_by_peer), (Role.REQUESTS, self._requests_by_peer)

    def identify(self, number: int, version: int, role: int, peer: bytes) -> ClientRecord:
        """Note the process and the role of a connection.

        Raises:
            ProtocolError: it speaks another version, or has said HELLO already; or the process that it claims to be has
                a connection of the same role, which is not disturbed.
        """
        if version != VERSION or len(peer) != ID_BYTES:
            raise ProtocolError(f"HELLO of version {version} with a peer of {len(peer)} bytes")
        known = self._by_number[number]
        if known.role is not None:
            raise ProtocolError("a second HELLO")
        for of_role, numbers in self._numbers_by_role():
            if role == of_role:
                if peer in numbers:
                    raise ProtocolError(f"a second connection of process {short(peer)} for {of_role.name}")
                numbers[PeerId(peer)] = number
        known.role, known.peer = Role(role), PeerId(peer)
        return known

    def listener(self, known: ClientRecord) -> int | None:
        """Return the connection that hears the events of a connection's process."""
        return None if known.peer is None else self._events_by_peer.get(known.peer)

    def speaker(self, number: int) -> int | None:
        """Return the requests connection of the process that has this events connection."""
        known = self._by_number.get(number)
        if known is None or known.peer is None or known.role is not Role.EVENTS:
            return None
        return self._requests_by_peer.get(known.peer)

    def asker(self, number: int) -> int:
        """Return the requests connection of a connection's process.

        Raises:
            ValueError: the process has none.
        """
        known = self._by_number[number]
        asker = number if known.role is Role.REQUESTS else self._requests_by_peer.get(known.peer or PeerId(b""))
        if asker is None:
            raise ValueError("a process that waits for memory needs a requests connection")
        return asker

    def waiter(self, number: int) -> int:
        """Return the connection that hears the outcome of a wait: the events connection of its process, or a WAIT one.

        Raises:
            ValueError: the process has no events connection.
        """
        known = self._by_number[number]
        waiter = number if known.role is Role.WAIT else self.listener(known)
        if waiter is None:
            raise ValueError("a process that subscribes needs an events connection")
        return waiter

    # Speaking

    def tell(self, number: int, event: list[Any]) -> None:
        """Send an event."""
        self.instructions.append(Send(number, event))

    def reply(self, number: int, serial: int, status: Status, result: Any) -> None:
        """Answer a request."""
        known = self._by_number[number]
        retired, known.retired = known.retired, []
        self.instructions.append(Send(number, [serial, status, result, retired]))

    def reply_place(
        self, number: int, serial: int, place: Place, *, writable: bool, more: tuple[Any, ...] = ()
    ) -> None:
        """Answer with a place, and with the segment's descriptor if the connection does not have it yet."""
        known = self._by_number[number]
        retired, known.retired = known.retired, []
        is_new = (place.segment_id, writable) not in known.mapped
        known.mapped.add((place.segment_id, writable))
        message = [serial, Status.DONE, [place.segment_id, place.offset, place.length_bytes, *more], retired]
        self.instructions.append(Send(number, message, place.segment_id if is_new else None, writable))

    def offer(self, number: int, segment_id: int) -> None:
        """Give a process the segment that it will write next, if it has an events connection."""
        known = self._by_number.get(number)
        listener = None if known is None else self.listener(known)
        if known is not None and listener is not None:
            known.offered.add(segment_id)
            self.instructions.append(Send(listener, [Event.NEXT, segment_id], segment_id, True))

    def retire(self, segment_ids: list[int]) -> None:
        """Drop segments. A process that has mapped one is told by an event, or with its next reply."""
        if not segment_ids:
            return
        for known in self:
            gone = [i for i in segment_ids if {(i, False), (i, True)} & known.mapped or i in known.offered]
            known.mapped -= {(i, writable) for i in gone for writable in (False, True)}
            known.offered.difference_update(gone)
            listener = self.listener(known)
            if gone and listener is not None:
                self.tell(listener, [Event.RETIRED, gone])
            else:
                known.retired.extend(gone)
        self.instructions.extend(DropSegment(segment_id) for segment_id in segment_ids)
