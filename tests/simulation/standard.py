"""The standard story: 30 actors of many kinds under load for a minute of virtual time, while things fail."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

import numpy as np

import actorrt as art
from actorrt.testing import Faults, World

logger = logging.getLogger(__name__)

FAULTS: Final = Faults(drop=0.2, delay_s=0.05, cut=0.1, freeze=0.1, spawn_failure=0.02, kill=0.3)
LENGTH_S: Final = 60.0
CLIENTS_COUNT: Final = 5
MAX_PAUSE_S: Final = 3.0
SETTLE_S: Final = 60.0
"""How long everything may take to work again, when nothing fails any more."""
TIMEOUT_S: Final = 5.0
TYPED: Final = (
    *(art.ActorDiedError, art.ActorUnavailableError, art.CallTimeoutError, art.MailboxFullError, art.ActorStartError),
    *(art.ObjectLostError, art.NameNotFoundError, art.PeerUnreachableError, art.DeadlockError),
)
"""The errors by which calls, spawns and look-ups may end when things fail."""


class Failure(Exception):
    """An exception of a method."""


class Part(art.Actor):
    """One actor of the story."""

    def __init__(self) -> None:
        self.count = 0
        self.last: dict[str, int] = {}

    def add(self) -> int:
        self.count += 1
        return self.count

    async def work(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return self.add()

    def in_order(self, sender: str, number: int) -> None:
        """Take the numbers of one sender, which must grow while this incarnation lives."""
        assert number > self.last.get(sender, 0), f"{sender}: {number} after {self.last[sender]}"
        self.last[sender] = number

    async def relay(self, other: art.ActorRef[Part]) -> int:
        return await other.add()

    def fail(self) -> None:
        raise Failure("this one fails")

    async def items(self, count: int) -> Any:
        for number in range(count):
            await asyncio.sleep(0.001)
            yield number

    def total(self, values: Any) -> float:
        return float(np.sum(values))

    def ones(self, length: int) -> np.ndarray:
        return np.ones(length)


class Team(art.Supervisor):
    """Restarts each child alone."""

    max_restarts = 1_000

    def children(self) -> list[art.Child]:
        own = [art.Child(Part, id=f"own-{number}", isolation="process") for number in range(2)]
        return [*own, *(art.Child(Part, id=f"light-{number}", max_concurrency=4) for number in range(4))]


class Chain(Team):
    """Restarts a child and those after it."""

    strategy = "rest_for_one"


class All(Team):
    """Restarts all children together."""

    strategy = "one_for_all"


async def standard(world: World, length_s: float = LENGTH_S) -> Counter[str]:
    """Live through the story; return how the calls have ended."""
    outcomes: Counter[str] = Counter()
    teams = [
        await until_it_starts(kind.options(restart="permanent", max_restarts=1_000).spawn)
        for kind in (Team, Chain, All)
    ]
    loose = [await until_it_starts(Part.options(restart="permanent", max_restarts=1_000).spawn) for _ in range(5)]
    own = Part.options(restart="permanent", max_restarts=1_000, isolation="process")
    loose += [await until_it_starts(own.spawn) for _ in range(2)]
    ends_at = asyncio.get_running_loop().time() + length_s
    clients = [client(f"client-{number}", teams, loose, ends_at, outcomes) for number in range(CLIENTS_COUNT)]
    await asyncio.gather(*clients)
    world.heal()
    waits = [("an actor", actor, until_it_answers(actor)) for actor in loose]
    waits += [("a team", team, until_a_team_answers(team)) for team in teams]
    await asyncio.gather(*(within(SETTLE_S, f"{what}, {actor!r}", wait) for what, actor, wait in waits))
    return outcomes


async def within(seconds: float, what: str, wait: Awaitable[None]) -> None:
    """Wait, and say what did not come."""
    try:
        async with asyncio.timeout(seconds):
            await wait
    except TimeoutError:
        raise AssertionError(f"{what}, does not answer within {seconds} s, although nothing fails any more") from None


async def client(
    name: str, teams: list[art.ActorRef[Any]], loose: list[art.ActorRef[Part]], ends_at: float, outcomes: Counter[str]
) -> None:
    """Call actors of all kinds in all ways until the end."""
    known = list(loose)
    number = 0
    while asyncio.get_running_loop().time() < ends_at:
        number += 1
        await asyncio.sleep(MAX_PAUSE_S * random.random() ** 2)
        act = random.choice(ACTS)
        try:
            if random.random() < 0.2:
                team = random.choice(teams)
                child = f"{random.choice(('own', 'light'))}-{random.randrange(2)}"
                known.append(await team.child.options(timeout_s=TIMEOUT_S)(child))
                del known[len(loose) : -6]
            await act(random.choice(known), random.choice(known), name, number)
        except TYPED as error:
            outcomes[type(error).__name__] += 1
        except Failure:
            outcomes["its own"] += 1
        else:
            outcomes["value"] += 1


Act = Callable[[art.ActorRef[Part], art.ActorRef[Part], str, int], Awaitable[object]]


async def ask(actor: art.ActorRef[Part], _: art.ActorRef[Part], __: str, ___: int) -> None:
    await actor.add.options(timeout_s=TIMEOUT_S)()


async def ask_with_retries(actor: art.ActorRef[Part], _: art.ActorRef[Part], __: str, ___: int) -> None:
    await actor.work.options(timeout_s=TIMEOUT_S, retries=2)(random.random() / 10)


async def ask_with_key(actor: art.ActorRef[Part], _: art.ActorRef[Part], name: str, number: int) -> None:
    asked = actor.add.options(timeout_s=TIMEOUT_S, key=f"{name} {number}")
    await asyncio.gather(*(asked() for _ in range(3)))


async def ask_briefly(actor: art.ActorRef[Part], _: art.ActorRef[Part], __: str, ___: int) -> None:
    await actor.work.options(timeout_s=random.random() / 10)(random.random() / 10)


async def ask_and_cancel(actor: art.ActorRef[Part], _: art.ActorRef[Part], __: str, ___: int) -> None:
    reply = actor.work(1.0)
    await asyncio.sleep(random.random() / 10)
    reply.cancel()


async def ask_many(actor: art.ActorRef[Part], _: art.ActorRef[Part], __: str, ___: int) -> None:
    asked = actor.work.options(timeout_s=TIMEOUT_S)
    await asyncio.gather(*(asked(random.random() / 100) for _ in range(10)))


async def tell_in_order(actor: art.ActorRef[Part], _: art.ActorRef[Part], name: str, number: int) -> None:
    for step in range(5):
        actor.in_order.tell(name, 10 * number + step)
    await actor.in_order.options(timeout_s=TIMEOUT_S)(name, 10 * number + 9)


async def relay(actor: art.ActorRef[Part], other: art.ActorRef[Part], _: str, __: int) -> None:
    if actor != other:
        await actor.relay.options(timeout_s=TIMEOUT_S)(other)


async def fail(actor: art.ActorRef[Part], _: art.ActorRef[Part], __: str, ___: int) -> None:
    await actor.fail.options(timeout_s=TIMEOUT_S)()


async def tell_to_fail(actor: art.ActorRef[Part], _: art.ActorRef[Part], __: str, ___: int) -> None:
    actor.fail.tell()


async def read_stream(actor: art.ActorRef[Part], _: art.ActorRef[Part], __: str, ___: int) -> None:
    seen = [item async for item in actor.items.options(timeout_s=TIMEOUT_S)(40)]
    assert seen == list(range(40))


async def pass_object(actor: art.ActorRef[Part], other: art.ActorRef[Part], _: str, __: int) -> None:
    made = actor.ones.options(timeout_s=TIMEOUT_S, returns="ref")(random.choice((10, 20_000)))
    assert await other.total.options(timeout_s=TIMEOUT_S)(made) in (10.0, 20_000.0)


async def spawn_and_end(_: art.ActorRef[Part], __: art.ActorRef[Part], ___: str, ____: int) -> None:
    actor = await Part.spawn()
    await actor.add.options(timeout_s=TIMEOUT_S)()
    await (actor.stop() if random.random() < 0.5 else actor.kill())


ACTS: Final[tuple[Act, ...]] = (
    *(ask, ask_with_retries, ask_with_key, ask_briefly, ask_and_cancel, ask_many, tell_in_order, relay, fail),
    *(tell_to_fail, read_stream, pass_object, spawn_and_end),
)


async def until_it_starts(spawn: Callable[[], Awaitable[art.ActorRef[Any]]]) -> art.ActorRef[Any]:
    """Spawn until it succeeds."""
    while True:
        try:
            return await spawn()
        except TYPED:
            await asyncio.sleep(0.1)


async def until_it_answers(actor: art.ActorRef[Part]) -> None:
    """Ask until there is an answer. An actor that restarts may not be told dead."""
    while True:
        try:
            await actor.add.options(timeout_s=TIMEOUT_S)()
            return
        except (art.ActorUnavailableError, art.CallTimeoutError):
            await asyncio.sleep(0.1)


async def until_a_team_answers(team: art.ActorRef[Any]) -> None:
    """Ask each child until there is an answer."""
    for child in (f"{kind}-{number}" for kind in ("own", "light") for number in range(2)):
        while True:
            try:
                found = await team.child.options(timeout_s=TIMEOUT_S)(child)
                await found.add.options(timeout_s=TIMEOUT_S)()
                break
            except TYPED as error:
                logger.info("%r: %r", team, error)
                await asyncio.sleep(0.1)


def new_world(seed: int) -> World:
    """Return the world of the story of a seed."""
    return World(seed, faults=FAULTS)
