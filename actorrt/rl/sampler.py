"""Rolls a policy out in environments and records fragments; what a simulator does between messages.

No actor, no message, no parameter server: those are in `simulator`.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from actorrt.rl.environment import Environments
from actorrt.rl.policy import Policy
from actorrt.rl.spaces import Array, Discrete
from actorrt.rl.trajectory import Fragment


class Sampler:
    """Steps K environments with a policy, a fragment of T steps at a time; episodes go on from one to the next.

    Args:
        environments: what is stepped; belongs to the sampler from now on.
        policy: what acts; its parameters may be replaced between two fragments.
        horizon: T, steps of every environment in a fragment.
        rng: randomness of the actions.
        simulator: index of the simulator, for the fragments.
        incarnation: incarnation of the simulator's actor, for the fragments.
    """

    def __init__(
        self,
        environments: Environments,
        policy: Policy,
        horizon: int,
        rng: np.random.Generator,
        *,
        simulator: int = 0,
        incarnation: int = 0,
    ) -> None:
        self._environments = environments
        self._policy = policy
        self._horizon = horizon
        self._rng = rng
        self._source: dict[str, Any] = {"simulator": simulator, "incarnation": incarnation, "process_id": os.getpid()}
        self._sequence = 0
        self._features = policy.spec.observation.encode(environments.reset())
        self._return = np.zeros(environments.count)
        self._length = np.zeros(environments.count, np.int64)

    def collect(self) -> Fragment:
        """Step every environment `horizon` times and return the fragment."""
        rows = self._empty_rows()
        final: list[tuple[int, int, Array]] = []
        episodes: list[tuple[float, int]] = []
        for t in range(self._horizon):
            self._step(t, rows, final, episodes)
        final_obs = np.array([obs for _, _, obs in final], np.float32).reshape(len(final), self._features.shape[1])
        last_value = self._policy.values(np.concatenate([self._features, final_obs]) if final else self._features)
        count = self._environments.count
        self._sequence += 1
        return Fragment(
            **rows,
            last_value=last_value[:count],
            final_step=np.array([(t, k) for t, k, _ in final], np.int64).reshape(-1, 2),
            final_obs=final_obs,
            final_value=last_value[count:],
            episode_return=np.array([total for total, _ in episodes], np.float64),
            episode_length=np.array([length for _, length in episodes], np.int64),
            policy_version=self._policy.version,
            sequence=self._sequence - 1,
            **self._source,
        )

    def _step(
        self, t: int, rows: dict[str, Any], final: list[tuple[int, int, Array]], episodes: list[tuple[float, int]]
    ) -> None:
        space = self._policy.spec
        action, logp, value = self._policy.act(self._features, self._rng)
        step = self._environments.step(space.action.to_environment(action))
        rows["obs"][t], rows["action"][t], rows["logp"][t], rows["value"][t] = self._features, action, logp, value
        rows["reward"][t], rows["valid"][t] = step.reward, step.valid
        rows["terminated"][t], rows["truncated"][t] = step.terminated, step.truncated
        for k, obs in step.final_obs.items():
            final.append((t, k, space.observation.encode(np.asarray(obs)[None])[0]))
        self._features = space.observation.encode(step.obs)
        self._count_episodes(step.reward, step.valid, step.terminated | step.truncated, episodes)

    def _count_episodes(self, reward: Array, valid: Array, ended: Array, episodes: list[tuple[float, int]]) -> None:
        self._return += np.where(valid, reward, 0.0)
        self._length += valid
        if ended.any():
            episodes.extend((float(self._return[k]), int(self._length[k])) for k in np.flatnonzero(ended))
            self._return[ended] = 0.0
            self._length[ended] = 0

    def _empty_rows(self) -> dict[str, Any]:
        spec = self._policy.spec
        shape = (self._horizon, self._environments.count)
        is_discrete = isinstance(spec.action, Discrete)
        return {
            "obs": np.empty((*shape, spec.observation.feature_count), np.float32),
            "action": np.empty(shape, np.int64)
            if is_discrete
            else np.empty((*shape, spec.action.feature_count), np.float32),
            "reward": np.empty(shape, np.float32),
            "terminated": np.empty(shape, np.bool_),
            "truncated": np.empty(shape, np.bool_),
            "valid": np.empty(shape, np.bool_),
            "logp": np.empty(shape, np.float32),
            "value": np.empty(shape, np.float32),
        }

    def whereabouts(self) -> str:
        """Say which environment was stepped or reset last, for whoever looks into its error."""
        return self._environments.whereabouts()

    def close(self) -> None:
        """Close the environments. Idempotent."""
        self._environments.close()
