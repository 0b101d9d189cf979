"""Makes Gymnasium environments, single ones and vectors of them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from actorrt.rl.foundation.extras import require
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.rollouts import environment_checks
from actorrt.rl.rollouts.env_failures import PROGRESS_STEPS, EnvFailures, OnEnvError
from actorrt.rl.rollouts.seeded_environments import SeededEnvironments
from actorrt.rl.rollouts.stepping import Environments, SeedOf, Step
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.finite import first_bad_row
from actorrt.rl.spaces.gymnasium_spaces import from_gymnasium, spaces_of
from actorrt.rl.spaces.spaces import Space

EnvMaker: TypeAlias = str | Callable[[], Any]
"""A Gymnasium id, or a function that makes an environment."""

WITHOUT_ID = "the policy was trained in an environment without an id: give a function that makes one as env="

EVALUATION_KEY = 1_000_003  # spawn keys of evaluations begin with it; those of simulators begin with their index


def episode_seed(run_seed: int, *key: int) -> int:
    """Return the seed of one episode, the same for the same key on any machine.

    Args:
        run_seed: seed of the run, 0 or larger.
        key: the numbers that identify the episode: simulator, incarnation, environment and episode.
    """
    return int(np.random.SeedSequence(run_seed, spawn_key=key).generate_state(1)[0])


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
        environment.close()


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
        from actorrt.rl.rollouts.mask_wrapper import ActionMask

        return ActionMask(make_environment(self.env))

    @property
    def __name__(self) -> str:
        return f"{name_of(self.env)}-masked"


class VectorEnvironments:
    """A vector environment of Gymnasium, for example in native code, with any of Gymnasium's autoreset modes.

    If it resets itself on the next step, that step ignores the action and returns the first observation of the next
    episode: the row is not valid. If it resets in the same step or not at all, every row is a transition. Such an
    environment has one seed for all of its episodes.

    If one of the environments fails, nothing is known about the others. So the vector is made anew as a whole, and all
    of its episodes end.

    Args:
        make: makes the vector environment.
        seed: of its episodes; a vector that is made anew gets the next number.
        on_error: whether a vector that fails is made anew, or its error is raised.

    Raises:
        ValueError: the vector environment does not say when it resets.
    """

    def __init__(self, make: Callable[[], Any], seed: int, on_error: OnEnvError = "truncate") -> None:
        self._failures = EnvFailures(make, on_error)
        (vector,) = self._failures.all_made()
        mode = vector.metadata.get("autoreset_mode")
        self._mode: str = getattr(mode, "value", mode)
        if self._mode not in ("NextStep", "SameStep", "Disabled"):
            raise ValueError(f"{vector} has autoreset mode {mode!r}, not one of gymnasium.vector.AutoresetMode")
        self._observation, _ = spaces_of(vector)
        self._action = from_gymnasium(vector.single_action_space)
        self.count: int = vector.num_envs
        self._vector = vector
        self._step_count = 0  # since the vector was made
        self._next_seed = seed
        self._seed: int | None = seed
        self._is_resetting = np.zeros(self.count, np.bool_)

    def reset(self) -> Any:
        """Begin a new episode in every environment and return its observations.

        Raises:
            Exception: the vector's own error, if it is broken.
        """
        while True:
            try:
                obs, _ = self._vector.reset(seed=self._seed)
            except Exception as error:  # of the user's environment
                self._replace(error)
                continue
            self._seed = None  # later resets continue the same random numbers
            self._is_resetting = np.zeros(self.count, np.bool_)
            return obs

    def step(self, actions: Array) -> Step:
        """Step every environment; in the step after an episode's end, an environment may reset itself instead.

        Raises:
            Exception: the vector's own error, if it is broken.
        """
        try:
            step = self._step(self._action.to_environment(actions))
        except Exception as error:  # of the user's environment
            none = np.zeros(self.count, np.bool_)
            step = Step(None, np.zeros(self.count), none, none, none, {})
            step.obs = self.refused(error, step)
        self._step_count += 1
        return step

    def _step(self, actions: Any) -> Step:
        obs, reward, terminated, truncated, info = self._vector.step(actions)
        valid = ~self._is_resetting
        truncated = truncated & ~terminated
        ended = terminated | truncated
        shown = info.get("final_obs") if self._mode == "SameStep" else obs
        final_obs = {k: self._one(shown, k) for k in np.flatnonzero(truncated).tolist()}
        if self._mode == "NextStep":
            self._is_resetting = ended
        elif self._mode == "Disabled" and ended.any():
            obs, _ = self._vector.reset(options={"reset_mask": ended})
        reward = np.asarray(reward, np.float64)
        bad = first_bad_row(reward)
        if bad is not None:
            raise ValueError(f"a reward of environment {bad} is infinite or NaN: {reward[bad]}")
        return Step(obs, reward, terminated, truncated, valid, final_obs)

    def refused(self, error: Exception, step: Step | None = None) -> Any:
        """Called when observations can't be learnt from, or a step failed: the vector is made anew.

        Args:
            error: what is wrong.
            step: the step that failed; None after a reset. It is corrected.

        Returns:
            The observations to act on next.

        Raises:
            Exception: `error`, if the vector is broken.
        """
        self._replace(error)
        if step is not None:
            none = np.zeros(self.count, np.bool_)
            step.reward, step.terminated, step.truncated, step.valid = np.zeros(self.count), none, none, none
            step.final_obs, step.failed = {}, list(range(self.count))
        return self.reset()

    def _replace(self, error: Exception) -> None:
        """Count a failure, and put a new vector in place of the one that failed."""
        has_progressed, self._step_count = self._step_count >= PROGRESS_STEPS, 0
        where = self.location()
        self._vector = self._failures.replaced(0, self._vector, error, where, has_progressed=has_progressed)
        self._next_seed += 1
        self._seed = self._next_seed

    def take_failures(self) -> tuple[str, ...]:
        """Return a description of each failure since the last call."""
        return self._failures.take()

    def _one(self, batch: Any, k: int) -> Any:
        """Return a copy of one observation of a batch, as a batch of one; a batch may be an array of objects."""
        if isinstance(batch, np.ndarray) and batch.dtype == np.object_:
            return self._observation.stack([batch[k]])
        return _row(batch, k)

    def location(self) -> str:
        """Describe the environments, which can't be told apart."""
        return f"one of {self.count} environments that are stepped as one"

    def state(self) -> dict[str, Any]:
        """Return no state: it can't be read from outside."""
        return {}

    def resume(self, state: dict[str, Any]) -> tuple[Any, Array]:
        """Begin new episodes; the earlier ones can't be replayed."""
        return self.reset(), np.zeros(self.count, np.bool_)

    def close(self) -> None:
        """Close the vector environment. Idempotent."""
        self._vector.close()


def _row(batch: Any, k: int) -> Any:
    """Return a copy of one row of a batch, as a batch of one."""
    if isinstance(batch, dict):
        return {name: _row(part, k) for name, part in batch.items()}
    return tuple(_row(part, k) for part in batch) if isinstance(batch, tuple) else batch[k : k + 1].copy()


def _vector_by(maker: Callable[[], Any], count: int) -> Any:
    """Return the vector of `count` environments that a function makes."""
    made = environment_checks.one_or_several_made_by(maker)
    if not environment_checks.is_vector(made):
        made.close()
        raise ValueError(f"{name_of(maker)} has no vector environment of its own; leave out native=True")
    if made.num_envs != count:
        made.close()
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

    make_environment(env).close()  # for an unknown id, raises the error of `make_environment`
    env_id, kwargs = id_of(env), env.kwargs if isinstance(env, Registered) else {}
    if not env_id or gymnasium.spec(env_id).vector_entry_point is None:
        raise ValueError(f"{name_of(env)} has no vector environment of its own; leave out native=True")

    def make() -> Any:
        return gymnasium.make_vec(env_id, num_envs=count, vectorization_mode="vector_entry_point", **kwargs)

    return VectorEnvironments(make, seed_of(0, 0), on_error)
