"""A world: a host with a node and a driver, in this process, in virtual time, from a seed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Coroutine
from typing import Any, Final, NoReturn, TypeVar

from actorrt.actors.refs import current
from actorrt.actors.refs.ref import ActorRef
from actorrt.completion import Completion, set_blocking_rule
from actorrt.errors import RuntimeStateError
from actorrt.node.driver.runtime import refuse_to_block
from actorrt.scopes import Scope
from actorrt.store.table.ref_transits import TRANSIT_GRACE_S
from actorrt.testing.shells.chance import Chance
from actorrt.testing.shells.driver import SimulatedConnection, SimulatedRuntime
from actorrt.testing.shells.host import Host
from actorrt.testing.shells.journal import Journal
from actorrt.testing.shells.network import SimulatedNetwork
from actorrt.testing.shells.node import SimulatedNode
from actorrt.testing.shells.threads import SimulatedThreads
from actorrt.testing.virtual.fences import fenced
from actorrt.testing.virtual.loop import START_S, VirtualLoop
from actorrt.testing.virtual.processes import WAITING, SimulatedProcess, buried_silently
from actorrt.testing.virtual.stuck import Stuck
from actorrt.testing.world.consistency import check_incarnations, check_process
from actorrt.testing.world.faults import FaultInjector, Faults
from actorrt.testing.world.oracles import Oracles
from actorrt.testing.world.story import who_waits

T = TypeVar("T")

Main = Callable[..., Coroutine[Any, Any, T]]

CLOSE_WITHIN_S: Final = 300.0
"""How long the world may take to end after `main`, in virtual time, although nothing fails any more."""
CHECK_EVERY_COUNT: Final = 64


class World:
    """A node and a driver in this process, in virtual time.

    The daemon's core, workers, drivers, actors, supervision and the store's core are the real ones. Network, processes,
    identities, time and chance are fakes that follow the seed. A world runs once.

    Args:
        seed: decides everything that chance decides.
        hosts: the number of hosts; one, for now.
        cpus: the CPUs of each host, which actors can reserve.
        faults: what fails, and how often, while `main` runs; None: only what the world is told to.

    Attributes:
        faults: what fails.
        check_every_count: after so many callbacks, the tables of the runtime are checked for contradictions.

    Raises:
        ValueError: an argument has a value that is not supported.
    """

    def __init__(self, seed: int, *, hosts: int = 1, cpus: int = 4, faults: Faults | None = None) -> None:
        if hosts != 1:
            raise ValueError(f"hosts={hosts!r}: a World has one host, for now")
        self._seed = seed
        self._loop = loop = VirtualLoop(seed)
        loop.run_in_thread = SimulatedThreads(loop, Chance(seed, "executors")).run
        self._journal = Journal(loop.now, START_S)
        self._defects: list[BaseException] = []
        network = SimulatedNetwork(loop, Chance(seed, "network"), self._journal)
        self._host = Host(loop, network, seed, self._journal, self._defect)
        self._node = SimulatedNode(self._host, "node", cpus)
        self._oracles = Oracles(self._host, self._node, self._journal.note)
        self.faults = faults or Faults()
        self._injector = FaultInjector(self.faults, seed, self._host, self._node.workers)
        self._node.workers.spawn_fails = self._injector.spawn_fails
        self._has_run = False
        self.check_every_count = CHECK_EVERY_COUNT
        self._next_check = 0

    def run(self, main: Main[T], *args: Any, timeout_s: float = 86_400) -> T:
        """Run the coroutine function `main(*args)` in a driver on the world's host, as `actorrt.run` does.

        Inside, `time.*` and the global `random` follow the seed. Threads, real sockets, blocking sleeps and the
        operating system's entropy are refused.

        Returns:
            The result of `main`.

        Raises:
            Stuck: only the runtime's own periodic timers are left; the text says who waits for what.
            TimeoutError: `main` has not ended after `timeout_s` seconds of virtual time.
            RuntimeStateError: this world has run.
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
        loop.on_stuck, loop.on_late, loop.on_switch, loop.on_step = self._stuck, self._late, _switch, self._step
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
        """Start the node, run `main` in a driver, and stop the node."""
        host, node, loop = self._host, self._node, self._loop
        node.start()
        await node.up
        driver = host.new_process("driver")
        ended: Completion[None] = Completion()

        async def drive() -> None:
            try:
                async with SimulatedRuntime(SimulatedConnection(host, node, driver)):
                    self._injector.start()
                    try:
                        value = await main(*args)
                    finally:
                        self._calm()
            except (Exception, asyncio.CancelledError) as error:
                if driver.is_alive:
                    if error.__traceback__ is not None:
                        outcome.raised_at(error.__traceback__)
                    outcome.set_error(error)
            else:
                outcome.set_value(value)
            loop.call_in(loop.outside, ended.set_value, None)

        loop.call_in(driver, lambda: Scope("driver", lambda error: self._defect(driver, error)).start(drive(), "main"))
        await ended
        driver.crash()
        node.stop()
        await node.ended
        await asyncio.sleep(TRANSIT_GRACE_S + 1)  # the store keeps so long what dead processes had sent
        host.sweep_store()
        self._oracles.look_at_end()

    def _calm(self) -> None:
        """Called when `main` has ended: nothing fails any more, and everything has to end soon."""
        if self._loop.present.is_alive:
            self._injector.stop()
            self._loop.deadline = self._loop.now() + CLOSE_WITHIN_S

    def _step(self) -> None:
        """Called after some callbacks of a process."""
        if self._loop.step_count >= self._next_check:
            self._next_check = self._loop.step_count + self.check_every_count
            check_process(self._host, self._node, self._loop.present)
            check_incarnations(self._host)
        if self._loop.now() >= self._oracles.next_look:
            self._oracles.look()

    def _bury(self) -> None:
        """End what is left, so that nothing of this run runs later, not even `finally` blocks."""
        loop = self._loop
        for process in loop.processes:
            process.crash()
        with buried_silently():
            for process in loop.processes:
                process.bury()
            loop.forget()
            self._host.forget()
            self._node.workers.forget()

    # Ends

    def _defect(self, process: SimulatedProcess, error: BaseException) -> None:
        self._journal.note(f"a defect of the runtime in {process.name}: {error!r}")
        self._defects.append(error)

    def _stuck(self) -> NoReturn:
        raise Stuck(f"nothing can happen any more at {self.now():.3f} s:\n  {who_waits(self._loop, self._host)}")

    def _late(self) -> NoReturn:
        raise TimeoutError(f"not over at {self.now():.3f} s:\n  {who_waits(self._loop, self._host)}")

    # Faults

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Call `action()` at a time, in virtual seconds since the start. It belongs to no process of the world."""
        context = self._loop.outside.new_context(is_background=False)
        self._loop.call_at(START_S + seconds, action, context=context)

    def heal(self) -> None:
        """Let nothing fail any more: end `Faults`, thaw every process, let every message travel, and empty the disk."""
        self._injector.stop()

    def fill_disk(self, host: int = 0) -> None:
        """Let the disk of a host be full, until `heal`.

        Raises:
            ValueError: there is no such host.
        """
        if host != 0:
            raise ValueError(f"host={host!r}: this World has the host 0 only")
        self._host.disk.is_full = True

    def kill(self, ref: ActorRef[Any]) -> None:
        """Kill the process in which an actor runs, as SIGKILL does; light actors beside it die too.

        Raises:
            ValueError: the actor runs in no worker now.
        """
        process = self._process_of(ref)
        if process is None or not self._node.workers.kill_process(process):
            raise ValueError(f"{ref!r} runs in no process that could be killed")

    def hang(self, ref: ActorRef[Any]) -> None:
        """Let the loop of the process in which an actor runs be blocked, until `heal`.

        Raises:
            ValueError: the actor runs in no process now.
        """
        process = self._process_of(ref)
        if process is None:
            raise ValueError(f"{ref!r} runs in no process that could hang")
        self._loop.freeze(process, WAITING)

    def _process_of(self, ref: ActorRef[Any]) -> SimulatedProcess | None:
        return next((p for p, e in self._host.endpoints.items() if e.population.cell(ref._actor_id)), None)

    def only_faults(self, numbers: Container[int]) -> None:
        """Leave out the faults of `Faults` that have other numbers than these, counted from 1 in the order of time."""
        self._injector.only = numbers

    # What happened

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
    old.endpoint = current.process_endpoint()
    current.set_process_endpoint(new.endpoint)
