"""Cells on a host of fakes: what a cell does to the rest of its endpoint is noted."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from actorrt.actors.cells.cell import Cell
from actorrt.actors.cells.cell_host import CellHost
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.refs.message import Message
from actorrt.actors.running.runners import Runners
from actorrt.actors.wire.interface import of_class
from actorrt.actors.wire.payload import Payloads
from actorrt.ids import IdSource
from actorrt.machine.clock import ManualClock
from actorrt.scopes import Scope
from tests.unit.records import crashed

IDS = IdSource()


class Caller:
    """Somebody who calls; keeps what is said to them."""

    def __init__(self):
        self.granted = []
        self.is_far = False

    def grant(self, actor_id, messages, size_bytes, settlement):
        self.granted.append((messages, settlement))


class Noted:
    """Stands for whoever hears of what happens in cells.

    Attributes:
        outcomes: what became of messages, by their methods.
        events: what happened to cells.
    """

    def __init__(self):
        self.outcomes = []
        self.events = []

    def succeed(self, message, result):
        self.outcomes.append((message.method, result))

    answer = succeed

    def fail(self, message, error):
        self.outcomes.append((message.method, f"{type(error).__name__}: {error}"))

    def refuse(self, message, error):
        self.outcomes.append((message.method, type(error).__name__, error.executed))

    def unopened(self, message, error):
        self.outcomes.append((message.method, "unopened", str(error)))

    def overflowed(self, cell, message):
        self.outcomes.append((message.method, "overflowed"))

    def exited(self, cell, reason, *, is_administrative):
        self.events.append(("exited", cell.incarnation, str(reason), is_administrative))

    def handled_first(self, cell):
        self.events.append(("handled first", cell.incarnation))

    def settle_interrupted(self, cell, delay_s=0.0):
        interrupted = cell.take_interrupted()
        for message in interrupted:
            message.is_over = True  # as a host does, which has told the caller
        self.events.append(("settled", [message.method for message in interrupted]))

    def allocated(self, cell):
        self.events.append(("allocated",))

    def suspect(self, cell):
        self.events.append(("crowded",))

    async def serve(self, message, generator):
        return list(generator)

    def send_waiting(self, route):
        self.events.append(("send waiting", route))

    def hold(self):
        """Called before a step, as a transport."""

    def release(self):
        """Called after a step, as a transport."""


class Stage:
    """A host of fakes, with as many cells as a test wants.

    Attributes:
        noted: what happened.
        clock, scope: of the host.
        me: this endpoint as a caller.
    """

    def __init__(self):
        self.noted, self.clock, self.me = Noted(), ManualClock(), Caller()
        self.scope = Scope("test", crashed)
        self.watched = []
        self.snapshots = SimpleNamespace()
        self.host = CellHost(
            endpoint=None,
            loop=asyncio.get_running_loop(),
            scope=self.scope,
            clock=self.clock,
            payloads=Payloads(None, None),
            local_caller=self.me,
            runners=Runners(self.scope, self.noted),
            outcomes=self.noted,
            mailboxes=self.noted,
            deadlocks=self.noted,
            serving=self.noted,
            snapshots=self.snapshots,
            crash_notes=None,
            watches=self,
            ref_to=lambda cell: ("ref to", cell.label),
            find_sibling=lambda cell, id: ("sibling", id),
            send_waiting=self.noted.send_waiting,
        )
        self.host.life = self.noted

    def monitor(self, cell, ref):
        self.watched.append(("monitor", ref))

    def link(self, cell, ref):
        self.watched.append(("link", ref))

    def unlink(self, cell, ref):
        self.watched.append(("unlink", ref))

    def cell(self, cls: type, *args: Any, **options: Any) -> Cell:
        """Return a cell of an actor that has not started."""
        kept = ActorOptions.of({"name": "actor", **options})
        blueprint = SimpleNamespace(
            cls=cls,
            options=kept,
            interface=of_class(cls),
            arguments=lambda: (args, {}),
            stops_at_once=not hasattr(cls, "on_stop"),
            authority="the authority",
            is_child_here=False,
            namespace="default",
            parent_ref=None,
        )
        return Cell(self.host, IDS.actor(), blueprint)

    def running(self, cls: type, *args: Any, **options: Any) -> Cell:
        """Return a cell whose first incarnation runs."""
        cell = self.cell(cls, *args, **options)
        cell.start_at_once(1)
        return cell

    def message(self, method: str, *args: Any, caller: Any = None, call_id: int = 1, **more: Any) -> Message:
        """Return a call, of this endpoint if `caller` is not given."""
        return Message(caller or self.me, call_id, method, args, (), more.get("deadline"), more.get("options"))

    def tell(self, method: str, *args: Any) -> Message:
        """Return a tell of this endpoint."""
        return self.message(method, *args, call_id=0)

    async def settled(self) -> None:
        """Let everything happen that can without time going by."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def close(self) -> None:
        await self.scope.close()
