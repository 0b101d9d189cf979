"""Rolls a policy out in environments and records fragments; what a simulator does between messages.

No actor, no message, no parameter server: those are in `simulator`.
"""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from actorrt.rl.environment import Environments, Step
from actorrt.rl.normaliser import Moments, Normaliser
from actorrt.rl.policy import Policy
from actorrt.rl.spaces import Array, row_dtype, row_shape
from actorrt.rl.trajectory import Fragment


class Recording:
    """What is written down while one fragment is collected.

    Attributes:
        rows: columns of the fragment, (T, K) and more each.
        encoded: observations before any normaliser, (T, K, features); only where one counts them.
        discounted: discounted returns so far, (T, K); only where a normaliser counts them.
        final: step, environment and encoded observation of each truncation.
        episodes: return and length of each episode that ended.
    """

    def __init__(self, policy: Policy, horizon: int, count: int) -> None:
        shape, spec, normaliser = (horizon, count), policy.spec, policy.normaliser
        features = spec.observation.feature_count
        self.rows: dict[str, Any] = {
            "obs": np.empty((*shape, features), spec.feature_dtype),
            "action": np.empty((*shape, *row_shape(spec.action)), row_dtype(spec.action)),
            "reward": np.empty(shape, np.float32),
            "terminated": np.empty(shape, np.bool_),
            "truncated": np.empty(shape, np.bool_),
            "valid": np.empty(shape, np.bool_),
            "logp": np.empty(shape, np.float32),
            "value": np.empty(shape, np.float32),
        }
        counts_observations = normaliser is not None and normaliser.observations is not None
        self.encoded = np.empty((*shape, spec.input_count), np.float32) if counts_observations else None
        self.discounted = np.empty(shape) if normaliser is not None and normaliser.returns is not None else None
        self.final: list[tuple[int, int, Array]] = []
        self.episodes: list[tuple[float, int]] = []

    def seen(self) -> Normaliser | None:
        """Return the counts for the normaliser; None where there is none."""
        if self.encoded is None and self.discounted is None:
            return None
        valid = self.rows["valid"]
        return Normaliser(
            observations=None if self.encoded is None else Moments.of(self.encoded[valid]),
            returns=None if self.discounted is None else Moments.of(self.discounted[valid][:, None]),
        )


class Sampler:
    """Steps K environments with a policy, a fragment of T steps at a time; episodes go on from one to the next.

    Args:
        environments: what is stepped; belongs to the sampler from now on.
        policy: what acts; its parameters may be replaced between two fragments.
        horizon: T, steps of every environment in a fragment.
        rng: randomness of the actions.
        gamma: discount of the returns that a normaliser counts.
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
        gamma: float = 0.99,
        simulator: int = 0,
        incarnation: int = 0,
    ) -> None:
        self._environments = environments
        self._policy = policy
        self._horizon = horizon
        self._rng = rng
        self._gamma = gamma
        self._source: dict[str, Any] = {"simulator": simulator, "incarnation": incarnation, "process_id": os.getpid()}
        self._sequence = 0
        self._encoded = policy.spec.encode(environments.reset())
        self._return = np.zeros(environments.count)
        self._discounted = np.zeros(environments.count)
        self._length = np.zeros(environments.count, np.int64)

    def collect(self) -> Fragment:
        """Step every environment `horizon` times and return the fragment."""
        began_at = time.perf_counter()
        policy, count = self._policy, self._environments.count
        recording = Recording(policy, self._horizon, count)
        features = policy.normalise(self._encoded)
        for t in range(self._horizon):
            features = self._step(t, features, recording)
        if policy.normaliser is not None:
            recording.rows["reward"] = policy.normaliser.scale_rewards(recording.rows["reward"])
        final, episodes = recording.final, recording.episodes
        final_obs = np.array([encoded for _, _, encoded in final], features.dtype).reshape(
            len(final), features.shape[1]
        )
        final_obs = policy.normalise(final_obs)
        last_value = policy.values(np.concatenate([features, final_obs]) if final else features)
        self._sequence += 1
        return Fragment(
            **recording.rows,
            last_obs=features,
            last_value=last_value[:count],
            final_step=np.array([(t, k) for t, k, _ in final], np.int64).reshape(-1, 2),
            final_obs=final_obs,
            final_value=last_value[count:],
            episode_return=np.array([total for total, _ in episodes], np.float64),
            episode_length=np.array([length for _, length in episodes], np.int64),
            policy_version=policy.version,
            sequence=self._sequence - 1,
            seen=recording.seen(),
            collect_s=time.perf_counter() - began_at,
            **self._source,
        )

    def _step(self, t: int, features: Array, recording: Recording) -> Array:
        """Step every environment once, write it down, and return the features to act on next."""
        policy, rows = self._policy, recording.rows
        action, logp, value = policy.act(features, self._rng)
        step = self._environments.step(action)
        rows["obs"][t], rows["action"][t], rows["logp"][t], rows["value"][t] = features, action, logp, value
        rows["reward"][t], rows["valid"][t] = step.reward, step.valid
        rows["terminated"][t], rows["truncated"][t] = step.terminated, step.truncated
        for k, obs in step.final_obs.items():
            recording.final.append((t, k, policy.spec.encode(policy.spec.observation.stack([obs]))[0]))
        if recording.encoded is not None:
            recording.encoded[t] = self._encoded[:, : policy.spec.input_count]
        self._count(t, step, recording)
        self._encoded = policy.spec.encode(step.obs)
        return policy.normalise(self._encoded)

    def _count(self, t: int, step: Step, recording: Recording) -> None:
        """Add up returns and lengths; those of episodes that ended are written down."""
        reward = np.where(step.valid, step.reward, 0.0)
        self._return += reward
        self._length += step.valid
        if recording.discounted is not None:
            self._discounted = self._gamma * self._discounted + reward
            recording.discounted[t] = self._discounted
        ended = step.terminated | step.truncated
        if ended.any():
            recording.episodes.extend((float(self._return[k]), int(self._length[k])) for k in np.flatnonzero(ended))
            self._return[ended] = self._discounted[ended] = 0.0
            self._length[ended] = 0

    def whereabouts(self) -> str:
        """Say which environment was stepped or reset last, for whoever looks into its error."""
        return self._environments.whereabouts()

    def state(self) -> dict[str, Any]:
        """Return, between two fragments, what another sampler needs to go on, as plain values and arrays."""
        return {
            "rng": self._rng.bit_generator.state,
            "return": self._return,
            "discounted": self._discounted,
            "length": self._length,
            "environments": self._environments.state(),
        }

    def go_on(self, state: dict[str, Any]) -> bool:
        """Go on from where another sampler's `state` was; return whether it is exactly there."""
        obs, is_exact = self._environments.go_on(state["environments"])
        self._rng.bit_generator.state = state["rng"]
        self._encoded = self._policy.spec.encode(obs)
        if is_exact:
            self._return, self._discounted, self._length = (
                np.array(state[name]) for name in ("return", "discounted", "length")
            )
        return is_exact

    def close(self) -> None:
        """Close the environments. Idempotent."""
        self._environments.close()
