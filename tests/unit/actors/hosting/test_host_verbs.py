"""What an endpoint answers about what it hosts: spawns of light children whose parents have ended."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.hosting.host_verbs import serve_spawns
from actorrt.ids import ActorId, IdSource
from actorrt.protocol.authorities import Spawn, SpawnMany
from tests.unit.actors.calling.fakes import HERE, FakeControl
from tests.unit.records import actor_order

IDS = IdSource()
PARENT = ActorId(b"p" * 16)


class FakeRegistry:
    """Keeps the orders that it is given."""

    def __init__(self):
        self.orders = []

    def spawn(self, record):
        self.orders.append(record.order)

    def spawn_many(self, order, _):
        self.orders.append(order)


@pytest.mark.parametrize(
    ("state", "is_withdrawn"),
    [
        (CellState.STARTING, False),
        (CellState.RUNNING, False),
        (CellState.FINISHING, False),
        (CellState.FAILED, True),
        (CellState.ENDED, True),
        (None, True),
    ],
    ids=str,
)
def test_spawn_is_withdrawn_if_its_parent_has_ended_meanwhile(state, is_withdrawn):
    registry, control = FakeRegistry(), FakeControl()
    parent = None if state is None else SimpleNamespace(state=state)
    serve_spawns({PARENT: parent}.get, registry, control)
    order = actor_order(parent=PARENT)
    control.handlers[Spawn](HERE.peer, Spawn(actor=IDS.actor(), order=order))
    control.handlers[SpawnMany](HERE.peer, SpawnMany(actors=IDS.actors(2), order=order))
    assert [order.is_withdrawn for order in registry.orders] == [is_withdrawn, is_withdrawn]
