"""The programs of a world: each runs in a driver on a host, as `actorrt.run` has it, and dies with its host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from actorrt.completion import Completion
from actorrt.errors import RuntimeStateError
from actorrt.scopes import Scope
from actorrt.testing.shells.driver import SimulatedConnection, SimulatedRuntime
from actorrt.testing.virtual.processes import SimulatedProcess
from actorrt.testing.world.hosts import Defect, Hosts

T = TypeVar("T")

Main = Callable[..., Coroutine[Any, Any, T]]


class Program(Generic[T]):
    """One program.

    Args:
        hosts: the hosts.
        defect: called with a process and an exception that left the runtime's own code there.
        number: the host that it runs on.
        main, args: the coroutine function, and its arguments.

    Attributes:
        process: its process, once it has begun.
        outcome: what `main` has returned or raised; RuntimeStateError if the host crashed meanwhile.
    """

    def __init__(self, hosts: Hosts, defect: Defect, number: int, main: Main[T], args: tuple[Any, ...]) -> None:
        self._hosts = hosts
        self._defect = defect
        self._number = number
        self._main = main
        self._args = args
        self.process: SimulatedProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self.outcome: Completion[T] = Completion()

    def start(self) -> None:
        """Start it, when the node of the host is up."""
        up = self._hosts.up(self._number)
        if self.outcome.done():
            return
        if not up.done():
            up.add_callback(lambda _: self.start())
            return
        host, node = self._hosts.all[self._number], self._hosts.nodes[self._number]
        process = self.process = host.new_process(host.name_for("driver"))
        process.on_crash.append(self._ended)
        self._hosts.loop.call_in(process, self._begin, SimulatedConnection(host, node, process))

    def _begin(self, connection: SimulatedConnection) -> None:
        process = self.process
        assert process is not None
        scope = Scope("driver", lambda error: self._defect(process, error))
        self._task = scope.start(self._drive(connection, process), "main")

    async def _drive(self, connection: SimulatedConnection, process: SimulatedProcess) -> None:
        told: Completion[T] = Completion()
        try:
            async with SimulatedRuntime(connection):
                value = await self._main(*self._args)
        except (Exception, asyncio.CancelledError) as error:
            if error.__traceback__ is not None:
                told.raised_at(error.__traceback__)
            told.set_error(error)
        else:
            told.set_value(value)
        self._hosts.loop.call_in(self._hosts.loop.outside, self._over, process, told)

    def _over(self, process: SimulatedProcess, told: Completion[T]) -> None:
        """Called when the driver has ended."""
        if not process.is_alive:
            return
        if told.error() is None:
            self.outcome.set_value(told.value())
        else:
            self.outcome.set_error_of(told)
        process.crash()

    def _ended(self) -> None:
        """Called when the process is gone."""
        name = getattr(self._main, "__name__", repr(self._main))
        host = self._hosts.all[self._number].name or "the host"
        self.outcome.set_error(RuntimeStateError(f"{host} crashed, and the program {name}() with it"))

    def cancel(self) -> None:
        """Cancel it, as Ctrl-C does; no effect if it has ended."""
        if self.process is None:
            self.outcome.set_error(asyncio.CancelledError())
        elif self._task is not None:
            self._hosts.loop.call_in(self.process, self._task.cancel)
