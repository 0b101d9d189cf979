"""Measures policies: whole episodes with the most likely actions, on seeds that no training sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from actorrt.rl.environment import EVALUATION_KEY, Maker, SeededEnvironments, episode_seed, make_environment
from actorrt.rl.policy import Evaluable
from actorrt.rl.spaces import Array


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Returns of evaluation episodes.

    Attributes:
        returns: undiscounted return of each episode, float64.
        policy_version: version of the policy's parameters.
    """

    returns: Array
    policy_version: int = 0

    @property
    def mean(self) -> float:
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        return float(self.returns.std())

    @property
    def standard_error(self) -> float:
        """How far the mean may be off, as one standard deviation."""
        return self.std / float(np.sqrt(len(self.returns)))

    def __repr__(self) -> str:
        return f"Evaluation({self.mean:.1f} ± {self.std:.1f} over {len(self.returns)} episodes)"


def evaluate(policy: Evaluable, env: Maker | None = None, episodes: int = 20, seed: int = 1) -> Evaluation:
    """Play whole episodes with the policy's most likely actions.

    The episodes run side by side, each with a seed of its own that follows from `seed` and its number.

    Args:
        policy: what acts.
        env: Gymnasium id, or a function that makes an environment; the policy's own id where left out.
        episodes: how many, at least 1.
        seed: 0 or larger; evaluations with the same seed play the same episodes.

    Raises:
        ValueError: there is no such environment, or the policy has no id of one; or `episodes` is less than 1.
    """
    *_, evaluation = play(policy, env, episodes, seed)
    assert evaluation is not None
    return evaluation


def play(policy: Evaluable, env: Maker | None, episodes: int, seed: int) -> Iterator[Evaluation | None]:
    """Evaluate as `evaluate` does, step by step, so that others may do something meanwhile.

    Yields:
        None after each step, and in the end what it came to.
    """
    if episodes < 1:
        raise ValueError(f"an evaluation takes at least 1 episode: episodes={episodes}")
    made = env or policy.spec.env_id
    if not made:
        raise ValueError("the policy was trained in an environment without an id: give what makes it as env=")
    environments = SeededEnvironments(
        lambda: make_environment(made), episodes, lambda k, episode: episode_seed(seed, EVALUATION_KEY, k, episode)
    )
    try:
        total = np.zeros(episodes)
        for reward in _first_rewards(policy, environments):
            total += reward
            yield None
        yield Evaluation(total, policy.version)
    finally:
        environments.close()


def _first_rewards(policy: Evaluable, environments: SeededEnvironments) -> Iterator[Array]:
    """Yield the rewards of each step, those of each environment's first episode; those that ended play on unseen."""
    running = np.ones(environments.count, np.bool_)
    obs = environments.reset()
    while running.any():
        step = environments.step(policy.best_actions(policy.features(obs)))
        yield np.where(running, step.reward, 0.0)
        running &= ~(step.terminated | step.truncated)
        obs = step.obs
