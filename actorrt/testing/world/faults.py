"""What fails in a world, how often, and to whom: drawn from the seed."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, fields
from typing import Final, Protocol

from actorrt.background import IS_BACKGROUND
from actorrt.testing.shells.chance import Chance
from actorrt.testing.shells.host import Host
from actorrt.testing.shells.network import Pair
from actorrt.testing.virtual.processes import COMPUTING, STOPPED, WAITING, SimulatedProcess

MAX_FREEZE_S: Final = 6.0
MAX_HANG_S: Final = 30.0
MAX_CUT_S: Final = 8.0  # longer than the connect timeout, so that some peers are given up
MAX_FLAPS_COUNT: Final = 6
MAX_CALLBACKS_COUNT: Final = 60
"""A kill waits for so many callbacks of its victim at most, so that it comes between any two awaits."""
MAX_FULL_S: Final = 10.0
_LATER: Final = ("crash",)


@dataclass(frozen=True)
class Faults:
    """How often things fail: rates in a virtual second, except for `delay_s`.

    Attributes:
        drop: connections that break, with what is under way on them.
        delay_s: the longest delay of a message, in seconds.
        cut: pairs of processes between which nothing arrives for up to 8 s, in one direction or both, once or a few
            times.
        crash: hosts that crash; not supported yet.
        freeze: processes that stand still for up to 6 s.
        spawn_failure: workers that get no process, for want of descriptors.
        disk_full: times of up to 10 s in which the disk is full.
        kill: worker processes that are killed, between any two of their callbacks.
        hang: worker processes whose loops are blocked, or compute, for up to 30 s.

    Raises:
        ValueError: a rate is negative, or not supported yet.
    """

    drop: float = 0.0
    delay_s: float = 0.0
    cut: float = 0.0
    crash: float = 0.0
    freeze: float = 0.0
    spawn_failure: float = 0.0
    disk_full: float = 0.0
    kill: float = 0.0
    hang: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 0:
                raise ValueError(f"{field.name}={value!r}: give a rate in a virtual second, of at least 0")
            if value and field.name in _LATER:
                raise ValueError(f"{field.name}={value!r}: a World can't do that yet; leave it out")


class Killer(Protocol):
    """The processes of workers, and what kills them."""

    def processes(self) -> list[SimulatedProcess]:
        """Return the processes of the workers that live."""

    def kill_process(self, process: SimulatedProcess) -> bool:
        """Send SIGKILL."""


class FaultInjector:
    """Makes things fail until `stop`.

    Args:
        faults: how often.
        seed: decides when and to whom.
        host: where things fail.
        workers: its worker processes.

    Attributes:
        only: the numbers of the faults that happen, counted from 1; None: all of them. The others are as they would be,
            since each draws its own chance.
        count: how many faults there have been, those included that were left out.
    """

    def __init__(
        self,
        faults: Faults,
        seed: int,
        host: Host,
        workers: Killer,
    ) -> None:
        self._faults = faults
        self._seed = seed
        self._loop = host.loop
        self._network = host.network
        self._disk = host.disk
        self._processes = host.processes
        self._note = host.journal.note
        self._workers = workers
        self._failing_spawns_count = 0
        self._is_over = False
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
            ("kill", self._kill),
            ("hang", self._hang),
        ):
            rate_hz = getattr(self._faults, name)
            if rate_hz:
                self._arm(name, Chance(self._seed, f"times of {name}"), rate_hz, strike)

    def stop(self) -> None:
        """Let nothing fail any more, and undo what can be undone."""
        self._is_over = True
        self._failing_spawns_count = 0
        self._network.max_delay_s = 0.0
        self._network.heal(list(self._network.stalled))
        self._disk.is_full = False
        for process in self._processes.values():
            process.doom = None
            self._loop.thaw(process)

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

    def _cut(self, chance: Chance) -> None:
        connections = list(self._network.connections)
        if not connections:
            return
        forward = chance.choice(connections).forward
        pairs = [forward.pair, forward.pair[::-1]]
        kind = int(chance.between(0, 3))
        chosen: list[Pair] = pairs if kind == 2 else [pairs[kind]]
        times = 1 if chance.random() < 0.7 else int(chance.between(2, MAX_FLAPS_COUNT))
        self._stall(chance, chosen, f"{forward.source.name} and {forward.target.name}", times)

    def _stall(self, chance: Chance, pairs: list[Pair], names: str, times: int) -> None:
        """Let nothing arrive for a while, and again after another while, so many times."""
        length_s = MAX_CUT_S * chance.random() ** 3
        ways = "in one direction" if len(pairs) == 1 else "in both directions"
        self._note(f"fault: between {names} nothing arrives {ways} for {length_s:.3f} s")
        self._network.stall(pairs)

        def over() -> None:
            if self._is_over:
                return
            self._network.heal(pairs)
            if times > 1:
                self._after(chance.random(), again)

        def again() -> None:
            if not self._is_over:
                self._stall(chance, pairs, names, times - 1)

        self._after(length_s, over)

    def _freeze(self, chance: Chance) -> None:
        process = chance.choice(list(self._processes.values()))
        if not process.is_frozen:
            length_s = MAX_FREEZE_S * chance.random() ** 3
            state = chance.choice((STOPPED, WAITING, COMPUTING))
            self._note(f"fault: {process.name} stands still for {length_s:.3f} s")
            self._loop.freeze(process, state)
            self._after(length_s, lambda: self._loop.thaw(process))

    def _hang(self, chance: Chance) -> None:
        processes = [process for process in self._workers.processes() if not process.is_frozen]
        if processes:
            process, length_s = chance.choice(processes), MAX_HANG_S * chance.random()
            self._note(f"fault: {process.name} hangs for {length_s:.3f} s")
            self._loop.freeze(process, chance.choice((WAITING, COMPUTING)))
            self._after(length_s, lambda: self._loop.thaw(process))

    def _fail_spawn(self, _: Chance) -> None:
        self._failing_spawns_count += 1

    def _fill_disk(self, chance: Chance) -> None:
        if not self._disk.is_full:
            length_s = MAX_FULL_S * chance.random() ** 2
            self._note(f"fault: the disk is full for {length_s:.3f} s")
            self._disk.is_full = True
            self._after(length_s, self._empty_disk)

    def _empty_disk(self) -> None:
        self._disk.is_full = False

    def _kill(self, chance: Chance) -> None:
        processes = self._workers.processes()
        if processes:
            process = chance.choice(processes)
            count = int(chance.between(0, MAX_CALLBACKS_COUNT))
            self._loop.doom(process, count, lambda: self._strike(process))

    def _strike(self, process: SimulatedProcess) -> None:
        self._note(f"fault: {process.name} is killed")
        self._workers.kill_process(process)
