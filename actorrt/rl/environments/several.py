"""Makes environments that are stepped together, one by one or as one vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actorrt.rl.environments import environment_checks
from actorrt.rl.environments.closing import close
from actorrt.rl.environments.env_failures import OnEnvError
from actorrt.rl.environments.making import EnvMaker, Registered, id_of, make_environment, name_of
from actorrt.rl.environments.seeded_environments import SeededEnvironments
from actorrt.rl.environments.stepping import Environments, SeedOf
from actorrt.rl.environments.vector_environments import VectorEnvironments


def _vector_by(maker: Callable[[], Any], count: int) -> Any:
    """Return the vector of `count` environments that a function makes."""
    made = environment_checks.one_or_several_made_by(maker)
    if not environment_checks.is_vector(made):
        close(made)
        raise ValueError(f"{name_of(maker)} has no vector environment of its own; leave out native=True")
    if made.num_envs != count:
        close(made)
        raise ValueError(f"{name_of(maker)} makes {made.num_envs} environments, and {count} are stepped together here")
    return made


def make_environments(
    env: EnvMaker, count: int, seed_of: SeedOf, *, native: bool = False, on_error: OnEnvError = "truncate"
) -> Environments:
    """Make `count` environments to be stepped together.

    Args:
        env: Gymnasium id, or a function that makes an environment.
        count: number of environments.
        seed_of: seeds of the episodes.
        native: use the id's own vector environment instead of a loop over single ones, or the one that the function
            makes; faster from about 12 environments in a process on. All of its episodes have one seed.
        on_error: whether an environment that fails costs its episode, or its error is raised.

    Raises:
        ValueError: there is no such environment, or it has no vector environment of its own; or the function makes a
            vector of another size.
    """
    if not native:
        return SeededEnvironments(lambda: make_environment(env), count, seed_of, on_error)
    if callable(env) and not isinstance(env, Registered):
        return VectorEnvironments(lambda: _vector_by(env, count), seed_of(0, 0), on_error)
    import gymnasium

    one = make_environment(env)  # for an unknown id, raises the error of `make_environment`
    close(one)
    env_id, kwargs = id_of(env), env.kwargs if isinstance(env, Registered) else {}
    if one.spec is None or one.spec.vector_entry_point is None:
        raise ValueError(f"{name_of(env)} has no vector environment of its own; leave out native=True")

    def make() -> Any:
        return gymnasium.make_vec(env_id, num_envs=count, vectorization_mode="vector_entry_point", **kwargs)

    return VectorEnvironments(make, seed_of(0, 0), on_error)
