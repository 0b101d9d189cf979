"""The network between simulated processes: connections in two directions, each with latency, in order.

    open ── a process ends, or closes its end ──▶ ended: what was sent before arrives, then the end is noticed
      └──── the network breaks it ─────────────▶ broken: what is under way is lost; both ends notice, each in its time

A direction between two processes can be stalled: messages are held, and no connection breaks. A process that does not
read fills its direction; the sender is then told that the connection accepts no more.

Between hosts it is as TCP has it. A connection stands after one message there and back. What is held by a cut is sent
again; after `TIMEOUT_S` without an acknowledgement the connection breaks. A host that has lost its power says nothing:
connections to it break after that time, or soon after the host is up again and resets them; connecting waits.
"""

from __future__ import annotations

import errno
import zlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorrt.testing.shells.chance import Chance
from actorrt.testing.shells.host_links import HostLinks, Pair
from actorrt.testing.shells.journal import Journal
from actorrt.testing.virtual.loop import VirtualLoop
from actorrt.testing.virtual.processes import SimulatedProcess
from actorrt.transport.interfaces import Buffer

if TYPE_CHECKING:
    from actorrt.testing.shells.transport import SimulatedLink, SimulatedTransport

MIN_LATENCY_S: Final = 20e-6
MAX_LATENCY_S: Final = 400e-6
HOSTS_LATENCY: Final = 3.0
"""How much longer a message is under way between hosts than inside one."""
TIMEOUT_S: Final = 20.0
"""After what time without an acknowledgement the system gives up a connection between hosts."""
MAX_RESET_S: Final = 1.0
"""How long it takes at most until a host that is up again resets a connection that it does not know."""
DIRECTION_BYTES: Final = 2 << 20
"""How many bytes one direction of a connection holds."""


class Direction:
    """One direction of a connection.

    Args:
        network: the network.
        source, target: the processes.
        give_up: called when nothing was acknowledged for too long.
    """

    def __init__(
        self,
        network: SimulatedNetwork,
        source: SimulatedProcess,
        target: SimulatedProcess,
        give_up: Callable[[], None],
    ) -> None:
        self._network = network
        self._loop = network.loop
        self.source = source
        self.target = target
        self.pair: Pair = (source.number, target.number)
        self.label = f"{source.name} -> {target.name}"
        self.hosts: Pair = (source.host, target.host)
        self.is_between_hosts = source.host != target.host
        self._give_up = give_up
        self._last_due = 0.0
        self._held: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._held_since = 0.0
        self.bytes_under_way = 0

    def carry(self, callback: Callable[..., None], *args: Any) -> None:
        """Call `callback` in the target process when the message arrives, after all that were sent before."""
        network = self._network
        if self._held or network.is_stalled(self):
            if not self._held and self.is_between_hosts:
                self._held_since = since = self._loop.now()
                network.after(TIMEOUT_S, lambda: self._end_of_patience(since))
            self._held.append((callback, args))
            network.holding[self] = None
            return
        due = self._loop.now() + (network.way_s(self) if self.is_between_hosts else network.latency_s())
        self._last_due = due = due if due > self._last_due else self._last_due
        self._loop.call_in_at(self.target, due, callback, *args)

    def _end_of_patience(self, since: float) -> None:
        if self._held and self._held_since == since:
            self._give_up()

    def clear(self) -> None:
        """Lose what is held."""
        self._held.clear()

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
        transport, target: the transport that accepts it, and its process; None, and a dead process: nobody answers.

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
        transport: SimulatedTransport | None,
        target: SimulatedProcess,
        name: bytes,
    ) -> None:
        self._network = network
        self._link = link
        self._transport: Any = transport
        self.name = name
        self.forward = Direction(network, source, target, self.cut)
        self.back = Direction(network, target, source, self.cut)
        self.is_open_here = True  # at the link
        self.is_open_there = True  # at the transport
        self._is_full = False
        self._is_standing = not self.forward.is_between_hosts

    def open(self) -> None:
        """Begin to connect: the transport hears of it, and between hosts the link may send after that."""
        self.forward.carry(self._reached)

    def _reached(self) -> None:
        self._transport.accepted(self)
        if not self._is_standing and self.is_open_there:
            self.back.carry(self._stands)

    def _stands(self) -> None:
        self._is_standing = True
        if self.is_open_here:
            self._link.accepts_more(self)

    def send(self, parts: Sequence[Buffer]) -> bool:
        """Send a message to the transport; False if the connection accepts none now."""
        forward = self.forward
        if not forward.source.is_alive or not self.is_open_here:
            return True  # the rest of a callback of a process that is dead
        if not self._is_standing:
            return False
        if forward.bytes_under_way > DIRECTION_BYTES:
            self._is_full = True
            return False
        head, *buffers = parts
        size = len(head)
        if buffers:
            size += sum(map(len, buffers))
            buffers = [memoryview(buffer).toreadonly() for buffer in buffers]
        forward.bytes_under_way += size
        forward.carry(self._arrive, head, buffers, size)
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

    def falls_silent(self, host: int) -> None:
        """Called when the host of one end has lost its power: that end is gone, and the other one does not notice."""
        if self.forward.source.host == host:
            self.is_open_here = False
            self.forward.clear()
        else:
            self.is_open_there = False
            self.back.clear()

    def cut(self) -> None:
        """Break it: what is under way is lost."""
        self._network.connections.pop(self, None)
        if self.forward.is_between_hosts:
            self.forward.clear()
            self.back.clear()
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
        severed: the pairs of processes that can't connect.
        hosts: which hosts reach each other.
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
        self.severed: set[Pair] = set()
        self.hosts = HostLinks()
        self._silent: defaultdict[int, list[Connection]] = defaultdict(list)
        """The connections to each host that has no power."""
        self.holding: dict[Direction, None] = {}
        self.max_delay_s = 0.0

    def latency_s(self) -> float:
        """Return how long the next message is under way."""
        latency = MIN_LATENCY_S + (MAX_LATENCY_S - MIN_LATENCY_S) * self._random() ** 2
        return latency + self.max_delay_s * self._random() ** 4 if self.max_delay_s else latency

    def way_s(self, direction: Direction) -> float:
        """Return how long the next message of a direction between hosts is under way."""
        return HOSTS_LATENCY * self.latency_s() + self.hosts.slow_s.get(direction.hosts, 0.0)

    def is_stalled(self, direction: Direction) -> bool:
        """Whether messages of a direction are held."""
        if self.stalled and direction.pair in self.stalled:
            return True
        return direction.is_between_hosts and self.hosts.is_cut(*direction.hosts)

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Call `action` later, in no process of the world."""
        self.loop.call_in_at(self.loop.outside, self.loop.now() + delay_s, action)

    def noticed(self, direction: Direction, head: Buffer) -> None:
        """Called when a message has arrived."""
        now = self.loop.now()
        self.loop.record(now, *direction.pair, zlib.crc32(head))
        self._journal.arrived(now, direction.label, head)

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
        """Return a connection to an address; None if the answer is that no process listens there."""
        found = self._transports.get(address)
        if found is None:
            host = self.hosts.silent_host(address, source.host)
            return None if host is None else self._unanswered(link, source, host, next_name())
        transport, target = found
        if (source.number, target.number) in self.severed:
            return None
        connection = Connection(self, link, source, transport, target, next_name())
        self.connections[connection] = None
        connection.open()
        return connection

    def forget(self) -> None:
        """Drop every connection. Called when the run is over."""
        self._transports.clear()
        self.connections.clear()
        self.holding.clear()
        self._silent.clear()

    def of_process(self, process: SimulatedProcess) -> list[Connection]:
        """Return the open connections that a process has made or accepted."""
        return [c for c in self.connections if process in (c.forward.source, c.forward.target)]

    def sever(self, one: SimulatedProcess, other: SimulatedProcess) -> None:
        """Break every connection between two processes, and let them make none until `mend`."""
        pairs = {(one.number, other.number), (other.number, one.number)}
        self.severed |= pairs
        for connection in list(self.connections):
            if connection.forward.pair in pairs:
                connection.cut()

    def mend(self, one: SimulatedProcess, other: SimulatedProcess) -> None:
        """Let two processes connect again."""
        self.severed -= {(one.number, other.number), (other.number, one.number)}

    def stall(self, pairs: Iterable[Pair]) -> None:
        """Hold what is sent between these processes, until `heal`."""
        self.stalled.update(pairs)

    def heal(self, pairs: Iterable[Pair]) -> None:
        """Let messages between these processes travel again, also those that were held."""
        self.stalled.difference_update(pairs)
        self._release()

    def _release(self) -> None:
        holding, self.holding = self.holding, {}
        for direction in holding:
            if self.is_stalled(direction):
                self.holding[direction] = None
            else:
                direction.release()

    # Hosts

    def join(self, pairs: Iterable[Pair]) -> None:
        """Let messages between these hosts travel again, also those that were held."""
        self.hosts.cut.difference_update(pairs)
        self._release()

    def resume(self, host: int) -> None:
        """Let messages to and from a host that stood still travel again."""
        self.hosts.paused.discard(host)
        self._release()

    def power_lost(self, host: int) -> None:
        """Called before all processes of a host die without a word: other hosts notice nothing for a while."""
        self.hosts.dark.add(host)
        self.hosts.paused.discard(host)
        for connection in list(self.connections):
            if connection.forward.is_between_hosts and host in connection.forward.hosts:
                connection.falls_silent(host)
                self._silent[host].append(connection)
                self.after(TIMEOUT_S, connection.cut)

    def power_back(self, host: int) -> None:
        """Called when a host is up again: it resets what it does not know, when it next hears of it."""
        self.hosts.dark.discard(host)
        for connection in self._silent.pop(host, []):
            self.after(MAX_RESET_S * self._random(), partial(self._reset, connection))

    def _reset(self, connection: Connection) -> None:
        if not self.hosts.are_apart(*connection.forward.hosts):
            connection.cut()

    def _unanswered(self, link: SimulatedLink, source: SimulatedProcess, host: int, name: bytes) -> Connection:
        """Return a connection to a host that says nothing."""
        nobody = SimulatedProcess("nobody", 0, host)
        nobody.crash()
        connection = Connection(self, link, source, None, nobody, name)
        connection.is_open_there = False
        self.connections[connection] = None
        self._silent[host].append(connection)
        connection.open()
        return connection
