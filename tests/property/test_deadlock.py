"""Generated graphs of actors that call each other: every call ends, and `DeadlockError` is raised for real cycles only.

All actors share one loop, and record in one place what each message waits for. So the claim of a `DeadlockError` can be
compared with the record.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import actorrt as art
from actorrt.actors.hosting import deadlock

ACTORS_COUNT = 4
ENDS_WITHIN_S = 20.0

Step = tuple[Any, ...]


class Story:
    """The present message of each actor, and the messages that each message waits for.

    A message is named by its place in the plan; `waits` has the messages that it can't go on without.
    """

    def __init__(self) -> None:
        self.in_hand: dict[int, str] = {}
        self.actor_of: dict[str, int] = {}
        self.waits: dict[str, set[str]] = {}
        self.ended: set[str] = set()
        self.false_alarms: list[str] = []
        self.cycles_count = 0

    def waits_for(self, name: str, wanted: str, seen: set[str]) -> bool:
        """Whether a message can't continue before `wanted` does."""
        if name == wanted:
            return True
        if name in seen or name in self.ended:
            return False
        seen.add(name)
        occupant = self.in_hand.get(self.actor_of[name])
        blockers = self.waits.get(name, set()) if occupant == name else {occupant} - {None}
        return any(self.waits_for(blocker, wanted, seen) for blocker in blockers)  # type: ignore[arg-type]

    def call_ended(self, caller: str, call: str, reply: art.Reply[None]) -> None:
        """Note that a call has ended."""
        self.ended.add(call)
        if not isinstance(reply.error(), art.DeadlockError):
            return
        occupant = self.in_hand.get(self.actor_of[call])
        if occupant is not None and self.waits_for(occupant, caller, set()):
            self.cycles_count += 1
        else:
            self.false_alarms.append(f"{call} of {caller}, while {occupant} was in hand")


STORY = Story()


async def _all_of(replies: list[art.Reply[None]]) -> None:
    for outcome in await art.gather(*replies, return_exceptions=True):
        if outcome is not None and not isinstance(outcome, art.DeadlockError):
            raise outcome


class Player(art.Actor):
    """Carries out the steps in its message."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.others: list[art.ActorRef[Player]] = []
        self.left: list[asyncio.Task[None]] = []

    async def meet(self, others: list[art.ActorRef[Player]]) -> None:
        self.others = others

    async def play(self, name: str, steps: list[Step]) -> None:
        STORY.in_hand[self.number] = name
        try:
            for number, (kind, calls) in enumerate(steps):
                await self._step(f"{name}.{number}", name, kind, calls)
        finally:
            del STORY.in_hand[self.number]
            STORY.ended.add(name)

    async def _step(self, prefix: str, name: str, kind: str, calls: list[Any]) -> None:
        names = []
        for number, (receiver, steps) in enumerate(calls):
            names.append(f"{prefix}{chr(97 + number)}")
            STORY.actor_of[names[-1]] = receiver
            reply = calls[number] = self.others[receiver].play(names[-1], steps)
            reply.add_callback(functools.partial(STORY.call_ended, name if kind == "wait" else "", names[-1]))
        if kind == "tell":
            return  # the replies are dropped: whatever becomes of the calls, this message goes on
        if kind == "leave":
            self.left.append(asyncio.ensure_future(_all_of(calls)))  # outlives the message; see `settled`
            return
        STORY.waits[name] = set(names)
        await _all_of(calls)
        STORY.waits[name] = set()

    def settled(self) -> bool:
        """Whether the tasks that its messages started have ended."""
        return all(task.done() and task.result() is None for task in self.left)


def steps(depth: int) -> st.SearchStrategy[list[Step]]:
    if depth == 0:
        return st.just([])
    call = st.tuples(st.integers(0, ACTORS_COUNT - 1), steps(depth - 1))
    kinds = st.sampled_from(["wait", "wait", "wait", "tell", "leave"])
    return st.lists(st.tuples(kinds, st.lists(call, min_size=1, max_size=2)), max_size=2)


ROOTS = st.lists(st.tuples(st.integers(0, ACTORS_COUNT - 1), steps(3)), min_size=1, max_size=3)


@pytest.fixture
def players(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[art.ActorRef[Player]]]:
    monkeypatch.setattr(deadlock, "LOOK_EVERY_S", 0.005)
    monkeypatch.setattr(deadlock, "PROBE_EVERY_S", 0.01)
    art.init(mode="local", cpus=1)
    refs = [Player.spawn(number).result(10) for number in range(ACTORS_COUNT)]
    for ref in refs:
        ref.meet(refs).result(10)
    yield refs
    art.shutdown()


_cycles_count = 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROOTS)
def _play(players: list[art.ActorRef[Player]], roots: list[Step]) -> None:
    global _cycles_count
    STORY.__init__()  # type: ignore[misc]
    for number, (receiver, _) in enumerate(roots):
        STORY.actor_of[f"root{number}"] = receiver
    replies = [players[receiver].play(f"root{number}", plan) for number, (receiver, plan) in enumerate(roots)]
    art.gather(*replies).result(ENDS_WITHIN_S)
    while not (STORY.actor_of.keys() <= STORY.ended):
        art.gather(*[player.settled() for player in players]).result(ENDS_WITHIN_S)
    assert STORY.false_alarms == []
    _cycles_count += STORY.cycles_count


def test_every_call_ends_and_deadlocks_are_real(players: list[art.ActorRef[Player]]) -> None:
    _play(players)
    assert _cycles_count > 0, "no graph had a cycle"
