"""Measures policies: episodes with the most likely actions or with sampled ones, on seeds that training never uses."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.protocols import Evaluable
from actorrt.rl.rollouts import environment_checks
from actorrt.rl.rollouts.environment import (
    EVALUATION_KEY,
    WITHOUT_ID,
    EnvMaker,
    episode_seed,
    make_environment,
    name_of,
    own_environment,
    with_kwargs,
)
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.fit import difference
from actorrt.rl.spaces.gymnasium_spaces import spaces_of
from actorrt.rl.spaces.spaces import Space


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

    Raises:
        ValueError: there is no such environment; or the policy has no id of one; or the policy is for other
            observations or actions; or `episodes` is less than 1, or larger than `steps`.
        NotImplementedError: sampled actions are wanted of a linear policy, which has none.
    """
    made = own_environment(policy.spec, env_kwargs) if env is None else with_kwargs(env, env_kwargs)
    with contextlib.closing(Player(made, steps, deterministic=deterministic)) as player:
        *_, evaluation = player.play(policy, episodes, seed)
    assert evaluation is not None
    return evaluation


def _require_fit(spec: PolicySpec, observation: Space, action: Space, env: str) -> None:
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


class Player:
    """Plays episodes, and keeps its environments from one evaluation to the next.

    If an environment raises, all environments are closed, and new ones are made for the next evaluation.

    Args:
        env: Gymnasium id, or a function that makes an environment.
        steps: largest number of steps of an evaluation, as for `evaluate`.
        deterministic: whether the most likely actions are taken; otherwise actions are sampled.

    Raises:
        ValueError: `env` is empty.
    """

    def __init__(self, env: EnvMaker, steps: int | None = None, *, deterministic: bool = True) -> None:
        if not env:
            raise ValueError(WITHOUT_ID)
        self._env, self._steps, self._is_deterministic = env, steps, deterministic
        self._environments: list[Any] = []
        self._at = ""  # which episode was stepped or reset last, for error notes

    def play(self, policy: Evaluable, episodes: int, seed: int) -> Iterator[Evaluation | None]:
        """Evaluate as `evaluate` does, step by step, so that the caller can do other work between steps.

        Yields:
            None after each step, and the `Evaluation` at the end.

        Raises:
            ValueError: there is no such environment, or `episodes` is less than 1 or larger than the limit of steps.
            Exception: an environment's own error.
        """
        if episodes < 1:
            raise ValueError(f"an evaluation takes at least 1 episode: episodes={episodes}")
        if self._steps is not None and self._steps < episodes:
            raise ValueError(
                f"an evaluation takes at least 1 step for each of {episodes} episodes: steps={self._steps}"
            )
        unfinished, self._at = episodes, ""
        try:
            while len(self._environments) < episodes:
                self._environments.append(make_environment(self._env))
            total = np.zeros(episodes)
            for reward, unended in self._rewards(policy, episodes, seed):
                total, unfinished = total + reward, unended
                yield None
        except Exception as error:
            error.add_note(f"an evaluation{self._at}")
            self.close()
            raise
        yield Evaluation(total, policy.version, unfinished)

    def _rewards(self, policy: Evaluable, episodes: int, seed: int) -> Iterator[tuple[Array, int]]:
        """Yield, step by step, the rewards of all episodes and how many go on; rewards are 0 after an episode's end.

        The policy also acts on the last observations of ended episodes, since a smaller batch would round the other
        actions differently.
        """
        observation, action = spaces_of(self._environments[0])
        _require_fit(policy.spec, observation, action, name_of(self._env))
        seeds = [episode_seed(seed, EVALUATION_KEY, k, 0) for k in range(episodes)]
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(EVALUATION_KEY,)))
        obs, step, last_step = [], 0, None if self._steps is None else self._steps // episodes
        for k in range(episodes):
            self._at = f", environment {k}, reset with seed {seeds[k]}"
            obs.append(environment_checks.reset(self._environments[k], seeds[k]))
        running = list(range(episodes))
        while running and step != last_step:
            step += 1
            features = policy.features(observation.stack(obs))
            rows = policy.best_actions(features) if self._is_deterministic else policy.act(features, rng)[0]
            choices = action.unstack(action.to_environment(rows))
            reward, still_running = np.zeros(episodes, np.float32), []
            for k in running:
                self._at = f", environment {k}, step {step} of the episode with seed {seeds[k]}"
                after, gained, is_terminated, is_truncated = environment_checks.step(self._environments[k], choices[k])
                if not math.isfinite(gained):
                    raise ValueError(f"a reward is infinite or NaN: {gained}")
                reward[k] = gained
                if not (is_terminated or is_truncated):
                    obs[k] = after
                    still_running.append(k)
            running = still_running
            yield reward, len(running)

    def close(self) -> None:
        """Close the environments. Idempotent."""
        while self._environments:
            self._environments.pop().close()
