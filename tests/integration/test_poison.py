"""Calls with retries that kill their actor: they are set aside at the third death, and other calls continue."""

from __future__ import annotations

import asyncio
import os

import numpy as np
import pytest

import actorrt as art
from tests.running import PATIENCE_S


class Eater(art.Actor):
    """Ends when it handles the food "poison"."""

    def eat(self, food):
        if food == "poison":
            os.abort()
        return food

    def eat_array(self, array, food=""):
        self.eat(food)
        return float(array.sum())

    async def eat_slowly(self, food):
        await asyncio.sleep(0)
        return self.eat(food)

    def choke(self, food):
        if food == "poison":
            raise SystemExit("choked")
        return food

    def choke_on(self, array):
        raise SystemExit("choked")

    def incarnation(self):
        return self.context.incarnation


OPTIONS = {"isolation": "process", "restart": "permanent", "max_restarts": 100}


@pytest.mark.parametrize("method", ["eat", "eat_slowly"])
async def test_call_that_kills_its_process_three_times_is_set_aside_and_other_calls_are_handled(node_runtime, method):
    eater = await Eater.options(**OPTIONS).spawn()
    eat = getattr(eater, method).options(retries=10)
    calls = [eat(food) for food in ("bread", "poison", "butter", "jam")]
    with pytest.raises(art.ActorUnavailableError, match=rf"{method}\(\) ended its actor 3 times and was set aside"):
        await calls[1]
    assert [await calls[0], await calls[2], await calls[3]] == ["bread", "butter", "jam"]
    assert await eater.incarnation() == 4
    (poison,) = art.poison()
    assert (poison.ref, poison.method) == (eater, method)
    assert poison.arguments() == (("poison",), {})
    assert poison.reason.kind is art.ExitKind.CRASHED
    assert "in eat" in poison.reason.traceback


async def test_calls_of_other_processes_are_not_set_aside(node_runtime):
    class Feeder(art.Actor):
        async def feed(self, eater, count):
            return [await call for call in [eater.eat.options(retries=10)("bread") for _ in range(count)]]

        def poison(self):
            return art.poison()

    eater = await Eater.options(**OPTIONS).spawn()
    feeder = await Feeder.options(isolation="process").spawn()
    fed = feeder.feed(eater, 200)
    with pytest.raises(art.ActorUnavailableError):
        await eater.eat.options(retries=10)("poison")
    assert await fed == ["bread"] * 200
    assert await feeder.poison() == []


async def test_large_arguments_are_sent_again(node_runtime):
    eater = await Eater.options(**OPTIONS).spawn()
    array = np.ones(100_000)
    killing = eater.eat_array.options(retries=10)(array, food="poison")
    fine = eater.eat_array.options(retries=10)(array)
    with pytest.raises(art.ActorUnavailableError):
        await killing
    assert await fine == 100_000.0
    (poison,) = art.poison()
    with pytest.raises(art.ObjectLostError, match=r"arguments of eat_array\(\) went through the store"):
        poison.arguments()


async def test_call_that_was_set_aside_pins_no_object_of_the_store(runtime):
    eater = await Eater.options(restart="permanent", max_restarts=100).spawn()
    array = await art.put(np.ones(100_000))
    with pytest.raises(art.ActorUnavailableError, match="ended its actor 3 times"):
        await eater.choke_on.options(retries=10)(array)
    del array
    async with asyncio.timeout(PATIENCE_S):
        while art.store_stats()["objects_count"] > 0:
            await runtime.status()
    assert len(art.poison()) == 1


async def test_call_that_fails_its_actor_three_times_is_set_aside(runtime):
    eater = await Eater.options(restart="permanent", max_restarts=100).spawn()
    with pytest.raises(art.ActorUnavailableError, match="ended its actor 3 times"):
        await eater.choke.options(retries=10)("poison")
    assert await eater.choke("bread") == "bread"
    (poison,) = art.poison()
    assert "in choke" in poison.reason.traceback


async def test_call_whose_retries_are_used_up_ends_before_it_is_set_aside(runtime):
    eater = await Eater.options(restart="permanent", max_restarts=100).spawn()
    with pytest.raises(art.ActorUnavailableError, match=r"is started again in 0\.\d+ s"):  # it has failed twice
        await eater.choke.options(retries=1)("poison")
    assert art.poison() == []
    assert await eater.incarnation() == 3
