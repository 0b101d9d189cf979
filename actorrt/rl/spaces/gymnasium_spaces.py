"""Converts Gymnasium's spaces into those of this library; does not import Gymnasium."""

from __future__ import annotations

from typing import Any

import numpy as np

from actorrt.rl.spaces.array_spaces import Box, Discrete, MultiBinary, MultiDiscrete
from actorrt.rl.spaces.leaves import leaves, output_count
from actorrt.rl.spaces.spaces import MASK_KEY, Composite, Masked, Space


def from_gymnasium(space: Any) -> Space:
    """Convert a Gymnasium space. A space of a user's own class is converted like the class that it derives from.

    Raises:
        ValueError: the space has no fixed size, or its size is 0.
    """
    described = _described(space)
    if described.feature_count == 0:
        raise ValueError(f"{space} has no values, so it can't be observed or chosen")
    return described


def _described(space: Any) -> Space:
    kinds = {base.__name__ for base in type(space).__mro__}
    if "Discrete" in kinds:
        return Discrete(int(space.n), int(space.start))
    if "Box" in kinds:
        low, high = (tuple(np.asarray(bound, np.float64).ravel().tolist()) for bound in (space.low, space.high))
        return Box(tuple(space.shape), low, high, np.dtype(space.dtype).name)
    if "MultiDiscrete" in kinds:
        counts, start = (tuple(np.ravel(values).tolist()) for values in (space.nvec, space.start))
        return MultiDiscrete(tuple(space.shape), counts, start, np.dtype(space.dtype).name)
    if "MultiBinary" in kinds:
        return MultiBinary(tuple(space.shape))
    if kinds & {"Tuple", "Dict"} and not space.spaces:
        raise ValueError(f"{space} has no values, so it can't be observed or chosen")
    if "Tuple" in kinds:
        return Composite(tuple(map(_described, space.spaces)))
    if "Dict" in kinds:
        return Composite(tuple(map(_described, space.spaces.values())), tuple(space.spaces))
    raise ValueError(
        f"spaces of kind {type(space).__name__} are not supported: {space}; use an environment with Box, Discrete, "
        f"MultiDiscrete, MultiBinary, Dict or Tuple spaces"
    )


def spaces_of(environment: Any) -> tuple[Space, Space]:
    """Return the spaces of an environment's observations and actions; an entry `action_mask` of observations is a mask.

    Those of a vector of environments are the spaces of one of them.

    Raises:
        ValueError: a space has no fixed size, or the mask does not fit the actions.
    """
    chosen = getattr(environment, "single_action_space", environment.action_space)
    action = from_gymnasium(chosen)
    space = getattr(environment, "single_observation_space", environment.observation_space)
    names = getattr(space, "spaces", None)
    if not isinstance(names, dict) or MASK_KEY not in names:
        return from_gymnasium(space), action
    mask_count = from_gymnasium(names[MASK_KEY]).feature_count
    is_chosen_by_index = all(leaf.kind == "categorical" for leaf in leaves(action))
    if not is_chosen_by_index or mask_count != output_count(action):
        raise ValueError(f"a mask of {mask_count} entries does not fit actions of {chosen}")
    rest = {name: _described(part) for name, part in names.items() if name != MASK_KEY}
    if len(rest) == 1:
        ((key, part),) = rest.items()
        return Masked(part, mask_count, key), action
    return Masked(Composite(tuple(rest.values()), tuple(rest)), mask_count), action
