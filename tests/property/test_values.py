"""Values, not aliases: the rules are the same in local mode, inside one worker, and across processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

import actorrt as art
from tests.property.samples import CONSTANTS, FORMS, RECIPES, Recipe, build, differences, disturb
from tests.running import Node

WAYS = {"local": None, "one worker": "shared", "across": "process"}
Check = Callable[[Recipe], list[str]]


class Keeper(art.Actor):
    """Keeps the last value that it received."""

    def __init__(self) -> None:
        self.value: Any = None

    def keep(self, value: Any) -> Any:
        self.value = value
        return value

    def kept(self) -> Any:
        return self.value

    def look(self, recipe: Recipe) -> list[str]:
        """Return the differences of the kept value from the recipe's value."""
        return differences(build(recipe), self.value)

    def spoil(self) -> None:
        """Change the kept value in place."""
        disturb(self.value)


class Sender(art.Actor):
    """Sends values to a child, and checks them there and here."""

    def __init__(self, isolation: str | None) -> None:
        self.isolation = isolation

    async def on_start(self) -> None:
        self.keeper = await Keeper.options(isolation=self.isolation).spawn()

    async def complaints(self, recipe: Recipe) -> list[str]:
        """Send a value there and back, change it at each end; return the visible changes and other differences."""
        keeper = self.keeper
        value = build(recipe)
        reply = keeper.keep(value)
        disturb(value)
        back = await reply
        found = [f"returned {text}" for text in differences(build(recipe), back)]
        found += [f"kept {text}" for text in await keeper.look(recipe)]
        disturb(back)
        found += [f"after the result was changed, {text}" for text in await keeper.look(recipe)]

        value = build(recipe)
        await keeper.keep(value=value)
        before = await keeper.kept()
        await keeper.spoil()
        own = [text for text in differences(build(recipe), value) if "can be written" not in text]
        found += [f"after the receiver changed its own, the sender's {text}" for text in own]
        found += [
            f"after the receiver changed its own, the result {text}" for text in differences(build(recipe), before)
        ]
        return found


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def check(request: pytest.FixtureRequest, node: Node) -> Iterator[Check]:
    """A function that sends a value along one path, and returns the differences."""
    if request.param is None:
        art.init(mode="local")
    else:
        art.init(address=node.url)
    sender = Sender.options(isolation="process").spawn(request.param).result(20)
    yield lambda recipe: sender.complaints(recipe).result(20)
    art.shutdown()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECIPES)
@example(("plain", -0.0))
@example(("plain", 2**64))
@example(("plain", "\ud800"))
@example(("itself", ("plain", 1)))
def test_generated_values_arrive_equal_and_apart(check: Check, recipe: Recipe) -> None:
    assert check(recipe) == []


def test_values_of_every_kind_arrive_equal_and_apart(check: Check) -> None:
    recipes: list[Recipe] = [("constant", name) for name in CONSTANTS]
    recipes += [("array", form, (3, 4), layout) for form in FORMS for layout in ("as it is", "strided", "transposed")]
    recipes += [("array", "f8", (300, 300), layout) for layout in ("as it is", "strided", "fortran", "fixed")]
    recipes += [("list", recipe, recipe) for recipe in recipes]
    assert {str(recipe): found for recipe in recipes if (found := check(recipe))} == {}
