"""Looks at environments, and describes the policies that can act in them."""

from __future__ import annotations

from typing import Any, NamedTuple

from actorrt.rl.environments import environment_checks
from actorrt.rl.environments.closing import close
from actorrt.rl.environments.making import EnvMaker, Registered, id_of, make_environment
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.spaces.gymnasium_spaces import spaces_of
from actorrt.rl.spaces.spaces import Space


class Examined(NamedTuple):
    """What one look at an environment tells.

    Attributes:
        observation: space of its observations.
        action: space of its actions.
        vector_count: number of environments that the function makes at once, as a vector; None if it makes one.
    """

    observation: Space
    action: Space
    vector_count: int | None


def examine(env: EnvMaker) -> Examined:
    """Make an environment or a vector of environments, look at it, and close it.

    Raises:
        ValueError: there is no such environment, or its spaces are not supported.
    """
    is_function = callable(env) and not isinstance(env, Registered)
    environment = environment_checks.one_or_several_made_by(env) if is_function else make_environment(env)
    try:
        count = environment.num_envs if environment_checks.is_vector(environment) else None
        return Examined(*spaces_of(environment), count)
    finally:
        close(environment)


def describe(
    env: EnvMaker, hidden: tuple[int, ...] = (64, 64), *, examined: Examined | None = None, **more: Any
) -> PolicySpec:
    """Return the `PolicySpec` of a policy for an environment.

    Args:
        env: Gymnasium id, or a function that makes the environment.
        hidden: units of the policy's hidden layers.
        examined: the result of `examine`; None examines the environment now.
        **more: further fields of `PolicySpec`.

    Raises:
        ValueError: there is no such environment, or its spaces are not supported.
    """
    observation, action, _ = examined or examine(env)
    kwargs = env.kwargs if isinstance(env, Registered) else {}
    return PolicySpec(id_of(env), observation, action, hidden, env_kwargs=kwargs, **more)
