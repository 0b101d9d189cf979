"""The network between simulated processes: connections in two directions, each with latency, in order.

    open ── a process ends, or closes its end ──▶ ended: what was sent before arrives, then the end is noticed
      └──── the network breaks it ─────────────▶ broken: what is under way is lost; both ends notice, each in its time

A direction between two processes can be stalled: messages are held, and no connection breaks. A process that does not
read fills its direction; the sender is then told that the connection accepts no more.
"""

from __future__ import annotations

import errno
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt.testing.shells.chance import Chance
from actorrt.testing.shells.journal import Journal
from actorrt.testing.virtual.loop import VirtualLoop
from actorrt.testing.virtual.processes import SimulatedProcess
from actorrt.transport.interfaces import Buffer

if TYPE_CHECKING:
    from actorrt.testing.shells.transport import SimulatedLink, SimulatedTransport

MIN_LATENCY_S: Final = 20e-6
MAX_LATENCY_S: Final = 400e-6
DIRECTION_BYTES: Final = 2 << 20
"""How many bytes one direction of a connection holds."""
_EVENT: Final = struct.Struct("=dIII")

Pair = tuple[int, int]
"""The numbers of the sending and of the receiving process."""


class Direction:
    """One direction of a connection.

    Args:
        network: the network.
        source, target: the processes.
    """

    def __init__(self, network: SimulatedNetwork, source: SimulatedProcess, target: SimulatedProcess) -> None:
        self._network = network
        self._loop = network.loop
        self.source = source
        self.target = target
        self.pair: Pair = (source.number, target.number)
        self.label = f"{source.name} -> {target.name}"
        self._last_due = 0.0
        self._held: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self.bytes_under_way = 0

    def carry(self, callback: Callable[..., None], *args: Any) -> None:
        """Call `callback` in the target process when the message arrives, after all that were sent before."""
        if self._held or self.pair in self._network.stalled:
            self._held.append((callback, args))
            self._network.holding[self] = None
            return
        self._last_due = max(self._last_due, self._loop.now() + self._network.latency_s())
        self._loop.call_in_at(self.target, self._last_due, callback, *args)

    def release(self) -> None:
        """Let held messages travel, since the direction is not stalled any more."""
        held, self._held = self._held, deque()
        for callback, args in held:
            self.carry(callback, *args)


class Connection:
    """A connection of a link to a transport.

    Args:
        network: the network.
        link, source: the link, and its process.
        transport, target: the transport that has accepted it, and its process.

    Attributes:
        forward, back: its directions.
        name: its name, once it is known.
        is_open: False once one end has closed it or the network has broken it.
    """

    def __init__(
        self,
        network: SimulatedNetwork,
        link: SimulatedLink,
        source: SimulatedProcess,
        transport: SimulatedTransport,
        target: SimulatedProcess,
        name: bytes,
    ) -> None:
        self._network = network
        self._link = link
        self._transport = transport
        self.name = name
        self.forward = Direction(network, source, target)
        self.back = Direction(network, target, source)
        self.is_open_here = True  # at the link
        self.is_open_there = True  # at the transport
        self._is_full = False

    def send(self, parts: Sequence[Buffer]) -> bool:
        """Send a message to the transport; False if the connection accepts no more."""
        forward = self.forward
        if not forward.source.is_alive or not self.is_open_here:
            return True  # the rest of a callback of a process that is dead
        if forward.bytes_under_way > DIRECTION_BYTES:
            self._is_full = True
            return False
        head, *buffers = parts
        size = len(head) + sum(map(len, buffers))
        forward.bytes_under_way += size
        read_only = [memoryview(buffer).toreadonly() for buffer in buffers]
        forward.carry(self._arrive, head, read_only, size)
        return True

    def _arrive(self, head: Buffer, buffers: Sequence[Buffer], size: int) -> None:
        self.forward.bytes_under_way -= size
        if self._is_full and self.forward.bytes_under_way < DIRECTION_BYTES // 2:
            self._is_full = False
            self._network.loop.call_in(self.forward.source, self._link.accepts_more, self)
        if self.is_open_there:
            self._network.noticed(self.forward, head)
            self._transport.arrived(self.name, head, buffers)

    def answer(self, message: bytes) -> None:
        """Send a message back to the link."""
        if self.is_open_there and self.back.source.is_alive:
            self.back.carry(self._came_back, message)

    def _came_back(self, message: bytes) -> None:
        if self.is_open_here:
            self._network.noticed(self.back, message)
            self._link.came_back(self, message)

    def close_here(self) -> None:
        """Called when the link closes its end, or its process is dead: the transport notices, after what was sent."""
        if self.is_open_here:
            self.is_open_here = False
            self.forward.carry(self._ended_there)
            self._network.connections.pop(self, None)

    def close_there(self) -> None:
        """Called when the transport closes its end, or its process is dead: the link notices, after what was sent."""
        if self.is_open_there:
            self.is_open_there = False
            self.back.carry(self._ended_here)
            self._network.connections.pop(self, None)

    def cut(self) -> None:
        """Break it: what is under way is lost."""
        self._network.connections.pop(self, None)
        if self.is_open_there:
            self.is_open_there = False
            self._network.loop.call_in(self.forward.target, self._transport.ended, self.name)
        if self.is_open_here:
            self.is_open_here = False
            self._network.loop.call_in(self.forward.source, self._link.broke, self)

    def _ended_there(self) -> None:
        if self.is_open_there:
            self.is_open_there = False
            self._transport.ended(self.name)

    def _ended_here(self) -> None:
        if self.is_open_here:
            self.is_open_here = False
            self._link.broke(self)


class SimulatedNetwork:
    """The transports of a world, by address, and their connections.

    Args:
        loop: the world's loop.
        chance: draws latencies.
        journal: gets every message that arrives.

    Attributes:
        connections: the open connections, oldest first.
        stalled: the pairs of processes between which messages are held.
        holding: the directions that hold messages.
        max_delay_s: the longest delay of a message, beside the latency of the network.
    """

    def __init__(self, loop: VirtualLoop, chance: Chance, journal: Journal) -> None:
        self.loop = loop
        self._random = chance.random
        self._journal = journal
        self._transports: dict[str, tuple[SimulatedTransport, SimulatedProcess]] = {}
        self.connections: dict[Connection, None] = {}
        self.stalled: set[Pair] = set()
        self.holding: dict[Direction, None] = {}
        self.max_delay_s = 0.0

    def latency_s(self) -> float:
        """Return how long the next message is under way."""
        latency = MIN_LATENCY_S + (MAX_LATENCY_S - MIN_LATENCY_S) * self._random() ** 2
        return latency + self.max_delay_s * self._random() ** 4 if self.max_delay_s else latency

    def noticed(self, direction: Direction, head: Buffer) -> None:
        """Called when a message has arrived."""
        self.loop.record(_EVENT.pack(self.loop.now(), *direction.pair, zlib.crc32(head)))
        self._journal.arrived(direction.label, head)

    def bind(self, address: str, transport: SimulatedTransport, process: SimulatedProcess) -> None:
        """Accept connections to `address`.

        Raises:
            OSError: another transport is bound to the address.
        """
        if address in self._transports:
            raise OSError(errno.EADDRINUSE, f"can't bind to {address}: another transport is bound there")
        self._transports[address] = (transport, process)

    def unbind(self, address: str, transport: SimulatedTransport) -> None:
        """Accept no more connections. Idempotent."""
        if self._transports.get(address, (None,))[0] is transport:
            del self._transports[address]

    def connect(
        self, link: SimulatedLink, source: SimulatedProcess, address: str, next_name: Callable[[], bytes]
    ) -> Connection | None:
        """Return a connection to an address; None if no process listens there."""
        found = self._transports.get(address)
        if found is None:
            return None
        transport, target = found
        connection = Connection(self, link, source, transport, target, next_name())
        self.connections[connection] = None
        connection.forward.carry(transport.accepted, connection)
        return connection

    def forget(self) -> None:
        """Drop every connection. Called when the run is over."""
        self._transports.clear()
        self.connections.clear()
        self.holding.clear()

    def of_process(self, process: SimulatedProcess) -> list[Connection]:
        """Return the open connections that a process has made or accepted."""
        return [c for c in self.connections if process in (c.forward.source, c.forward.target)]

    def stall(self, pairs: Iterable[Pair]) -> None:
        """Hold what is sent between these processes, until `heal`."""
        self.stalled.update(pairs)

    def heal(self, pairs: Iterable[Pair]) -> None:
        """Let messages between these processes travel again, also those that were held."""
        self.stalled.difference_update(pairs)
        holding, self.holding = self.holding, {}
        for direction in holding:
            direction.release()
