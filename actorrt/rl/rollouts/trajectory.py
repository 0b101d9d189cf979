"""Fragments: what a simulator collected in one rollout, as a structure of arrays.

A fragment has T steps of K environments, in whole rows; episodes may begin and end within it. It is a plain value of
numpy arrays, so it is sent as one object without a copy. `sampler` collects it, and `returns` computes advantages and
targets from it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser


@dataclass(frozen=True, eq=False)
class Fragment:
    """T x K transitions, and the data needed to learn from them.

    Attributes:
        obs: the rows of the observations acted on, (T, K, columns), normalised if the policy has a normaliser; float32,
            or uint8 if its network takes images, see `RowLayout`. `PolicySpec.decode` returns the observations.
        action: (T, K) int64 indices, or (T, K, numbers) sampled rows, before clipping to bounds.
        reward: (T, K) float32, scaled if the policy's normaliser scales rewards.
        terminated: (T, K) bool; the episode ended for good.
        truncated: (T, K) bool; the episode was cut off, for example by a time limit.
        valid: (T, K) bool; False for an autoreset or a failure of the environment, which are no transitions.
        logp: log-probability of the action under the policy that acted, (T, K) float32.
        value: value of `obs` under that policy, (T, K) float32.
        last_obs: the rows after the last step, (K, columns), of the same type.
        last_value: their values, (K,) float32.
        final_step: the steps at which episodes were truncated, (n, 2) int64 rows of t and k.
        final_obs: the rows that those transitions led to, (n, columns), of the same type.
        final_value: their values, (n,) float32.
        episode_return: undiscounted returns of the episodes that ended within, (m,) float64.
        episode_length: their lengths in steps, (m,) int64.
        policy_version: version of the parameters that acted.
        simulator: index of the simulator in its run.
        incarnation: incarnation of the simulator's actor.
        sequence: number of the fragment in that incarnation, from 0.
        process_id: process that collected it.
        collect_s: how long collecting it took.
        seen: counts of its observations and returns, for the normaliser; None if nothing is normalised.
        failures: a description of each failure of an environment since the fragment before.
    """

    obs: Array
    action: Array
    reward: Array
    terminated: Array
    truncated: Array
    valid: Array
    logp: Array
    value: Array
    last_obs: Array
    last_value: Array
    final_step: Array
    final_obs: Array
    final_value: Array
    episode_return: Array
    episode_length: Array
    policy_version: int
    simulator: int
    incarnation: int
    sequence: int
    process_id: int
    seen: Normaliser | None = None
    collect_s: float = 0.0
    failures: tuple[str, ...] = ()

    @property
    def step_count(self) -> int:
        """Number of transitions, without steps that only reset an environment or failed."""
        return int(np.count_nonzero(self.valid))

    def transitions(self, column: Array) -> Array:
        """Return those rows of a column, (T, K, ...), that are transitions; without a copy if all are."""
        return column.reshape(-1, *column.shape[2:]) if self.valid.all() else column[self.valid]

    @property
    def key(self) -> tuple[int, int, int]:
        """Identifies the fragment in its run: simulator, incarnation and number."""
        return self.simulator, self.incarnation, self.sequence

    def to_data(self) -> dict[str, Any]:
        """Return it as plain values and arrays."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"seen": {} if self.seen is None else self.seen.to_arrays()}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Fragment:
        """Rebuild what `to_data` made."""
        failures = tuple(data.get("failures", ()))  # older checkpoints have none
        return cls(**{**data, "seen": Normaliser.from_arrays(data["seen"]), "failures": failures})

    def dense_final_value(self) -> Array:
        """Return `final_value` spread out over (T, K), with zeros at all other steps."""
        dense = np.zeros(self.reward.shape, dtype=np.float32)
        dense[self.final_step[:, 0], self.final_step[:, 1]] = self.final_value
        return dense


@dataclass(frozen=True, eq=False)
class Batch:
    """Fragments to learn from in one update.

    Attributes:
        fragments: in the order in which they are used.
        policy_lag: for each fragment, by how many versions its policy was behind the newest when the batch was made.
    """

    fragments: tuple[Fragment, ...]
    policy_lag: tuple[int, ...] = ()

    @property
    def step_count(self) -> int:
        """Number of transitions in all fragments."""
        return sum(fragment.step_count for fragment in self.fragments)
