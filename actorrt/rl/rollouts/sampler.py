"""Rolls a policy out in environments and records fragments: the work of a simulator between two messages.

Actors, messages and the parameter server are in `roles.simulator`.
"""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from actorrt.rl.environments.stepping import Environments, Step
from actorrt.rl.policies.protocols import Policy
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.leaves import row_dtype, row_shape
from actorrt.rl.spaces.normaliser import Moments, Normaliser


class Recording:
    """The data recorded while one fragment is collected.

    Attributes:
        rows: columns of the fragment by name, each of shape (T, K, ...).
        encoded: numbers of observations before normalisation, (T, K, numbers); only if a normaliser counts them.
        discounted: discounted returns so far, (T, K); only if a normaliser counts them.
        final: step, environment and last features of each truncation.
        episodes: return and length of each episode that ended.
    """

    def __init__(self, policy: Policy, horizon: int, count: int) -> None:
        shape, spec, normaliser = (horizon, count), policy.spec, policy.normaliser
        self.rows: dict[str, Any] = {
            "obs": np.empty((*shape, spec.rows.width), spec.rows.dtype),
            "action": np.empty((*shape, *row_shape(spec.action)), row_dtype(spec.action)),
            "reward": np.empty(shape, np.float32),
            "terminated": np.empty(shape, np.bool_),
            "truncated": np.empty(shape, np.bool_),
            "valid": np.empty(shape, np.bool_),
            "logp": np.empty(shape, np.float32),
            "value": np.empty(shape, np.float32),
        }
        counts_observations = normaliser is not None and normaliser.observations is not None
        self.encoded = np.empty((*shape, spec.rows.number_count), np.float32) if counts_observations else None
        self.discounted = np.empty(shape) if normaliser is not None and normaliser.returns is not None else None
        self.final: list[tuple[int, int, Array]] = []
        self.episodes: list[tuple[float, int]] = []

    def cut(self, horizon: int) -> None:
        """Keep the first `horizon` steps only."""
        self.rows = {name: column[:horizon] for name, column in self.rows.items()}
        self.encoded = None if self.encoded is None else self.encoded[:horizon]
        self.discounted = None if self.discounted is None else self.discounted[:horizon]

    def seen(self) -> Normaliser | None:
        """Return the counts for the normaliser; None if there is no normaliser."""
        if self.encoded is None and self.discounted is None:
            return None
        valid = self.rows["valid"]
        return Normaliser(
            observations=None if self.encoded is None else Moments.of(self.encoded[valid]),
            returns=None if self.discounted is None else Moments.of(self.discounted[valid][:, None]),
        )


class Collection:
    """A fragment that is being collected; its holder decides on the actions of each step.

    Attributes:
        features: the rows to act on, (K, features).
    """

    def __init__(self, sampler: Sampler, recording: Recording, features: Array) -> None:
        self._sampler, self._recording = sampler, recording
        self._began_at = time.perf_counter()
        self._t = 0
        self.features = features

    @property
    def is_full(self) -> bool:
        """Whether every step has been taken."""
        return self._t == len(self._recording.rows["reward"])

    def step(self, action: Array, logp: Array, value: Array) -> None:
        """Take a step with the actions drawn for `features`."""
        self.features = self._sampler.step(self._t, self.features, (action, logp, value), self._recording)
        self._t += 1

    def unvalued(self) -> Array:
        """End the fragment; return the features whose values `finish` needs.

        They are those to act on next, and the last of truncated episodes.
        """
        if not self.is_full:
            self._recording.cut(self._t)
        self._final = self._sampler.final_features(self._recording, self.features)
        return np.concatenate([self.features, self._final]) if len(self._final) else self.features

    def finish(self, values: Array) -> Fragment:
        """Return the fragment.

        Args:
            values: the values of the features that `unvalued` returned.
        """
        count = len(self.features)
        return self._sampler.fragment(
            self._recording,
            last_obs=self.features.copy(),
            last_value=values[:count],
            final_obs=self._final,
            final_value=values[count:],
            collect_s=time.perf_counter() - self._began_at,
        )


class Sampler:
    """Steps K environments with a policy, a fragment of T steps at a time; episodes continue over fragments.

    Args:
        environments: the environments, which belong to the sampler from now on.
        policy: the policy that acts; its parameters may be replaced between two fragments.
        horizon: T, steps of every environment in a fragment.
        rng: source of randomness for actions.
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
        self._encoded: Array | None = None  # the features to act on next; None before the first reset
        self._return = np.zeros(environments.count)
        self._discounted = np.zeros(environments.count)
        self._length = np.zeros(environments.count, np.int64)

    def collect(self) -> Fragment:
        """Step every environment `horizon` times with the policy and return the fragment."""
        collection = self.begin()
        while not collection.is_full:
            collection.step(*self._policy.act(collection.features, self._rng))
        return collection.finish(self._policy.values(collection.unvalued()))

    def begin(self, horizon: int | None = None) -> Collection:
        """Begin a fragment whose holder decides on the actions; resets the environments the first time.

        Args:
            horizon: steps of this fragment; None takes the usual number.
        """
        if self._encoded is None:
            self._encoded = self._first_features(self._environments.reset())
        recording = Recording(self._policy, horizon or self._horizon, self._environments.count)
        return Collection(self, recording, self._policy.normalise(self._encoded))

    def step(self, t: int, features: Array, drawn: tuple[Array, Array, Array], recording: Recording) -> Array:
        """Step every environment once, record the step, and return the features to act on next."""
        policy, rows = self._policy, recording.rows
        action, logp, value = drawn
        # Before the step, since native environments may overwrite their observations.
        rows["obs"][t], rows["action"][t], rows["logp"][t], rows["value"][t] = features, action, logp, value
        if recording.encoded is not None:
            assert self._encoded is not None
            recording.encoded[t] = policy.spec.rows.observed_numbers(self._encoded)
        step = self._environments.step(action)
        encoded = self._read(t, step, recording)
        rows["reward"][t], rows["valid"][t] = step.reward, step.valid
        rows["terminated"][t], rows["truncated"][t] = step.terminated, step.truncated
        self._count(t, step, recording)
        for k in step.failed:
            self._end_before(t, k, recording)
        self._encoded = encoded
        return policy.normalise(encoded)

    def _read(self, t: int, step: Step, recording: Recording) -> Array:
        """Return the features of a step's observations, and record those that truncated episodes ended with.

        Environments whose observations can't be learnt from have failed in this step.

        Raises:
            Exception: an environment's own error, if the environment is broken.
        """
        while True:
            try:
                encoded = self._policy.spec.encode(step.obs)
                final = [
                    (t, k, self._policy.normalise(self._policy.spec.encode(obs))[0])
                    for k, obs in step.final_obs.items()
                ]
            except ValueError as error:
                step.obs = self._environments.refused(error, step)
                continue
            recording.final += final
            return encoded

    def _end_before(self, t: int, k: int, recording: Recording) -> None:
        """End the episode of an environment that failed in step `t` as truncated, in the step before.

        The failed step has neither a reward nor a next observation, so it is not a transition. The step before it led
        to the observation that was acted on in the failed step, and bootstraps from its value: a failure says nothing
        about the return that would have followed. In the first step of a fragment nothing is left to do, since the
        last step of the fragment before bootstraps from this value already.
        """
        rows = recording.rows
        if t > 0 and rows["valid"][t - 1, k] and not (rows["terminated"][t - 1, k] or rows["truncated"][t - 1, k]):
            rows["truncated"][t - 1, k] = True
            recording.final.append((t - 1, k, rows["obs"][t, k].copy()))
        # The return of the whole episode is unknown, so the episode is not among those that ended.
        self._return[k] = self._discounted[k] = 0.0
        self._length[k] = 0

    def _first_features(self, obs: Any) -> Array:
        """Return the features of first observations; environments whose observations can't be learnt from have failed.

        Raises:
            Exception: an environment's own error, if the environment is broken.
        """
        while True:
            try:
                return self._policy.spec.encode(obs)
            except ValueError as error:
                obs = self._environments.refused(error)

    def final_features(self, recording: Recording, features: Array) -> Array:
        """Return the last observations of truncated episodes, as networks see them."""
        final = [last for _, _, last in recording.final]
        return np.array(final, features.dtype).reshape(len(final), features.shape[1])

    def fragment(self, recording: Recording, **more: Any) -> Fragment:
        """Build the fragment from the recorded data."""
        policy = self._policy
        if policy.normaliser is not None:
            recording.rows["reward"] = policy.normaliser.scale_rewards(recording.rows["reward"])
        self._sequence += 1
        return Fragment(
            **recording.rows,
            final_step=np.array([(t, k) for t, k, _ in recording.final], np.int64).reshape(-1, 2),
            episode_return=np.array([total for total, _ in recording.episodes], np.float64),
            episode_length=np.array([length for _, length in recording.episodes], np.int64),
            policy_version=policy.version,
            sequence=self._sequence - 1,
            seen=recording.seen(),
            failures=self._environments.take_failures(),
            **self._source,
            **more,
        )

    def _count(self, t: int, step: Step, recording: Recording) -> None:
        """Add up returns and lengths, and record those of episodes that ended."""
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

    def location(self) -> str:
        """Describe the environment that was stepped or reset last, or whose observation was refused."""
        return self._environments.location()

    def state(self) -> dict[str, Any]:
        """Return the state between two fragments as plain values and arrays, for another sampler's `resume`."""
        if self._encoded is None:
            self._encoded = self._first_features(self._environments.reset())
        return {
            "rng": self._rng.bit_generator.state,
            "return": self._return.copy(),
            "discounted": self._discounted.copy(),
            "length": self._length.copy(),
            "environments": self._environments.state(),
        }

    def resume(self, state: dict[str, Any]) -> bool:
        """Take over another sampler's `state`; return whether the environments are exactly where they were."""
        obs, is_exact = self._environments.resume(state["environments"])
        self._rng.bit_generator.state = state["rng"]
        self._encoded = self._first_features(obs)
        self._return, self._discounted, self._length = (
            np.where(is_exact, state[name], 0) for name in ("return", "discounted", "length")
        )
        return bool(is_exact.all())

    def close(self) -> None:
        """Close the environments. Idempotent."""
        self._environments.close()
