"""The standard story: 30 actors of many kinds under load for a minute of virtual time, while things fail."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from typing import Any, Final, NamedTuple
from weakref import ref

import actorrt as art
from actorrt.testing import Faults, World
from tests.simulation.acts import TIMEOUT_S, Act, Cast, within
from tests.simulation.acts_table import some_acts
from tests.simulation.parts import All, Chain, Failure, Keeper, Part, Team, Watcher, begin_notes

logger = logging.getLogger(__name__)

_OF_PROCESSES: Final = Faults(drop=0.2, delay_s=0.05, cut=0.1, freeze=0.1, spawn_failure=0.02, kill=0.3, hang=0.03)
FAULTS: Final = replace(_OF_PROCESSES, disk_full=0.05, disk_error=0.05)
DRAWN_LAST: Final = ("disk_error",)
"""Kinds of faults that came later: a seed keeps the rates of the others."""
PROMPT_SHARE: Final = 0.3
SPARED_SHARE: Final = 0.5
"""In how many of the stories without silence no process is killed, except by acts."""
LENGTH_S: Final = 60.0
CLIENTS_COUNT: Final = 5
MAX_PAUSE_S: Final = 3.0
SETTLE_S: Final = 60.0
"""How long everything may take to work again, when nothing fails any more."""
TYPED: Final = (
    *(art.ActorDiedError, art.ActorUnavailableError, art.CallTimeoutError, art.MailboxFullError, art.ActorStartError),
    *(art.ObjectLostError, art.NameNotFoundError, art.NameTakenError, art.PeerUnreachableError, art.DeadlockError),
)
"""The errors by which calls, spawns and look-ups may end when things fail."""


class Actors(NamedTuple):
    """The actors of the story: supervisors, actors that have none, watchers, and keepers of a state."""

    teams: list[art.ActorRef[Any]]
    loose: list[art.ActorRef[Part]]
    watchers: list[art.ActorRef[Watcher]]
    keepers: list[art.ActorRef[Keeper]]


async def standard(world: World, length_s: float = LENGTH_S) -> Counter[str]:
    """Live through the story; return how the acts have ended."""
    notes, outcomes = begin_notes(), Counter[str]()
    notes.is_prompt = not (world.faults.cut or world.faults.freeze or world.faults.hang)
    notes.is_spared = notes.is_prompt and not world.faults.kill
    notes.world = ref(world)
    actors = await spawn_actors()
    acts = some_acts()
    ends_at = asyncio.get_running_loop().time() + length_s
    clients = [client(f"client-{number}", world, actors, acts, ends_at, outcomes) for number in range(CLIENTS_COUNT)]
    await asyncio.gather(*clients)
    world.heal()
    waits = [(actor, until_it_answers(actor)) for actor in (*actors.loose, *actors.keepers)]
    waits += [(team, until_a_team_answers(team)) for team in actors.teams]
    await asyncio.gather(*(within(SETTLE_S, f"{actor!r} answers, as nothing fails", wait) for actor, wait in waits))
    broken = "; ".join(notes.broken)
    begin_notes()  # it keeps nothing of this run
    assert not broken, f"broken: {broken}"
    return outcomes


async def spawn_actors() -> Actors:
    lasting = {"restart": "permanent", "max_restarts": 1_000}
    return Actors(
        [await until_it_starts(kind.options(**lasting).spawn) for kind in (Team, Chain, All)],
        [
            *[await until_it_starts(Part.options(**lasting, max_concurrency=most).spawn) for most in (1, 1, 4)],
            *[await until_it_starts(Part.options(**lasting, isolation="process").spawn) for _ in range(2)],
        ],
        [await until_it_starts(Watcher.options(**lasting, isolation=where).spawn) for where in ("shared", "process")],
        [
            await until_it_starts(Keeper.options(**lasting, isolation="process", snapshot_every=1).spawn),
            await until_it_starts(Keeper.options(**lasting, isolation="shared", snapshot_every=0.5).spawn),
            await until_it_starts(
                Keeper.options(
                    **lasting, name="keeper", if_exists="get", snapshot_every=3, snapshot_dir="/snapshots"
                ).spawn
            ),
        ],
    )


async def client(
    name: str, world: World, actors: Actors, acts: list[Act], ends_at: float, outcomes: Counter[str]
) -> None:
    """Call actors of all kinds until the end."""
    known = list(actors.loose)
    number = 0
    while asyncio.get_running_loop().time() < ends_at:
        number += 1
        await asyncio.sleep(MAX_PAUSE_S * random.random() ** 2)
        act = random.choice(acts)
        try:
            if random.random() < 0.2:
                child = f"{random.choice(('own', 'light'))}-{random.randrange(2)}"
                known.append(await random.choice(actors.teams).child.options(timeout_s=TIMEOUT_S)(child))
                del known[len(actors.loose) : -6]
            watcher, keeper = random.choice(actors.watchers), random.choice(actors.keepers)
            await act(Cast(world, random.choice(known), random.choice(known), watcher, keeper, name, number))
        except TYPED as error:
            outcomes[type(error).__name__] += 1
        except Failure:
            outcomes["its own"] += 1
        else:
            outcomes["value"] += 1


async def until_it_starts(spawn: Callable[[], Awaitable[art.ActorRef[Any]]]) -> art.ActorRef[Any]:
    """Spawn until it succeeds."""
    while True:
        try:
            return await spawn()
        except TYPED:
            await asyncio.sleep(0.1)


async def until_it_answers(actor: art.ActorRef[Any]) -> None:
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


def faults_of(seed: int, of_all: Faults = FAULTS) -> Faults:
    """Return the faults of a seed: some kinds are left out, and the others are rarer or more frequent than usual."""
    generator = random.Random(f"faults {seed}")

    def drawn(name: str) -> float:
        usual: float = getattr(of_all, name)
        return usual * 10 ** generator.uniform(-1.0, 0.6) if generator.random() < 0.75 else 0.0

    names = [field.name for field in fields(Faults)]
    rates = {name: drawn(name) for name in names if name not in DRAWN_LAST}
    if generator.random() < PROMPT_SHARE:  # every process answers soon: then promises hold that silence suspends
        rates["cut"] = rates["freeze"] = rates["hang"] = 0.0
        if generator.random() < SPARED_SHARE:
            rates["kill"] = 0.0
    rates.update({name: drawn(name) for name in DRAWN_LAST})
    return Faults(**rates)


def new_world(seed: int, faults: Faults | None = None) -> World:
    """Return the world of the story of a seed, with other faults if they are given."""
    return World(seed, cpus=1 + seed % 4, faults=faults_of(seed) if faults is None else faults)
