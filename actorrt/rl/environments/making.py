"""Makes environments: by a Gymnasium id, with or without arguments, or by a function of the user's."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from actorrt.rl.environments import environment_checks
from actorrt.rl.foundation.extras import require
from actorrt.rl.networks.policy_spec import PolicySpec

EnvMaker: TypeAlias = str | Callable[[], Any]
"""A Gymnasium id, or a function that makes an environment."""

WITHOUT_ID = "the policy was trained in an environment without an id: give a function that makes one as env="


@dataclass(frozen=True)
class Registered:
    """A Gymnasium id with arguments for `gymnasium.make`, in the place of a plain id."""

    env_id: str
    kwargs: Mapping[str, Any] = field(hash=False)

    def __call__(self) -> Any:
        """Make the environment."""
        return make_environment(self)

    @property
    def __name__(self) -> str:
        return self.env_id


def with_kwargs(env: EnvMaker, env_kwargs: Mapping[str, Any] | None) -> EnvMaker:
    """Return what makes an environment with these arguments of `gymnasium.make`; None and `{}` mean none.

    Raises:
        ValueError: there are arguments, and `env` is a function: it can pass them itself.
        TypeError: the arguments are no dictionary of plain values, which checkpoints and policies' files can hold.
    """
    if not env_kwargs:
        return env
    if not isinstance(env, str):
        raise ValueError(
            f"env_kwargs are for a Gymnasium id, and env is {name_of(env)}, a function: let it pass them itself"
        )
    try:
        kept = json.loads(json.dumps(dict(env_kwargs)))
    except (TypeError, ValueError):
        kept = None
    if kept is None or list(kept) != list(env_kwargs):
        raise TypeError(
            "env_kwargs is a dictionary of plain values, since checkpoints keep it; for other values, give a function "
            f"that makes the environment: env_kwargs={env_kwargs!r}"
        )
    return Registered(env, kept)


def own_environment(spec: PolicySpec, env_kwargs: Mapping[str, Any] | None = None) -> EnvMaker:
    """Return what makes the environment that a policy was trained in; `env_kwargs` change its arguments.

    Raises:
        ValueError: a function made that environment, so the policy does not know it.
    """
    if not spec.env_id:
        raise ValueError(WITHOUT_ID)
    return with_kwargs(spec.env_id, {**spec.env_kwargs, **(env_kwargs or {})})


def id_of(env: EnvMaker) -> str:
    """Return the Gymnasium id of an environment; an empty string if a function makes it."""
    return env if isinstance(env, str) else env.env_id if isinstance(env, Registered) else ""


def newest_version(env_id: str) -> str:
    """Return an id with its version: without one, Gymnasium makes the newest version that is registered."""
    module, colon, name = env_id.rpartition(":")
    if re.search(r"-v\d+$", name):
        return env_id
    require("gymnasium")
    import gymnasium

    environment_checks.missing_module(env_id)  # imports the module, which registers its environments
    known = gymnasium.registry.values()
    versions = [spec.version for spec in known if spec.version is not None and spec.id == f"{name}-v{spec.version}"]
    return f"{module}{colon}{name}-v{max(versions)}" if versions else env_id


def make_environment(env: EnvMaker, **options: Any) -> Any:
    """Make one Gymnasium environment.

    Args:
        env: its id, or a function that makes it.
        **options: arguments of `gymnasium.make`, for an id.

    Raises:
        ValueError: nothing is registered under the id; the message names close matches.
        TypeError: `env` is neither an id nor a function, or the function returns something else than an environment.
        MissingPackageError: Gymnasium is not installed.
        gymnasium.error.DependencyNotInstalled: the environment needs a package that is missing.
    """
    environment_checks.require_maker(env)
    if isinstance(env, Registered):
        options = {**env.kwargs, **options}
        env = env.env_id
    if callable(env):
        return environment_checks.made_by(env)
    require("gymnasium")
    import gymnasium

    try:
        return gymnasium.make(env, disable_env_checker=True, **options)
    except gymnasium.error.DependencyNotInstalled:
        raise  # the environment exists, and the error names the package to install
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        why = environment_checks.missing_module(env) or _suggestion(env)
        raise ValueError(f"there is no environment {env!r}; {why}") from error


def _suggestion(env_id: str) -> str:
    import gymnasium

    known = list(gymnasium.registry)
    namespace, slash, _ = env_id.partition("/")
    if (namespace == "ALE" or "NoFrameskip" in env_id) and not any(each.startswith("ALE/") for each in known):
        return f"ale-py has Atari's games: pip install ale-py, and give {'ale_py:' + env_id!r}, which imports it"
    if slash and not any(each.startswith(f"{namespace}/") for each in known):
        return f"nothing that was imported has names of {namespace}/: give the module too, as in 'module:{env_id}'"
    matches = difflib.get_close_matches(env_id, known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(matches)}?" if matches else "`gymnasium.pprint_registry()` lists them"


def name_of(env: EnvMaker) -> str:
    """Return the name of an environment: its id, or the name of the function that makes it."""
    return env if isinstance(env, str) else getattr(env, "__name__", type(env).__name__)


@dataclass(frozen=True)
class MaskedByInfo:
    """Makes an environment whose `info` says which actions are allowed, such as Taxi-v3.

    The mask, `info["action_mask"]`, becomes a part of the observations, so that policies see it.

    Args:
        env: Gymnasium id, or a function that makes the environment.
    """

    env: EnvMaker

    def __call__(self) -> Any:
        """Make the environment."""
        from actorrt.rl.environments.mask_wrapper import ActionMask

        return ActionMask(make_environment(self.env))

    @property
    def __name__(self) -> str:
        return f"{name_of(self.env)}-masked"
