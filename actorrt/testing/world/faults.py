"""What fails in a world, how often, and to whom: drawn from the seed."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

from actorrt.background import IS_BACKGROUND
from actorrt.testing.shells.chance import Chance
from actorrt.testing.shells.host import Host
from actorrt.testing.shells.host_links import Pair
from actorrt.testing.virtual.processes import COMPUTING, STOPPED, WAITING, SimulatedProcess
from actorrt.testing.world.hosts import Hosts

MAX_FREEZE_S: Final = 6.0
MAX_HANG_S: Final = 30.0
MAX_CUT_S: Final = 8.0  # longer than the connect timeout, so that some peers are given up
MAX_FLAPS_COUNT: Final = 6
MAX_CALLBACKS_COUNT: Final = 60
"""A kill waits for so many callbacks of its victim at most, so that it comes between any two awaits."""
MAX_FULL_S: Final = 10.0
MAX_DOWN_S: Final = 30.0  # longer than the network's timeout, so that some hosts are given up
MAX_SLOW_S: Final = 5.0
SLOW_HZ: Final = 0.05
"""How often the link between two hosts is slow, if messages are delayed at all."""
HOST_SHARE: Final = 0.4
"""Which share of cuts and freezes concerns whole hosts, if there are several."""


@dataclass(frozen=True)
class Faults:
    """How often things fail: rates in a virtual second, except for `delay_s`.

    Attributes:
        drop: connections that break, with what is under way on them.
        delay_s: the longest delay of a message, in seconds. With several hosts, the link between two of them delays
            each message by up to so much for up to 5 s, now and then.
        cut: pairs of processes, or of hosts, between which nothing arrives for up to 8 s, in one direction or both,
            once or a few times.
        crash: hosts that lose their power, and start again after up to 30 s; not the host 0, where `main` runs.
        freeze: processes, or hosts, that stand still for up to 6 s.
        spawn_failure: workers that get no process, for want of descriptors.
        disk_full: times of up to 10 s in which the disk of a host is full.
        disk_error: times of up to 10 s in which reads and writes of the disk of a host may fail, and files may be torn.
        kill: worker processes that are killed, between any two of their callbacks.
        hang: worker processes whose loops are blocked, or compute, for up to 30 s.

    Raises:
        ValueError: a rate is negative.
    """

    drop: float = 0.0
    delay_s: float = 0.0
    cut: float = 0.0
    crash: float = 0.0
    freeze: float = 0.0
    spawn_failure: float = 0.0
    disk_full: float = 0.0
    disk_error: float = 0.0
    kill: float = 0.0
    hang: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 0:
                raise ValueError(f"{field.name}={value!r}: give a rate in a virtual second, of at least 0")


class FaultInjector:
    """Makes things fail until `stop`.

    Args:
        faults: how often.
        seed: decides when and to whom.
        hosts: where things fail.

    Attributes:
        only: the numbers of the faults that happen, counted from 1; None: all of them. The others are as they would be,
            since each draws its own chance.
        is_disturbed: whether a process was made silent, or separated, by the world's user.
        count: how many faults there have been, those included that were left out.
    """

    def __init__(self, faults: Faults, seed: int, hosts: Hosts) -> None:
        self._faults = faults
        self._seed = seed
        self._hosts = hosts
        self._loop = hosts.loop
        self._network = hosts.network
        self._note = hosts.journal.note
        self._failing_spawns_count = 0
        self._is_over = False
        self.is_disturbed = False
        self.only: Container[int] | None = None
        self.count = 0

    def start(self) -> None:
        """Begin."""
        self._network.max_delay_s = self._faults.delay_s
        for name, strike in (
            ("drop", self._drop),
            ("cut", self._cut),
            ("freeze", self._freeze),
            ("spawn_failure", self._fail_spawn),
            ("disk_full", self._fill_disk),
            ("disk_error", self._fail_disk),
            ("kill", self._kill),
            ("hang", self._hang),
            ("crash", self._crash),
            ("slow", self._slow),
        ):
            rate_hz = self._rate_hz(name)
            if rate_hz:
                self._arm(name, Chance(self._seed, f"times of {name}"), rate_hz, strike)

    def _rate_hz(self, name: str) -> float:
        if name == "slow":
            return SLOW_HZ if self._faults.delay_s and len(self._hosts) > 1 else 0.0
        rate_hz: float = getattr(self._faults, name)
        return rate_hz

    def stop(self) -> None:
        """Let nothing fail any more, and undo what can be undone; hosts that are down stay down."""
        self._is_over = True
        self._failing_spawns_count = 0
        self._network.max_delay_s = 0.0
        self._hosts.heal()
        self._network.severed.clear()

    def is_prompt(self) -> bool:
        """Whether no process is silent or cut off, now or at any time before; False where there are several hosts."""
        faults = self._faults
        return not (faults.cut or faults.freeze or faults.hang or self.is_disturbed or len(self._hosts) > 1)

    def sever(self, one: SimulatedProcess, other: SimulatedProcess, seconds: float) -> None:
        """Break every connection between two processes, and let them make none for some seconds, or until `stop`."""
        self._note(f"{one.name} and {other.name} are separated for {seconds:.3f} s")
        self.is_disturbed = True
        self._network.sever(one, other)
        self._after(seconds, lambda: self._network.mend(one, other))

    def spawn_fails(self) -> bool:
        """Called when a worker is to get a process; return whether it gets none."""
        fails = self._failing_spawns_count > 0
        self._failing_spawns_count -= fails
        return fails

    def _arm(self, name: str, times: Chance, rate_hz: float, strike: Callable[[Chance], None]) -> None:
        def due() -> None:
            if self._is_over:
                return
            self.count += 1
            if self.only is None or self.count in self.only:
                strike(Chance(self._seed, f"{name}, fault {self.count}"))
            self._arm(name, times, rate_hz, strike)

        self._after(times.until_next(rate_hz), due)

    def _after(self, delay_s: float, action: Callable[[], None]) -> None:
        context = self._loop.outside.new_context(is_background=True)
        context.run(IS_BACKGROUND.set, True)
        self._loop.call_at(self._loop.now() + delay_s, action, context=context)

    def _drop(self, chance: Chance) -> None:
        connections = list(self._network.connections)
        if connections:
            connection = chance.choice(connections)
            forward = connection.forward
            self._note(f"fault: a connection of {forward.source.name} to {forward.target.name} breaks")
            connection.cut()

    def _is_of_hosts(self, chance: Chance) -> bool:
        """Draw whether a fault concerns whole hosts."""
        return len(self._hosts) > 1 and chance.random() < HOST_SHARE

    def _two_hosts(self, chance: Chance) -> tuple[Host, Host]:
        one = chance.choice(self._hosts.all)
        return one, chance.choice([host for host in self._hosts.all if host is not one])

    def _cut(self, chance: Chance) -> None:
        if self._is_of_hosts(chance):
            one, other = self._two_hosts(chance)
            pairs = self._hosts.pairs(one.number, other.number, one_way=chance.random() < 0.5)
            link = _Cut(pairs, f"{one.name} and {other.name}", self._hosts.cut, self._hosts.join)
            self._stall(chance, link, _times(chance))
            return
        connections = list(self._network.connections)
        if not connections:
            return
        forward = chance.choice(connections).forward
        both = [forward.pair, forward.pair[::-1]]
        kind = int(chance.between(0, 3))
        chosen: list[Pair] = both if kind == 2 else [both[kind]]
        names = f"{forward.source.name} and {forward.target.name}"
        self._stall(chance, _Cut(chosen, names, self._network.stall, self._network.heal), _times(chance))

    def _stall(self, chance: Chance, cut: _Cut, times: int) -> None:
        """Let nothing arrive for a while, and again after another while, so many times."""
        length_s = MAX_CUT_S * chance.random() ** 3
        ways = "in one direction" if len(cut.pairs) == 1 else "in both directions"
        self._note(f"fault: between {cut.names} nothing arrives {ways} for {length_s:.3f} s")
        cut.begin(cut.pairs)

        def over() -> None:
            if self._is_over:
                return
            cut.end(cut.pairs)
            if times > 1:
                self._after(chance.random(), again)

        def again() -> None:
            if not self._is_over:
                self._stall(chance, cut, times - 1)

        self._after(length_s, over)

    def _slow(self, chance: Chance) -> None:
        one, other = self._two_hosts(chance)
        pair, length_s = (one.number, other.number), MAX_SLOW_S * chance.random()
        slow_s = self._network.hosts.slow_s[pair] = self._faults.delay_s * chance.random()
        self._note(f"fault: from {one.name} to {other.name} messages take {slow_s:.3f} s more, for {length_s:.3f} s")
        self._after(length_s, lambda: _forget(self._network.hosts.slow_s, pair))

    def _crash(self, chance: Chance) -> None:
        host, down_s = self._hosts.all[1 + int(chance.between(0, len(self._hosts) - 1))], MAX_DOWN_S * chance.random()
        victims = list(host.processes.values())
        if victims:
            count = int(chance.between(0, MAX_CALLBACKS_COUNT))
            self._loop.doom(chance.choice(victims), count, lambda: self._lose_power(host.number, down_s))

    def _lose_power(self, number: int, down_s: float) -> None:
        if self._is_over or self._hosts.is_down(number):
            return
        self._note(f"fault: {self._hosts.all[number].name} is without power for {down_s:.3f} s")
        self._hosts.crash(number)
        self._after(down_s, lambda: None if self._is_over else self._hosts.restart(number))

    def _freeze(self, chance: Chance) -> None:
        if self._is_of_hosts(chance):
            host, length_s = chance.choice(self._hosts.all), MAX_FREEZE_S * chance.random() ** 3
            self._note(f"fault: {host.name} stands still for {length_s:.3f} s")
            self._hosts.freeze(host.number)
            self._after(length_s, lambda: self._hosts.thaw(host.number))
            return
        process = chance.choice(list(self._hosts.processes()))
        if not process.is_frozen:
            length_s = MAX_FREEZE_S * chance.random() ** 3
            state = chance.choice((STOPPED, WAITING, COMPUTING))
            self._note(f"fault: {process.name} stands still for {length_s:.3f} s")
            self._loop.freeze(process, state)
            self._after(length_s, lambda: self._loop.thaw(process))

    def _hang(self, chance: Chance) -> None:
        processes = [process for process in self._hosts.workers() if not process.is_frozen]
        if processes:
            process, length_s = chance.choice(processes), MAX_HANG_S * chance.random()
            self._note(f"fault: {process.name} hangs for {length_s:.3f} s")
            self._loop.freeze(process, chance.choice((WAITING, COMPUTING)))
            self._after(length_s, lambda: self._loop.thaw(process))

    def _fail_spawn(self, _: Chance) -> None:
        self._failing_spawns_count += 1

    def _fail_disk(self, chance: Chance) -> None:
        host = chance.choice(self._hosts.all)
        if not host.disk.is_failing:
            length_s = MAX_FULL_S * chance.random() ** 2
            self._note(f"fault: the disk{f' of {host.name}' if host.name else ''} fails for {length_s:.3f} s")
            host.disk.is_failing = True
            self._after(length_s, lambda: setattr(host.disk, "is_failing", False))

    def _fill_disk(self, chance: Chance) -> None:
        host = chance.choice(self._hosts.all) if len(self._hosts) > 1 else self._hosts.all[0]
        if not host.disk.is_full:
            length_s = MAX_FULL_S * chance.random() ** 2
            self._note(f"fault: the disk{f' of {host.name}' if host.name else ''} is full for {length_s:.3f} s")
            host.disk.is_full = True
            self._after(length_s, lambda: setattr(host.disk, "is_full", False))

    def _kill(self, chance: Chance) -> None:
        processes = self._hosts.workers()
        if processes:
            process = chance.choice(processes)
            count = int(chance.between(0, MAX_CALLBACKS_COUNT))
            self._loop.doom(process, count, lambda: self._strike(process))

    def _strike(self, process: SimulatedProcess) -> None:
        self._note(f"fault: {process.name} is killed")
        self._hosts.kill(process)


def _forget(slow_s: dict[Pair, float], pair: Pair) -> None:
    slow_s.pop(pair, None)


def _times(chance: Chance) -> int:
    """Draw how often a link fails, one time soon after the other."""
    return 1 if chance.random() < 0.7 else int(chance.between(2, MAX_FLAPS_COUNT))


class _Cut(NamedTuple):
    """A link between two processes or hosts that may be cut: its pairs and names, and what cuts and joins it."""

    pairs: list[Pair]
    names: str
    begin: Callable[[list[Pair]], None]
    end: Callable[[list[Pair]], None]
