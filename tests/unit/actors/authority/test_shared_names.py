"""Names that other nodes have, too: what a lookup and a spawn do about them."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt.actors.authority.names import Names
from actorrt.actors.authority.record import ActorRecord
from actorrt.errors import ControlUnavailableError, NameNotFoundError
from actorrt.ids import IdSource
from actorrt.machine.clock import ManualClock
from actorrt.protocol.authorities import ActorCard
from tests.unit.records import order_of

IDS = IdSource()
ELSEWHERE = ActorCard(actor=IDS.actor(), card=b"card", name="learner", seen=None)


class Shared:
    def __init__(self) -> None:
        self.card: ActorCard | None = None
        self.error: Exception | None = None
        self.claimed: list[ActorRecord] = []
        self.released: list[ActorRecord] = []

    async def claim(self, record: ActorRecord) -> ActorCard | None:
        self.claimed.append(record)
        if self.error is not None:
            raise self.error
        return self.card

    def release(self, record: ActorRecord) -> None:
        self.released.append(record)

    async def find(self, namespace: str, name: str) -> ActorCard | None:
        return self.card


def names_and_shared() -> tuple[Names, Shared]:
    scope: Any = None
    names, shared = Names(ManualClock(), scope, lambda holder: None), Shared()
    names.shared = shared
    return names, shared


def record() -> ActorRecord:
    return ActorRecord(IDS.actor(), order_of(None, options={"name": "learner"}))


async def test_a_lookup_finds_the_actor_of_another_node() -> None:
    names, shared = names_and_shared()
    shared.card = ELSEWHERE
    assert await names.look_up("default", "learner", 0.0) == ELSEWHERE
    shared.card = None
    with pytest.raises(NameNotFoundError):
        await names.look_up("default", "learner", 0.0)


async def test_a_spawn_gets_the_card_of_the_holder_elsewhere_and_gives_its_own_claim_back() -> None:
    names, shared = names_and_shared()
    shared.card, own = ELSEWHERE, record()
    assert await names.take(own) == ELSEWHERE
    names.free(own)
    assert (shared.claimed, shared.released) == ([own], [own])


async def test_a_claim_that_fails_leaves_the_name_to_be_given_back() -> None:
    names, shared = names_and_shared()
    shared.error, own = ControlUnavailableError("away"), record()
    with pytest.raises(ControlUnavailableError):
        await names.take(own)
    names.free(own)
    assert shared.released == [own]
