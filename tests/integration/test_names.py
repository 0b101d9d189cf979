"""Names of actors: lookup, taken names, `if_exists`, waits for a name, and when a name is free again."""

from __future__ import annotations

import asyncio

import pytest

import actorrt as art
from tests.integration.cast import Counter, Faulty


async def test_named_actor_is_found_by_lookup(runtime):
    counter = await Counter.options(name="counter").spawn(3)
    found = await art.lookup("counter")
    assert found == counter
    assert await found.value() == 3


async def test_actor_knows_its_name_from_its_context(runtime):
    class Named(art.Actor):
        def name(self):
            return self.context.name

    assert await (await Named.options(name="somebody").spawn()).name() == "somebody"
    assert await (await Named.spawn()).name() is None


async def test_lookup_of_an_unknown_name_is_name_not_found(runtime):
    with pytest.raises(art.NameNotFoundError, match="'nobody'"):
        await art.lookup("nobody")


async def test_lookup_with_a_timeout_waits_for_the_name(runtime):
    search = art.lookup("late", timeout_s=10)
    counter = await Counter.options(name="late").spawn()
    assert await search == counter


async def test_lookup_with_a_timeout_ends_at_its_timeout(runtime):
    with pytest.raises(art.NameNotFoundError):
        await art.lookup("never", timeout_s=0.05)


async def test_lookup_waits_until_the_actor_has_started(runtime):
    class Slow(art.Actor):
        async def on_start(self):
            await asyncio.sleep(0.05)
            self.is_started = True

        def started(self):
            return self.is_started

    start = Slow.options(name="slow").spawn()
    found = await art.lookup("slow", timeout_s=5)
    assert await found.started()
    assert await start == found


async def test_lookup_without_a_timeout_does_not_wait_for_an_actor_that_starts(runtime):
    class Endless(art.Actor):
        async def on_start(self):
            await asyncio.Event().wait()

    start = Endless.options(name="endless").spawn()
    while not (await runtime.status())["actors"]:
        await asyncio.sleep(0.001)
    with pytest.raises(art.NameNotFoundError, match="'endless' in namespace 'default' is still being started"):
        await art.lookup("endless")
    with pytest.raises(art.NameNotFoundError, match="still being started"):
        await art.lookup("endless", timeout_s=0.02)
    start.cancel()


async def test_spawn_with_a_taken_name_is_an_error_and_the_holder_still_runs(runtime):
    holder = await Counter.options(name="one").spawn(1)
    with pytest.raises(art.NameTakenError, match="'one'"):
        await Counter.options(name="one").spawn(2)
    assert await holder.value() == 1


async def test_if_exists_get_returns_the_holder(runtime):
    holder = await Counter.options(name="one").spawn(1)
    got = await Counter.options(name="one", if_exists="get").spawn(2)
    assert got == holder
    assert await got.value() == 1


async def test_if_exists_get_of_an_actor_of_another_class_is_refused(runtime):
    await Counter.options(name="one").spawn(1)
    with pytest.raises(art.NameTakenError, match="'one' is taken by a live actor of class Counter, not Faulty"):
        await Faulty.options(name="one", if_exists="get").spawn()


async def test_if_exists_get_of_many_at_once_starts_one(runtime):
    many = [Counter.options(name="one", if_exists="get").spawn(n) for n in range(5)]
    assert len(set(await art.gather(*many))) == 1


async def test_if_exists_replace_stops_the_holder_first(runtime):
    holder = await Counter.options(name="one").spawn(1)
    successor = await Counter.options(name="one", if_exists="replace").spawn(2)
    assert successor != holder
    assert not await holder.is_alive()
    assert await (await art.lookup("one")).value() == 2


async def test_name_is_free_when_the_down_has_arrived(runtime):
    faulty = await Faulty.options(name="once").spawn()
    down = art.monitor(faulty)
    await faulty.exit.tell()
    await down
    again = await Faulty.options(name="once").spawn()
    assert await again.tolerate() == "alive"


async def test_name_is_free_after_a_stop(runtime):
    for _ in range(3):
        counter = await Counter.options(name="again").spawn()
        await counter.stop()


async def test_name_stays_with_an_actor_that_restarts(runtime):
    faulty = await Faulty.options(name="phoenix", restart="permanent").spawn()
    with pytest.raises(art.ActorUnavailableError):
        await faulty.exit()
    found = await art.lookup("phoenix")
    assert found == faulty
    assert await found.incarnation() == 2


async def test_light_child_with_a_name_is_found_from_outside(runtime):
    class Namer(art.Actor):
        async def spawn_named(self):
            return await Counter.options(name="inner").spawn(8)

    inner = await (await Namer.spawn()).spawn_named()
    assert await art.lookup("inner") == inner
    assert await inner.value() == 8


async def test_actor_can_look_up_other_actors_by_name(runtime):
    class Finder(art.Actor):
        async def find(self, name):
            return await (await art.lookup(name)).value()

    await Counter.options(name="known").spawn(6)
    assert await (await Finder.spawn()).find("known") == 6


def test_namespaces_keep_names_apart(node):
    for namespace in ("one", "two"):
        art.init(address=node.url, namespace=namespace)
        try:
            with pytest.raises(art.NameNotFoundError, match=namespace):
                art.lookup("counter").result(10)
            Counter.options(name="counter").spawn().result(10)
        finally:
            art.shutdown()


async def test_name_of_another_namespace_is_found_by_naming_the_namespace(runtime_options):
    async with art.Runtime(**runtime_options, namespace="theirs"):
        counter = await Counter.options(name="counter").spawn(4)
        with pytest.raises(art.NameNotFoundError, match="no actor is named 'counter' in namespace 'ours'"):
            await art.lookup("counter", namespace="ours")
        assert await art.lookup("counter", namespace="theirs") == counter

        class Finder(art.Actor):
            async def find(self, namespace):
                return await art.lookup("counter", namespace=namespace)

        assert await (await Finder.spawn()).find("theirs") == counter


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"name": 3}, TypeError),
        ({"timeout_s": "1"}, TypeError),
        ({"timeout_s": -1}, ValueError),
        ({"namespace": 5}, TypeError),
    ],
)
def test_lookup_with_an_argument_of_a_wrong_kind_is_refused_by_name(arguments, error):
    ((name, value),) = arguments.items()
    with pytest.raises(error, match=f"{name}={value!r}: give a"):
        art.lookup(**{"name": "counter", **arguments})


def test_spawn_many_with_a_name_is_refused(session):
    with pytest.raises(ValueError, match="name='x'"):
        Counter.options(name="x").spawn_many(2)


def test_lookup_works_in_plain_code(session):
    counter = Counter.options(name="plain").spawn(2).result(10)
    assert art.lookup("plain").result(10) == counter
