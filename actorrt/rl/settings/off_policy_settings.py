"""Pure: the settings that algorithms with a replay table have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actorrt.rl.foundation.memory import memory_bytes
from actorrt.rl.networks.activations import Activation
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.settings.algorithm_settings import RolloutSettings
from actorrt.rl.spaces.leaves import row_shape


@dataclass(frozen=True, kw_only=True)
class OffPolicySettings(RolloutSettings):
    """Settings of the algorithms that learn from a table of earlier transitions.

    Attributes:
        replay_size: number of transitions that the table holds; then the oldest go.
        learning_starts: the first update is made when the run has so many transitions.
        minibatch_size: transitions of an update.
        updates_per_step: updates for each transition that arrives. Times `minibatch_size`, it is how often a transition
            is used on average, however many simulators there are.
        n_step: largest number of rewards that are added up before the rest is estimated.
        target_every: the target network takes over the parameters after so many transitions, counted as they arrive.
        target_share: the share of the parameters that it takes over; 1 copies them.
        prioritised: whether transitions with larger errors are taken more often (Schaul et al. 2016); otherwise all are
            taken equally often.
        priority_exponent: how much more often: a priority is an absolute error to this power.
        importance_exponent: how much the loss weighs rare transitions up, at the start of the run; it grows to 1.
    """

    allows_lag = True

    environments: int = 2
    horizon: int = 32
    max_lag: int | None = 1
    activation: Activation = "relu"
    orthogonal: bool = False
    max_grad_norm: float = 10.0
    learning_rate: float = 1e-4
    evaluate_every: int | None = 5_000
    replay_size: int = 1_000_000
    learning_starts: int = 100
    minibatch_size: int = 32
    updates_per_step: float = 0.25
    n_step: int = 1
    target_every: int = 10_000
    target_share: float = 1.0
    prioritised: bool = False
    priority_exponent: float = 0.6
    importance_exponent: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least_1("replay_size", "learning_starts", "minibatch_size", "n_step", "target_every")
        self._require_positive("updates_per_step")
        self._require_share("target_share")
        self._require_flags("prioritised")
        self._require_at_least_0("priority_exponent")
        self._require_share("importance_exponent")
        if not self.target_share:
            raise ValueError("a target network that takes over nothing never learns: target_share=0")
        if self.learning_starts > self.replay_size:
            raise ValueError(
                f"the first update would never be made: learning_starts={self.learning_starts} is more than the table "
                f"holds, replay_size={self.replay_size}"
            )
        if self.learners > 1:
            raise ValueError(f"{self.algorithm} has one learner, which has the replay table: learners={self.learners}")
        for name in ("normalise_observations", "normalise_rewards"):
            if getattr(self, name):
                raise ValueError(
                    f"{self.algorithm} keeps transitions as they were, and {name}=True would change their scale "
                    "meanwhile: leave it out, or wrap the environment"
                )

    def require_fitting(self, spec: PolicySpec) -> None:
        """Make sure that the machine has room for the table."""
        numbers = sum(row_shape(spec.action)) or 1
        row = 2 * spec.rows.width * np.dtype(spec.rows.dtype).itemsize + 8 * numbers + 2 * 4
        room, needed = memory_bytes(), self.replay_size * row
        if needed > room:
            raise ValueError(
                f"replay_size={self.replay_size:,} transitions of {row:,} bytes need {needed / 1e9:.1f} GB, and this "
                f"machine has {room / 1e9:.1f} GB: give replay_size={int(0.5 * room / row):,} or less"
            )
        if not 0 < self.n_step <= self.horizon:
            raise ValueError(
                f"n_step={self.n_step} rewards are added up within fragments of horizon={self.horizon} steps: give "
                "a larger horizon"
            )

    def cautions(self, simulators: int) -> list[str]:
        """Return sentences on what a user may not expect of these settings."""
        texts = super().cautions(simulators)
        if self.learning_starts >= self.steps:
            texts.append(f"learning_starts={self.learning_starts} is not before the end, steps={self.steps}: no update")
        return texts
