"""Spaces are compared as a network sees them, and the first difference is named."""

from __future__ import annotations

import pytest
from gymnasium import spaces as gym

from actorrt.rl.spaces.array_spaces import Discrete
from actorrt.rl.spaces.fit import difference
from actorrt.rl.spaces.gymnasium_spaces import from_gymnasium
from actorrt.rl.spaces.spaces import Masked

NAMED = gym.Dict({"place": gym.Box(-1, 1, (2,)), "colour": gym.Discrete(3)})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (gym.Box(-1, 1, (2,)), gym.Box(0, 9, (2,), dtype=float)),
        (gym.Box(-1, 1, (2, 2)), gym.Box(-1, 1, (4,))),
        (gym.Discrete(3), gym.Discrete(3, start=1)),
        (gym.MultiDiscrete([2, 3]), gym.MultiDiscrete([2, 3])),
        (NAMED, NAMED),
    ],
)
def test_what_a_network_does_not_see_may_differ(first, second):
    assert difference(from_gymnasium(first), from_gymnasium(second)) is None


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (gym.Box(-1, 1, (2,)), gym.Box(-1, 1, (3,)), "2 float32, not 3 float32"),
        (gym.Box(-1, 1, (3,)), gym.Discrete(3), "3 float32, not one of 3"),
        (gym.Box(0, 255, (8, 8, 1), "uint8"), gym.Box(0, 1, (8, 8, 1)), "8x8x1 uint8, not 8x8x1 float32"),
        (gym.Box(0, 255, (8, 8, 1), "uint8"), gym.Box(0, 255, (1, 8, 8), "uint8"), "8x8x1 uint8, not 1x8x8 uint8"),
        (gym.MultiDiscrete([2, 3]), gym.MultiDiscrete([3, 2]), "one of each of 2, 3, not one of each of 3, 2"),
        (gym.MultiBinary(2), gym.MultiBinary(3), "2 bits, not 3 bits"),
        (
            NAMED,
            gym.Dict({"place": gym.Box(-1, 1, (2,)), "colour": gym.Discrete(4)}),
            "part 'colour': one of 3, not one of 4",
        ),
        (NAMED, gym.Dict({"place": NAMED["place"]}), "colour: one of 3; place: 2 float32, not place: 2 float32"),
        (
            NAMED,
            gym.Dict({"spot": NAMED["place"], "colour": NAMED["colour"]}),
            "colour: one of 3; place: 2 float32, not colour",
        ),
        (
            gym.Tuple([gym.Discrete(2)] * 2),
            gym.Tuple([gym.Discrete(2)] * 3),
            "one of 2; one of 2, not one of 2; one of 2; one",
        ),
        (
            gym.Tuple([gym.Discrete(2), NAMED]),
            gym.Tuple([gym.Discrete(2), gym.Dict({"place": NAMED["colour"]})]),
            "part 1: colour",
        ),
    ],
)
def test_first_difference_is_named(first, second, found):
    told = difference(from_gymnasium(first), from_gymnasium(second))
    assert told is not None
    assert told.startswith(found)


def test_masks_are_compared_too():
    masked = Masked(Discrete(3), 2, "obs")
    assert difference(masked, Masked(Discrete(3, 1), 2, "obs")) is None
    assert difference(masked, Masked(Discrete(4), 2, "obs")) == "one of 3, not one of 4"
    assert difference(masked, Discrete(3)) == "one of 3, with a mask of actions, not one of 3"
    assert difference(masked, Masked(Discrete(3), 4, "obs")) is not None
