"""Measures policies: episodes with the most likely actions or with sampled ones, on seeds that training never uses."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from actorrt.rl.environments import environment_checks
from actorrt.rl.environments.closing import close
from actorrt.rl.environments.env_failures import (
    PROGRESS_STEPS,
    EnvFailures,
    OnEnvError,
    Replays,
)
from actorrt.rl.environments.making import WITHOUT_ID, EnvMaker, make_environment, name_of, own_environment, with_kwargs
from actorrt.rl.environments.seeds import EVALUATION_KEY, episode_seed
from actorrt.rl.foundation.checks import require_whole
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.protocols import Evaluable
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.finite import is_finite
from actorrt.rl.spaces.fit import difference
from actorrt.rl.spaces.gymnasium_spaces import spaces_of
from actorrt.rl.spaces.spaces import Space

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Returns of evaluation episodes.

    Attributes:
        returns: undiscounted return of each episode, float64.
        policy_version: version of the policy's parameters.
        unfinished: number of episodes that were cut off by the limit of steps. The return of such an episode is that of
            the steps which were played. All episodes of an evaluation have the same limit.
    """

    returns: Array
    policy_version: int = 0
    unfinished: int = 0

    @property
    def mean(self) -> float:
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        return float(self.returns.std())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean return."""
        return self.std / float(np.sqrt(len(self.returns)))

    def __repr__(self) -> str:
        cut = f", {self.unfinished} of them cut off" if self.unfinished else ""
        return f"Evaluation({self.mean:.1f} ± {self.std:.1f} over {len(self.returns)} episodes{cut})"


def evaluate(
    policy: Evaluable,
    env: EnvMaker | None = None,
    episodes: int = 20,
    seed: int = 1,
    *,
    steps: int | None = None,
    deterministic: bool = True,
    env_kwargs: Mapping[str, Any] | None = None,
    on_env_error: OnEnvError = "truncate",
) -> Evaluation:
    """Play episodes with a policy.

    The episodes run side by side. Each has a seed that follows from `seed` and the episode's number.

    Args:
        policy: the policy that acts.
        env: Gymnasium id, or a function that makes an environment; None takes the id and the arguments of the
            environment that the policy was trained in.
        episodes: how many, at least 1.
        seed: 0 or larger; evaluations with the same seed play the same episodes.
        steps: largest number of steps of all episodes together, at least one for each; None sets no limit. Each episode
            gets an equal share. An episode that is longer is cut off: its return is that of the steps which were
            played, and it counts as `unfinished`.
        deterministic: whether the policy takes its most likely actions; otherwise they are sampled, as in training.
        env_kwargs: arguments of `gymnasium.make` for the id; without `env`, they are added to the policy's own.
        on_env_error: what an environment costs that raises, or returns what can't be used. `"truncate"`: its episode,
            which is played from its start again, with the same seed; its steps so far do not count. `"fail"`: the
            evaluation.

    Raises:
        ValueError: there is no such environment; or the policy has no id of one; or the policy is for other
            observations or actions; or `episodes` is less than 1, or larger than `steps`.
        NotImplementedError: sampled actions are wanted of a linear policy, which has none.
        Exception: an environment's own error, if it failed several times in a row.
        UnplayableError: an episode broke in 20 replays in a row, none of which got further. Fewer `steps` shorten it.
    """
    made = own_environment(policy.spec, env_kwargs) if env is None else with_kwargs(env, env_kwargs)
    options: dict[str, Any] = {"deterministic": deterministic, "on_env_error": on_env_error}
    with contextlib.closing(Player(made, steps, **options)) as player:
        *_, evaluation = player.play(policy, episodes, seed)
    assert evaluation is not None
    return evaluation


def require_fit(spec: PolicySpec, observation: Space, action: Space, env: str) -> None:
    """Make sure that a policy can act in an environment.

    Raises:
        ValueError: the policy is for other observations or actions.
    """
    for what, own, other in (("observation", spec.observation, observation), ("action", spec.action, action)):
        found = difference(own, other)
        if found is not None:
            raise ValueError(
                f"the policy is for {spec.env_id or 'another environment'}, with "
                f"{_shown(spec.observation, spec.action)}; {env} has {_shown(observation, action)} "
                f"(the policy's {what}s have {found})"
            )


def _shown(observation: Space, action: Space) -> str:
    actions = " and ".join(f"{kind} of {count}" for kind, count in action.kinds)
    return f"observations of {observation.feature_count} values and actions {actions}"


class _Episodes:
    """Episodes that are played side by side; one whose environment fails is played from its start again.

    Args:
        environments: an environment for each episode; those that fail are replaced in this list.
        seeds: seeds of the episodes.
        limit: largest number of steps of an episode, or None.
        failures: counts failures, and makes other environments.
        spec: of the policy. The environment's own space encodes observations, since it may begin to count elsewhere.

    Attributes:
        total: return of each episode so far, float64.
        running: the episodes that have not ended.
        unfinished: number of episodes that were cut off.
        at: the episode that was stepped or reset last, for notes of errors.
    """

    def __init__(
        self, environments: list[Any], seeds: list[int], limit: int | None, failures: EnvFailures, spec: PolicySpec
    ) -> None:
        self._environments, self._seeds, self._limit, self._failures = environments, seeds, limit, failures
        count = len(seeds)
        self._space, self._action = spaces_of(environments[0])
        self._spec = dataclasses.replace(spec, observation=self._space)
        self._obs: list[Any] = [None] * count
        self._length = [0] * count
        self._replays = [Replays() for _ in range(count)]
        self.total = np.zeros(count)
        self.running = list(range(count))
        self.unfinished = 0
        self.at = ""

    def begin(self) -> None:
        """Begin every episode.

        Raises:
            Exception: an environment's own error, if the environment is broken.
        """
        for k in self.running:
            self._begin(k)

    def _begin(self, k: int) -> None:
        while True:
            self.at = f"environment {k}, reset with seed {self._seeds[k]}"
            self.total[k], self._length[k] = 0.0, 0
            try:
                self._obs[k] = environment_checks.reset(self._environments[k], self._seeds[k])
                return
            except Exception as error:  # of the user's environment
                self._replace(k, error)

    def _replace(self, k: int, error: Exception) -> None:
        """Count a failure of an environment, and put a new one in its place.

        Raises:
            Exception: `error`, if the environment is broken.
            UnplayableError: the episode breaks in every replay.
        """
        self._replays[k].broke(self._length[k], error, self.at)
        has_progressed = self._length[k] >= PROGRESS_STEPS
        self._environments[k] = self._failures.replaced(
            k, self._environments[k], error, self.at, has_progressed=has_progressed
        )

    def features(self, policy: Evaluable) -> Array:
        """Return the policy's features for the observations of all episodes, also for those that have ended.

        Raises:
            Exception: an environment's own error, if the environment is broken.
        """
        while True:
            try:
                features = policy.normalise(self._spec.encode(self._space.stack(self._obs)))
                if is_finite(features):
                    return features
                raise ValueError("an observation is infinite or NaN")
            except ValueError as error:
                if not self._begin_refused_again():
                    raise error

    def _begin_refused_again(self) -> bool:
        """Begin those episodes again whose observations can't be used; return whether there are any."""
        is_any = False
        for k in self.running:
            try:
                encoded = self._space.encode(self._space.stack([self._obs[k]]))
                if not is_finite(encoded):
                    raise ValueError(f"an observation is infinite or NaN: {encoded[0]}")
            except Exception as error:
                is_any = True
                self._name(k)
                self._replace(k, error)
                self._begin(k)
        return is_any

    def _name(self, k: int) -> None:
        self.at = f"environment {k}, step {self._length[k]} of the episode with seed {self._seeds[k]}"

    def step(self, actions: Array) -> None:
        """Take a step in every episode that has not ended, with the rows of actions of all episodes.

        Raises:
            Exception: an environment's own error, if the environment is broken.
        """
        choices = self._action.unstack(self._action.to_environment(actions))
        still_running = []
        for k in self.running:
            self._length[k] += 1
            self._name(k)
            try:
                after, gained, *ends = environment_checks.step(self._environments[k], choices[k])
            except Exception as error:  # of the user's environment
                self._replace(k, error)
                self._begin(k)
                still_running.append(k)
                continue
            self.total[k] += np.float32(gained)
            if any(ends):
                continue
            if self._length[k] == self._limit:
                self.unfinished += 1
                continue
            self._obs[k] = after
            still_running.append(k)
        self.running = still_running


class Player:
    """Plays episodes, and keeps its environments from one evaluation to the next.

    If an evaluation ends by an error, all environments are closed, and new ones are made for the next evaluation.

    Args:
        env: Gymnasium id, or a function that makes an environment.
        steps: largest number of steps of an evaluation, as for `evaluate`.
        deterministic: whether the most likely actions are taken; otherwise actions are sampled.
        on_env_error: what an environment that fails costs, as for `evaluate`.

    Raises:
        ValueError: `env` is empty.
    """

    def __init__(
        self,
        env: EnvMaker,
        steps: int | None = None,
        *,
        deterministic: bool = True,
        on_env_error: OnEnvError = "truncate",
    ) -> None:
        if not env:
            raise ValueError(WITHOUT_ID)
        self._env, self._steps, self._is_deterministic = env, steps, deterministic
        self._on_env_error: OnEnvError = on_env_error
        self._environments: list[Any] = []
        self._has_logged = False

    def play(self, policy: Evaluable, episodes: int, seed: int) -> Iterator[Evaluation | None]:
        """Evaluate as `evaluate` does, step by step, so that the caller can do other work between steps.

        Yields:
            None after each step, and the `Evaluation` at the end.

        Raises:
            ValueError: there is no such environment, or `episodes` is less than 1 or larger than the limit of steps.
            Exception: an environment's own error.
        """
        require_whole("episodes", episodes, 1)
        require_whole("seed", seed, 0)
        if self._steps is not None and self._steps < episodes:
            raise ValueError(
                f"an evaluation takes at least 1 step for each of {episodes} episodes: steps={self._steps}"
            )
        failures = EnvFailures(lambda: make_environment(self._env), self._on_env_error, episodes)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(EVALUATION_KEY,)))
        played: _Episodes | None = None
        try:
            while (k := len(self._environments)) < episodes:
                self._environments.append(failures.made(k, f"environment {k}, which could not be made"))
            played = self._episodes(
                policy, [episode_seed(seed, EVALUATION_KEY, k, 0) for k in range(episodes)], failures
            )
            played.begin()
            while played.running:
                features = played.features(policy)
                played.step(policy.best_actions(features) if self._is_deterministic else policy.act(features, rng)[0])
                yield None
        except Exception as error:
            error.add_note(f"an evaluation{'' if played is None else f', {played.at}'}")
            self.close()
            raise
        self._log(failures.take())
        yield Evaluation(played.total, policy.version, played.unfinished)

    def _episodes(self, policy: Evaluable, seeds: list[int], failures: EnvFailures) -> _Episodes:
        observation, action = spaces_of(self._environments[0])
        require_fit(policy.spec, observation, action, name_of(self._env))
        limit = None if self._steps is None else self._steps // len(seeds)
        return _Episodes(self._environments, seeds, limit, failures, policy.spec)

    def _log(self, failures: tuple[str, ...]) -> None:
        """Log the first failure of all evaluations."""
        if failures and not self._has_logged:
            self._has_logged = True
            logger.warning(
                "an evaluation, %s; the environment is made anew, and its episode is played again. Further failures in "
                "evaluations are not logged",
                failures[0],
            )

    def close(self) -> None:
        """Close the environments; those that can't close are dropped. Idempotent."""
        while self._environments:
            close(self._environments.pop())
