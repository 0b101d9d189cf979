"""A world: hosts with a node each, and drivers, in this process, in virtual time, from a seed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Coroutine
from typing import Any, Final, Literal, NoReturn, TypeAlias, TypeVar

from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.actors.refs import current
from actorrt.actors.refs.ref import ActorRef
from actorrt.completion import Completion, set_blocking_rule
from actorrt.errors import RuntimeStateError
from actorrt.node.driver.runtime import finished, refuse_to_block
from actorrt.protocol.nodes import LookUp
from actorrt.store.table.ref_transits import TRANSIT_GRACE_S
from actorrt.testing.shells.chance import Chance
from actorrt.testing.shells.host import STORE_BYTES
from actorrt.testing.shells.journal import Journal
from actorrt.testing.shells.network import SimulatedNetwork
from actorrt.testing.shells.threads import SimulatedThreads
from actorrt.testing.virtual.fences import fenced
from actorrt.testing.virtual.loop import START_S, VirtualLoop
from actorrt.testing.virtual.processes import WAITING, SimulatedProcess, buried_silently
from actorrt.testing.virtual.stuck import Stuck
from actorrt.testing.world.consistency import check_incarnations, check_process
from actorrt.testing.world.faults import FaultInjector, Faults
from actorrt.testing.world.hosts import Hosts
from actorrt.testing.world.oracles import Oracles
from actorrt.testing.world.programs import Main, Program
from actorrt.testing.world.story import who_waits

T = TypeVar("T")

End: TypeAlias = Literal["driver", "node"]
"""A process that is no worker."""
CLOSE_WITHIN_S: Final = 300.0
"""How long the world may take to end after `main`, in virtual time, although nothing fails any more."""
CHECK_EVERY_COUNT: Final = 64


class World:
    """Hosts in this process, in virtual time: each has a node, and runs drivers.

    The daemon's core, workers, drivers, actors, supervision and the store's core are the real ones. Network, processes,
    identities, time and chance are fakes that follow the seed. A world runs once.

    Several hosts do not form a cluster. A ref works on every host, an object is fetched from the host that has made it,
    and nothing else is shared. Their monotonic clocks begin at different times, and are not equally fast.

    Args:
        seed: decides everything that chance decides.
        hosts: the number of hosts. A host is known by its index.
        cpus: the CPUs of each host, which actors can reserve.
        faults: what fails, and how often, while `main` runs; None: only what the world is told to.
        store_bytes: the bound on the memory of each host's object store.

    Attributes:
        faults: what fails.
        check_every_count: after so many callbacks, the tables of the runtime are checked for contradictions.

    Raises:
        ValueError: an argument has a value that is not supported.
    """

    def __init__(
        self,
        seed: int,
        *,
        hosts: int = 1,
        cpus: int = 4,
        faults: Faults | None = None,
        store_bytes: int = STORE_BYTES,
    ) -> None:
        if type(hosts) is not int or hosts < 1:
            raise ValueError(f"hosts={hosts!r}: give the number of hosts, of at least 1")
        self.faults = faults or Faults()
        if self.faults.crash and hosts == 1:
            raise ValueError(
                f"crash={self.faults.crash!r}: the host 0 does not crash, since main runs there; add hosts"
            )
        self._seed = seed
        self._loop = loop = VirtualLoop(seed)
        loop.run_in_thread = SimulatedThreads(loop, Chance(seed, "executors")).run
        self._journal = Journal(loop.now, START_S)
        self._defects: list[BaseException] = []
        network = SimulatedNetwork(loop, Chance(seed, "network"), self._journal)
        self._hosts = Hosts(loop, network, seed, self._journal, self._defect, hosts, cpus, store_bytes)
        self._programs: list[Program[Any]] = []
        self._driver: SimulatedProcess | None = None
        self._injector = FaultInjector(self.faults, seed, self._hosts)
        self._oracles = Oracles(self._hosts, self._journal.note, self._injector.is_prompt)
        self._hosts.spawn_fails = self._injector.spawn_fails
        self._has_run = self._is_calm = False
        self.check_every_count = CHECK_EVERY_COUNT

    def run(self, main: Main[T], *args: Any, timeout_s: float = 86_400) -> T:
        """Run the coroutine function `main(*args)` in a driver on the host 0, as `actorrt.run` does.

        Inside, `time.*` and the global `random` follow the seed. Threads, real sockets, blocking sleeps and the
        operating system's entropy are refused.

        Returns:
            The result of `main`.

        Raises:
            Stuck: only the runtime's own periodic timers are left; the text says who waits for what.
            TimeoutError: `main` has not ended after `timeout_s` seconds of virtual time.
            RuntimeStateError: this world has run, or the host 0 has crashed.
            BrokenPromiseError, BrokenInvariantError: the runtime broke what it promises, or contradicts itself.
            What `main` raises; and the first exception that left the runtime's own code.
        """
        if not asyncio.iscoroutinefunction(main):
            raise TypeError(f"run({main!r}): give a coroutine function, then its arguments")
        if self._has_run:
            raise RuntimeStateError("a World runs once: make another one, of the same seed to see the same again")
        self._has_run = True
        loop = self._loop
        loop.deadline = START_S + timeout_s
        loop.on_stuck, loop.on_late, loop.on_switch = self._stuck, self._late, _switch
        loop.on_check, loop.check_every_count = self._check, self.check_every_count
        loop.on_look, loop.look_at = self._look, self._oracles.next_look
        outcome: Completion[T] = Completion()
        self._run_fenced(self._live(main, args, outcome))
        if self._defects:
            raise self._defects[0]
        self._oracles.raise_found(self._seed, outcome.error())
        return outcome.value()

    def _run_fenced(self, life: Coroutine[Any, Any, None]) -> None:
        """Run the life of the world, with everything virtual, and leave nothing of it behind."""
        before = current.process_endpoint()
        set_blocking_rule(refuse_to_block)
        try:
            with fenced(self._loop, self._seed), self._oracles.watching():
                try:
                    self._loop.run_until_complete(life)
                finally:
                    self._bury()
        finally:
            set_blocking_rule(None)
            current.set_process_endpoint(before)
            self._loop.close()

    async def _live(self, main: Main[T], args: tuple[Any, ...], outcome: Completion[T]) -> None:
        """Start the nodes, run `main` in a driver, and stop the nodes."""
        hosts = self._hosts
        for host in hosts.all:
            hosts.start(host.number)
        for host in hosts.all:
            await hosts.up(host.number)

        async def among_faults() -> T:
            self._injector.start()
            try:
                return await main(*args)
            finally:
                self._calm()

        among_faults.__name__ = getattr(main, "__name__", "main")
        program = Program(hosts, self._defect, 0, among_faults, ())
        program.start()
        self._driver = program.process
        await finished(program.outcome, None)
        self._calm()
        for other in self._programs:
            other.cancel()
            await finished(other.outcome, None)
        if len(hosts) > 1:  # what detached actors have of other hosts is released while all hosts are up
            for node in hosts.live():
                await node.end_jobs()
            await asyncio.sleep(TRANSIT_GRACE_S + 1)
            for node in hosts.live():
                node.host.store.sweep()  # what dead processes had sent is released at the hosts that have made it
            await asyncio.sleep(1)
        for node in hosts.live():
            node.stop()
            await node.ended
        await asyncio.sleep(TRANSIT_GRACE_S + 1)  # the store keeps so long what dead processes had sent
        self._oracles.look_at_end()
        if program.outcome.error() is None:
            outcome.set_value(program.outcome.value())
        else:
            outcome.set_error_of(program.outcome)

    def _calm(self) -> None:
        """Called when `main` has ended: nothing fails any more, and everything has to end soon. Idempotent."""
        if self._loop.present.is_alive and not self._is_calm:
            self._is_calm = True
            self._injector.stop()
            self._loop.deadline = self._loop.now() + CLOSE_WITHIN_S

    def _check(self) -> None:
        """Called after some callbacks."""
        check_process(self._hosts, self._loop.present)
        check_incarnations(self._hosts)

    def _look(self) -> None:
        """Called from time to time."""
        self._oracles.look()
        self._loop.look_at = self._oracles.next_look

    def _bury(self) -> None:
        """End what is left, so that nothing of this run runs later, not even `finally` blocks."""
        loop = self._loop
        for process in loop.processes:
            process.crash()
        with buried_silently():
            for process in loop.processes:
                process.bury()
            loop.forget()
            self._hosts.forget()

    # Ends

    def _defect(self, process: SimulatedProcess, error: BaseException) -> None:
        self._journal.note(f"a defect of the runtime in {process.name}: {error!r}")
        self._defects.append(error)

    def _stuck(self) -> NoReturn:
        raise Stuck(f"nothing can happen any more at {self.now():.3f} s:\n  {who_waits(self._hosts)}")

    def _late(self) -> NoReturn:
        raise TimeoutError(f"not over at {self.now():.3f} s:\n  {who_waits(self._hosts)}")

    # Faults

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Call `action()` at a time, in virtual seconds since the start, unless `main` has ended by then.

        It belongs to no process of the world.
        """

        def due() -> None:
            if not self._is_calm:
                action()

        self._loop.call_in_at(self._loop.outside, START_S + seconds, due)

    def heal(self) -> None:
        """Let nothing fail any more.

        End `Faults`, start every host that is down, thaw every process, let every message travel, and empty the disks.
        """
        self._injector.stop()
        for host in self._hosts.all:
            self._hosts.restart(host.number)

    def crash(self, host: int) -> None:
        """Let a host lose its power: its processes die at once, and other hosts notice nothing for a while.

        A host that is down stays down. If the host 0 crashes, `main` dies with it.

        Raises:
            ValueError: there is no such host.
        """
        self._hosts.crash(host)

    def restart(self, host: int) -> None:
        """Start a host that has crashed: with a new node, an empty store, and its disk. No effect if it is up.

        Raises:
            ValueError: there is no such host.
        """
        self._hosts.restart(host)

    def freeze(self, host: int) -> None:
        """Let a host stand still, with all its processes, until `thaw` or `heal`.

        Raises:
            ValueError: there is no such host.
        """
        self._injector.is_disturbed = True
        self._hosts.freeze(host)

    def thaw(self, host: int) -> None:
        """Let a host that stands still go on.

        Raises:
            ValueError: there is no such host.
        """
        self._hosts.thaw(host)

    def cut(self, a: int, b: int, *, one_way: bool = False) -> None:
        """Let nothing from host `a` arrive at host `b`, nor the other way unless it is `one_way`, until `heal`.

        Connections on which something waits for 20 s break.

        Raises:
            ValueError: there are no such hosts, or they are one.
        """
        self._hosts.cut(self._hosts.pairs(a, b, one_way=one_way))

    def slow(self, a: int, b: int, seconds: float) -> None:
        """Let each message between two hosts take so many seconds more, in both directions, until `heal`.

        Raises:
            ValueError: there are no such hosts, they are one, or the seconds are negative.
        """
        if not 0.0 <= seconds < float("inf"):
            raise ValueError(f"seconds={seconds!r}: give how many seconds more a message takes")
        for pair in self._hosts.pairs(a, b, one_way=False):
            self._hosts.network.hosts.slow_s[pair] = seconds

    def skew(self, host: int, seconds: float, *, drift: float | None = None) -> None:
        """Set the wall clock of a host so many seconds ahead of the right time.

        Args:
            host: the host.
            seconds: how far ahead; negative: behind.
            drift: how many seconds its clocks, also the monotonic one, gain in a second from now on; None: as before.

        Raises:
            ValueError: there is no such host, there is only one, or the drift is not above -1.
        """
        clock = self._hosts[host].machine_clock
        if clock is None:
            raise ValueError(f"host={host!r}: this World has one host, and no other clock to differ from")
        if drift is not None:
            clock.run_at(1.0 + drift, self._loop.now())
        clock.wall_skew_s += seconds - clock.wall_error_s(self._loop.now())

    def fill_disk(self, host: int = 0) -> None:
        """Let the disk of a host be full, until `heal`.

        Raises:
            ValueError: there is no such host.
        """
        self._hosts[host].disk.is_full = True

    def kill(self, ref: ActorRef[Any]) -> None:
        """Kill the process in which an actor runs, as SIGKILL does; light actors beside it die too.

        Raises:
            ValueError: the actor runs in no worker now.
        """
        process = self._process_of(ref)
        if process is None or not self._hosts.kill(process):
            raise ValueError(f"{ref!r} runs in no process that could be killed")

    def hang(self, ref: ActorRef[Any]) -> None:
        """Let the loop of the process in which an actor runs be blocked, until `heal`.

        Raises:
            ValueError: the actor runs in no process now.
        """
        process = self._process_of(ref)
        if process is None:
            raise ValueError(f"{ref!r} runs in no process that could hang")
        self._injector.is_disturbed = True
        self._loop.freeze(process, WAITING)

    def separate(self, one: ActorRef[Any] | End, other: ActorRef[Any] | End, seconds: float) -> None:
        """Separate two processes: their connections break, and they can't make new ones for some seconds.

        Args:
            one, other: an actor in each process; or `"driver"` or `"node"`, for the driver of `run` or its daemon.
            seconds: for how long.

        Raises:
            ValueError: an actor runs in no process now, or both are in one.
        """
        first, second = (self._process_of(end) for end in (one, other))
        if first is None or second is None or first is second:
            raise ValueError(f"{one!r} and {other!r} are not in two processes that could be separated")
        self._injector.sever(first, second, seconds)

    def is_running(self, ref: ActorRef[Any]) -> bool:
        """Whether an incarnation of an actor runs now."""
        cells = (endpoint.population.cell(ref._actor_id) for _, endpoint in self._hosts.endpoints())
        return any(cell is not None and cell.state is CellState.RUNNING for cell in cells)

    def _process_of(self, end: ActorRef[Any] | End) -> SimulatedProcess | None:
        if end == "node":
            return self._hosts.nodes[0].process
        if isinstance(end, str):
            return self._driver
        return next((p for p, e in self._hosts.endpoints() if e.population.cell(end._actor_id)), None)

    def only_faults(self, numbers: Container[int]) -> None:
        """Leave out the faults of `Faults` that have other numbers than these, counted from 1 in the order of time."""
        self._injector.only = numbers

    # Programs on other hosts

    def start(self, host: int, main: Main[T], *args: Any) -> Completion[T]:
        """Run `main(*args)` in another driver, on any host, as soon as the host is up. To be called inside `run`.

        All programs share Python's memory, but refs and values have to travel in messages of actors, as between
        processes: what `main` is given, returns and raises must contain none. A program that still runs when the `main`
        of `run` has ended is cancelled.

        Returns:
            What to await: what `main` returns or raises; RuntimeStateError if its host crashes before.

        Raises:
            ValueError: there is no such host.
        """
        if not asyncio.iscoroutinefunction(main):
            raise TypeError(f"start({host!r}, {main!r}): give a host, a coroutine function, then its arguments")
        program = Program(self._hosts, self._defect, self._hosts[host].number, main, args)
        self._programs.append(program)
        self._loop.call_in(self._loop.outside, program.start)
        return program.outcome

    async def lookup(self, host: int, name: str, timeout_s: float = 0.0) -> ActorRef[Any]:
        """Return the actor that has a name on a host, in the namespace "default", for the program that calls this.

        Raises:
            ValueError: there is no such host.
            NameNotFoundError: no actor there has the name after `timeout_s`.
            ActorDiedError, ActorUnavailableError: the host can't be reached.
        """
        node, endpoint = self._hosts.nodes[self._hosts[host].number], current_endpoint()
        asked = LookUp(namespace="default", name=name, timeout_s=timeout_s)
        return endpoint.refs.from_card(await endpoint.control.request(node.address, asked), node.address)

    # What happened

    def hosts_count(self) -> int:
        """Return the number of hosts."""
        return len(self._hosts)

    def faults_count(self) -> int:
        """Return how many faults of `Faults` there were, those included that were left out."""
        return self._injector.count

    def now(self) -> float:
        """Return the virtual seconds since the start."""
        return self._loop.now() - START_S

    def steps_count(self) -> int:
        """Return how many callbacks have run."""
        return self._loop.step_count

    def trace(self) -> list[str]:
        """Return who sent what to whom, when, and what failed: a line each, oldest first."""
        return self._journal.lines()

    def digest(self) -> str:
        """Return a hex string that is equal for equal seeds and programs."""
        return self._loop.digest()


def _switch(old: SimulatedProcess, new: SimulatedProcess) -> None:
    """Give the process that runs next its own process-wide state."""
    old.endpoint = current._process_endpoint  # without calls, since it happens with every turn
    current._process_endpoint = new.endpoint
