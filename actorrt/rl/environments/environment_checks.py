"""Checks environments of users against Gymnasium's API, and says where they differ.

Does not import Gymnasium: any object with its methods and spaces is an environment.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

MEMBERS = ("reset", "step", "observation_space", "action_space")
MAKE_ONE = "give its Gymnasium id, or a function that makes one, since each simulator makes environments of its own"


def require_maker(env: Any, name: str = "env") -> None:
    """Make sure that the argument of this name is an id or a function that makes an environment.

    Raises:
        TypeError: it is neither; it may be an environment itself.
    """
    if isinstance(env, str) or callable(env):
        return
    if all(hasattr(env, member) for member in MEMBERS):
        env_id = getattr(getattr(env, "spec", None), "id", None)
        example = f" (here {env_id!r})" if env_id else ""
        raise TypeError(f"{name} is an environment that was made already, {env}: {MAKE_ONE}{example}")
    raise TypeError(f"{name}={env!r} makes no environment: {MAKE_ONE}")


def made_by(maker: Any) -> Any:
    """Call a function that makes a single environment, and return the environment.

    Raises:
        TypeError: the function returns something else.
    """
    made = one_or_several_made_by(maker)
    if is_vector(made):
        name = getattr(maker, "__name__", type(maker).__name__)
        raise TypeError(f"{name}() made {made}, a vector of environments: give a function that makes a single one")
    return made


def one_or_several_made_by(maker: Any) -> Any:
    """Call a function that makes an environment or a vector of environments, and return what it made.

    Raises:
        TypeError: the function returns something else.
    """
    made = maker()
    missing = [member for member in MEMBERS if not hasattr(made, member)]
    if missing:
        name = getattr(maker, "__name__", type(maker).__name__)
        raise TypeError(f"{name}() made {made!r}, which is no environment: it has no {', no '.join(missing)}")
    return made


def is_vector(environment: Any) -> bool:
    """Whether this is a vector of environments, as Gymnasium's `VectorEnv` is."""
    return hasattr(environment, "single_action_space")


def missing_module(env_id: str) -> str | None:
    """Return what is wrong with the module of an id such as `module:Name-v0`; None if nothing is."""
    module, colon, _ = env_id.partition(":")
    if not colon:
        return None
    try:
        importlib.import_module(module)
    except ImportError as error:
        return f"module {module!r} can't be imported ({error}); is it installed, or on PYTHONPATH?"
    return None


def reset(environment: Any, seed: int) -> Any:
    """Begin an episode; return its first observation.

    Raises:
        ValueError: as from `reset_of`.
    """
    return reset_of(environment, environment.reset(seed=seed))[0]


def step(environment: Any, action: Any) -> tuple[Any, float, bool, bool]:
    """Take a step; return the observation, the reward, and whether the step terminated or truncated the episode.

    Raises:
        ValueError: as from `step_of`, or the reward is no number, or infinite or NaN.
    """
    obs, reward, is_terminated, is_truncated, _ = step_of(environment, environment.step(action))
    try:
        is_finite = math.isfinite(reward)
    except (TypeError, OverflowError):
        raise ValueError(
            f"step() of {environment} returned the reward {reward!r} of type {type(reward).__name__}: return one number"
        ) from None
    if not is_finite:
        raise ValueError(f"a reward is infinite or NaN: {reward}")
    return obs, reward, is_terminated, is_truncated


def reset_of(environment: Any, outcome: Any) -> tuple[Any, dict[str, Any]]:
    """Return the observation and the info that an environment's `reset` returned.

    Raises:
        ValueError: it returned something else.
    """
    try:
        obs, info = outcome
    except (TypeError, ValueError):
        raise ValueError(
            f"reset() of {environment} returned {_shown(outcome)}; in Gymnasium it is two: observation, info"
        ) from None
    return obs, info


def step_of(environment: Any, outcome: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
    """Return the five values that an environment's `step` returned.

    Raises:
        ValueError: it returned something else.
    """
    try:
        obs, reward, is_terminated, is_truncated, info = outcome
    except (TypeError, ValueError):
        raise ValueError(
            f"step() of {environment} returned {_shown(outcome)}; in Gymnasium it is five: "
            "observation, reward, terminated, truncated, info (Gym's `done` is `terminated or truncated`)"
        ) from None
    return obs, reward, is_terminated, is_truncated, info


def _shown(outcome: Any) -> str:
    if isinstance(outcome, tuple):
        return f"{len(outcome)} value{'s' if len(outcome) != 1 else ''}"
    return f"one of type {type(outcome).__name__}"
