"""The side of an endpoint that asks authorities for actors, whose answers the test gives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from actorrt.actors.api.actor import Actor
from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.endpoint.lookups import Lookups
from actorrt.actors.endpoint.ref_factory import RefFactory
from actorrt.actors.endpoint.spawn_orders import JobScope, Spawning
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.refs import current
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.actors.wire import interface
from actorrt.ids import ActorId, IdSource, JobId, PeerAddress
from actorrt.protocol.authorities import ActorCard, Sighting
from actorrt.scopes import Scope
from actorrt.store.values import pickling
from tests.unit.actors.calling.fakes import NODE, THERE, CallingSide, FakeControl

JOB, OTHER_JOB = JobId(b"j" * 16), JobId(b"k" * 16)
PARENT = ActorId(b"p" * 16)
LIGHT = ActorOptions.of({})


class Simulator(Actor):
    def __init__(self, env: str, seed: int = 0) -> None:
        self.env, self.seed = env, seed

    def step(self, action: int) -> None: ...


class NotingControl(FakeControl):
    """Notes notices, too."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[PeerAddress, Any]] = []

    def notify(self, to: PeerAddress, notice: Any) -> bool:
        self.told.append((to, notice))
        return True


class Asking(CallingSide):
    """An endpoint that spawns and looks up, on the test's loop."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        threads = LoopThread()
        threads.begin(scope.loop, scope)
        self.control: Any = NotingControl()
        self.known: dict[ActorId, ActorId] = {}
        self.refs = RefFactory(self, self.peers, lambda actor_id: self.known.get(actor_id, actor_id))
        belongs = JobScope(JOB, "default")
        self.spawning = Spawning(threads, self.control, IdSource(), self.refs, None, self.peers, belongs)
        self.lookups = Lookups(threads, self.control, self.peers, self.refs, "default")

    async def asked(self, count: int = 1) -> Any:
        """Return the newest request, once so many were made."""
        while len(self.control.asked) < count:
            await asyncio.sleep(0)
        return self.control.asked[-1]


@contextmanager
def inside(is_supervisor: bool = False, is_detached: bool = False) -> Iterator[Any]:
    """Run as code of an actor of this endpoint."""
    plan = SimpleNamespace(
        interface=interface.of_class(Simulator),
        authority=NODE,
        job=OTHER_JOB,
        namespace="theirs",
        is_detached=is_detached,
        is_supervisor=is_supervisor,
    )
    cell: Any = SimpleNamespace(
        actor_id=PARENT, incarnation=2, blueprint=plan, options=LIGHT, has_distant_children=False, label="the parent"
    )
    cell.state = CellState.RUNNING
    in_hand: Any = SimpleNamespace(cell=cell)
    token = current.message.set(in_hand)
    try:
        yield cell
    finally:
        current.message.reset(token)


def card(actor: ActorId, name: str | None = None) -> ActorCard:
    packed, _ = pickling.dumps((interface.of_class(Simulator).to_data(), 2.5))
    return ActorCard(actor=actor, card=packed, name=name, seen=Sighting(THERE, 1))
