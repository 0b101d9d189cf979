"""The story of several hosts: each has a keeper of objects, and clients that use the keepers of all, while things fail.

The hosts form no cluster. A client finds a keeper by name on its host, calls it, and passes refs: to objects of its own
host, and of others. What an object contains tells whether it is the right one.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np

import actorrt as art
from actorrt.testing import Faults, World
from tests.simulation.acts import TIMEOUT_S, within
from tests.simulation.parts import Failure, begin_notes, notes
from tests.simulation.standard import FAULTS, LENGTH_S, MAX_PAUSE_S, SETTLE_S, TYPED, faults_of, until_it_starts

USUAL: Final = replace(FAULTS, cut=0.2, crash=0.03)
END_S: Final = 120.0
"""How long the news of an end may take: hosts have no power for up to 30 s, then connections have to be given up."""
LENGTHS: Final = (10, 20_000, 300_000)
"""The lengths of arrays, of eight bytes each: in the message, in one chunk, and in several."""
CLIENTS_COUNT: Final = 2


class Warehouse(art.Actor):
    """Makes, keeps and reads arrays, of which all elements are equal."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.last: dict[str, int] = {}

    def put(self, length: int, value: int) -> list[Any]:
        return [art.put(np.full(length, value))]

    def make(self, length: int, value: int) -> np.ndarray:
        return np.full(length, value)

    def put_nested(self, length: int, value: int) -> list[Any]:
        return [art.put({"inner": art.put(np.full(length, value)), "value": value})]

    def keep(self, key: str, kept: list[Any]) -> None:
        self.kept[key] = kept

    def drop(self, key: str) -> None:
        self.kept.pop(key, None)

    async def pass_on(self, key: str, other: art.ActorRef[Warehouse]) -> None:
        if key in self.kept:
            await other.keep.options(timeout_s=TIMEOUT_S)(key, self.kept[key])

    async def read_kept(self, key: str) -> tuple[int, int] | None:
        return None if key not in self.kept else seen(await self.kept[key][0])

    async def read_nested(self, refs: list[Any]) -> tuple[int, int]:
        outer = await refs[0]
        return seen(await outer["inner"])

    def read(self, array: np.ndarray) -> tuple[int, int]:
        return seen(array)

    def in_order(self, sender: str, number: int) -> None:
        notes.check(number > self.last.get(sender, 0), f"{self.context.ref!r} got {number} of {sender} too late")
        self.last[sender] = number

    def fail(self) -> None:
        raise Failure("this one fails")


def seen(array: np.ndarray) -> tuple[int, int]:
    """Return the length and the value of an array; an array of several values is noted."""
    notes.check(bool((array == array[0]).all()), f"an array of {len(array)} elements is torn: {np.unique(array)}")
    return len(array), int(array[0])


class Cast(NamedTuple):
    """Who takes part in an act: three keepers, the client's name, the number of its act, and a length and a value."""

    one: art.ActorRef[Warehouse]
    two: art.ActorRef[Warehouse]
    three: art.ActorRef[Warehouse]
    name: str
    number: int
    length: int
    value: int

    def check(self, found: tuple[int, int] | None, what: str) -> None:
        """Note what is not as it was made."""
        wanted = (self.length, self.value)
        notes.check(found in (wanted, None), f"{self.name} reads {found} {what}, in the place of {wanted}")


async def pass_own(cast: Cast) -> None:
    ref = await art.put_async(np.full(cast.length, cast.value))
    cast.check(await cast.one.read.options(timeout_s=TIMEOUT_S)(ref), "of its own")


async def fetch(cast: Cast) -> None:
    (ref,) = await cast.one.put.options(timeout_s=TIMEOUT_S)(cast.length, cast.value)
    cast.check(seen(await within(END_S, f"an object of {cast.one!r} is there or lost", ref)), "of another host")


async def fetch_result(cast: Cast) -> None:
    cast.check(seen(await cast.one.make.options(timeout_s=TIMEOUT_S)(cast.length, cast.value)), "as a result")


async def pass_result(cast: Cast) -> None:
    made = cast.one.make.options(timeout_s=TIMEOUT_S, returns="ref")(cast.length, cast.value)
    cast.check(await cast.two.read.options(timeout_s=TIMEOUT_S)(made), "that was promised")


async def fetch_without_timeout(cast: Cast) -> None:
    (ref,) = await within(END_S, f"a call to {cast.one!r} ends", cast.one.put(cast.length, cast.value))
    cast.check(await within(END_S, f"a call to {cast.two!r} ends, which reads", cast.two.read(ref)), "far away")


async def keep_far_away(cast: Cast) -> None:
    """Let an object travel from keeper to keeper; its only holder is the last one."""
    key = f"{cast.name} {cast.number}"
    kept = await cast.one.put.options(timeout_s=TIMEOUT_S)(cast.length, cast.value)
    await cast.two.keep.options(timeout_s=TIMEOUT_S)(key, kept)
    del kept
    await cast.two.pass_on.options(timeout_s=TIMEOUT_S)(key, cast.three)
    if random.random() < 0.7:
        await cast.two.drop.options(timeout_s=TIMEOUT_S)(key)
    await asyncio.sleep(random.random())
    cast.check(await cast.three.read_kept.options(timeout_s=2 * TIMEOUT_S)(key), "that was passed on")
    if random.random() < 0.7:
        await cast.three.drop.options(timeout_s=TIMEOUT_S)(key)


async def read_everywhere(cast: Cast) -> None:
    ref = await art.put_async(np.full(cast.length, cast.value))
    reading = [actor.read.options(timeout_s=2 * TIMEOUT_S)(ref) for actor in cast[:3]]
    for found in await asyncio.gather(*reading):
        cast.check(found, "that all read")


async def read_nested(cast: Cast) -> None:
    outer = await cast.one.put_nested.options(timeout_s=TIMEOUT_S)(cast.length, cast.value)
    cast.check(await cast.two.read_nested.options(timeout_s=2 * TIMEOUT_S)(outer), "inside another object")


async def tell_in_order(cast: Cast) -> None:
    for step in range(5):
        cast.one.in_order.tell(cast.name, 10 * cast.number + step)
    await cast.one.in_order.options(timeout_s=TIMEOUT_S)(cast.name, 10 * cast.number + 9)


async def give_up_reading(cast: Cast) -> None:
    (ref,) = await cast.one.put.options(timeout_s=TIMEOUT_S)(cast.length, cast.value)
    reading = cast.two.read(ref)
    await asyncio.sleep(random.random() / 100)
    reading.cancel()


async def fail(cast: Cast) -> None:
    await cast.one.fail.options(timeout_s=TIMEOUT_S)()


async def tell_to_fail(cast: Cast) -> None:
    if random.random() < 0.3:
        cast.one.fail.tell()


ACTS: Final[tuple[Callable[[Cast], Awaitable[None]], ...]] = (
    *(pass_own, fetch, fetch_result, pass_result, fetch_without_timeout, keep_far_away, read_everywhere, read_nested),
    *(tell_in_order, give_up_reading, fail, tell_to_fail),
)


class Story:
    """What all programs of one story know.

    Args:
        world: the world.
        hosts: how many hosts it has.
        ends_at: the virtual seconds at which clients end.
    """

    def __init__(self, world: World, hosts: int, ends_at: float) -> None:
        self.world = world
        self.hosts = hosts
        self.ends_at = ends_at
        self.outcomes: Counter[str] = Counter()
        self._clients_count = 0

    def is_over(self) -> bool:
        return self.world.now() >= self.ends_at

    async def keep_up(self, host: int) -> None:
        """Run the program of a host, again when the host has crashed."""
        while not self.is_over():
            try:
                await self.world.start(host, self.live)
            except art.RuntimeStateError:
                self.outcomes["crash"] += 1

    async def live(self) -> None:
        """Start the keeper of this host, which outlives this program, and use those of all hosts."""
        isolation = random.choice(("shared", "process"))
        lasting = {"restart": "permanent", "max_restarts": 1_000, "detached": True, "max_concurrency": 8}
        await until_it_starts(
            Warehouse.options(**lasting, name="warehouse", if_exists="get", isolation=isolation).spawn
        )
        await asyncio.gather(*(self.client() for _ in range(CLIENTS_COUNT)))

    async def client(self) -> None:
        self._clients_count += 1
        name, number = f"client-{self._clients_count}", 0
        while not self.is_over():
            number += 1
            await asyncio.sleep(MAX_PAUSE_S * random.random() ** 2)
            act = random.choice(ACTS)
            try:
                three = [await self.warehouse(random.randrange(self.hosts)) for _ in range(3)]
                await act(Cast(*three, name, number, random.choice(LENGTHS), random.randrange(1_000)))
            except TYPED as error:
                self.outcomes[type(error).__name__] += 1
            except Failure:
                self.outcomes["its own"] += 1
            else:
                self.outcomes["value"] += 1

    async def warehouse(self, host: int) -> art.ActorRef[Warehouse]:
        return await within(END_S, f"a look-up on host {host} ends", self.world.lookup(host, "warehouse", TIMEOUT_S))

    async def until_hosts_exchange(self, source: int, target: int) -> None:
        """Read an object of one host on another one."""
        while True:
            try:
                one, two = await self.warehouse(source), await self.warehouse(target)
                refs = await one.put.options(timeout_s=TIMEOUT_S)(20_000, source)
                found = await two.read.options(timeout_s=TIMEOUT_S)(refs[0])
            except TYPED:
                await asyncio.sleep(0.1)
            else:
                assert found == (20_000, source), found
                return


async def several_hosts(world: World, length_s: float = LENGTH_S) -> Counter[str]:
    """Live through the story; return how the acts have ended."""
    begin_notes()
    story = Story(world, world.hosts_count(), world.now() + length_s)
    await asyncio.gather(*(story.keep_up(host) for host in range(story.hosts)))
    world.heal()
    for host in range(story.hosts):
        await within(SETTLE_S, f"host {host} has a keeper, as nothing fails", world.start(host, story.live))
    pairs = [(source, target) for source in range(story.hosts) for target in range(story.hosts)]
    waits = [
        within(
            SETTLE_S, f"host {target} reads of {source}, as nothing fails", story.until_hosts_exchange(source, target)
        )
        for source, target in pairs
    ]
    await asyncio.gather(*waits)
    assert not notes.broken, f"broken: {'; '.join(notes.broken)}"
    return story.outcomes


def new_world(seed: int, hosts: int = 3, faults: Faults | None = None) -> World:
    """Return the world of the story of a seed, with other faults if they are given."""
    return World(seed, hosts=hosts, cpus=1 + seed % 4, faults=faults_of(seed, USUAL) if faults is None else faults)
