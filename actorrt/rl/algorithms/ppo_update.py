"""One update of proximal policy optimisation (Schulman et al. 2017), in the paper's order.

Computes advantages, then makes several epochs over minibatches of the clipped objective. Settings are in `ppo`. The
learner calls this module, which sends no messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from actorrt.rl.algorithms.gradient_update import GradientUpdate
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import Transitions, normalised, transitions
from actorrt.rl.settings.algorithm_settings import scheduled
from actorrt.rl.spaces.array_spaces import Array

if TYPE_CHECKING:
    from actorrt.rl.algorithms.ppo import ClippedSettings, PPOSettings


class PPOUpdate(GradientUpdate):
    """Improves the policy one batch at a time."""

    def __init__(self, settings: ClippedSettings, spec: PolicySpec, parameters: Array, seed: int) -> None:
        super().__init__(settings, spec, parameters)
        self._rng = np.random.default_rng(seed)

    def __call__(self, fragments: tuple[Fragment, ...], remaining: float) -> dict[str, float]:
        """Improve the policy.

        Args:
            fragments: fragments with at least one transition.
            remaining: share of the run that is still to come, 1 to 0; learning rate and clip range shrink with it.

        Returns:
            Metrics of the batch after the update: `value_loss`, `entropy` (nats), `kl` (nats, from the policy that
            acted) and `clip_fraction`.
        """
        settings = self.settings
        batch = self.rows(fragments)
        count = max(1, round(len(batch) / settings.minibatch_size))
        rows = self.share(batch)
        learning_rate = scheduled(settings.learning_rate, settings.learning_rate_schedule, remaining)
        clip_range = scheduled(settings.clip_range, settings.clip_schedule, remaining)
        for _ in range(settings.epochs):
            for minibatch in self._minibatches(rows, count):
                self.differentiate(minibatch, clip_range)
                self.step(learning_rate)
        return self._measure(rows, clip_range)

    def rows(self, fragments: tuple[Fragment, ...]) -> Transitions:
        """Compute advantages and value targets."""
        settings = cast("PPOSettings", self.settings)
        return transitions(fragments, gamma=settings.gamma, gae_lambda=settings.gae_lambda)

    def state(self) -> dict[str, Any]:
        """Return the state that another rule needs to continue from the parameters."""
        return super().state() | {"rng": self._rng.bit_generator.state}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over another rule's `state`."""
        super().resume(state)
        self._rng.bit_generator.state = state["rng"]

    def _minibatches(self, rows: Transitions, count: int) -> list[Transitions]:
        if count == 1:
            return [rows]  # the order of rows does not matter
        return [rows.rows(index) for index in np.array_split(self._rng.permutation(len(rows)), count)]

    def differentiate(self, rows: Transitions, clip_range: float) -> None:
        """Compute the gradient of the clipped objective (eq. 7 and 9, negated to be minimised) in the network."""
        settings, count = self.settings, len(rows)
        outputs, value = self.network.forward(rows.obs)
        distribution = self.network.distribution(outputs)
        advantage = normalised(rows.advantage) if settings.normalise_advantages else rows.advantage
        ratio = np.exp(distribution.log_probability(rows.action) - rows.logp)
        surrogate = ratio * advantage
        # The smaller of the two surrogates counts; if that is the clipped one, its gradient is zero.
        moves = surrogate <= ratio.clip(1.0 - clip_range, 1.0 + clip_range) * advantage
        d_logp = surrogate * moves / -count
        d_outputs = distribution.gradient(rows.action, d_logp, -settings.entropy_coefficient / count)
        self.network.backward(d_outputs, (value - rows.target) * (2.0 * settings.value_coefficient / count))

    def _measure(self, rows: Transitions, clip_range: float) -> dict[str, float]:
        outputs, value = self.network.forward(rows.obs, learns=False)
        distribution = self.network.distribution(outputs)
        log_ratio = distribution.log_probability(rows.action) - rows.logp
        ratio = np.exp(log_ratio)
        return {
            "value_loss": float(np.square(rows.target - value).mean()),
            "entropy": float(distribution.entropy().mean()),
            "kl": float((ratio - 1.0 - log_ratio).mean()),
            "clip_fraction": float((np.abs(ratio - 1.0) > clip_range).mean()),
        }
