"""Proximal policy optimisation (Schulman et al. 2017), in the paper's order: settings, the loss, the update.

How advantages are estimated is in `rollouts.returns`. `rl.source("ppo")` prints one page with all that an update uses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.algorithms.gradient_update import GradientUpdate
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.presets.ppo import PRESETS
from actorrt.rl.rollouts.returns import explained_variance
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import Transitions, normalised, transitions
from actorrt.rl.settings.actor_critic_settings import ActorCriticSettings
from actorrt.rl.settings.schedules import Schedule, require_no_function, require_schedule, scheduled
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.distributions import Distribution


@dataclass(frozen=True, kw_only=True)
class ClippedSettings(ActorCriticSettings):
    """What the settings of PPO and APPO have in common.

    Attributes:
        minibatch_size: number of transitions of a gradient step.
        epochs: passes over each batch.
        clip_range: bound on the change of the probability ratio, at the start of the run.
        clip_range_value: bound on the change of the value, at the start of the run; None sets none. It is meant for
            values of a known size, or with `normalise_rewards`.
        clip_schedule: how the two ranges change over the run, as `learning_rate_schedule` does.
        target_kl: the update ends early, before the step of a minibatch whose actions are further from the policy that
            acted than 1.5 times this divergence, in nats; None sets no limit.
        normalise_advantages: whether to scale them to mean 0 and standard deviation 1 in each minibatch.
    """

    minibatch_size: int = 64
    epochs: int = 10
    clip_range: float = 0.2
    clip_range_value: float | None = None
    clip_schedule: Schedule = "constant"
    target_kl: float | None = None
    normalise_advantages: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least_1("minibatch_size", "epochs")
        if self.minibatch_size < self.learners:
            raise ValueError(
                "each learner takes a share of every minibatch: minibatch_size is at least "
                f"learners={self.learners}: minibatch_size={self.minibatch_size}"
            )
        require_no_function("clip_range", self.clip_range, "clip_schedule")
        self._require_limits("clip_range")
        if self.clip_range_value is not None:
            require_no_function("clip_range_value", self.clip_range_value, "clip_schedule")
            self._require_limits("clip_range_value")
        if self.target_kl is not None:
            self._require_positive("target_kl")
        self._require_flags("normalise_advantages")
        require_schedule("clip_schedule", self.clip_schedule)


@dataclass(frozen=True, kw_only=True)
class PPOSettings(ClippedSettings):
    """Settings of proximal policy optimisation. The defaults are those of most libraries.

    Attributes:
        gae_lambda: weight of longer advantage estimates.
    """

    algorithm: ClassVar[str] = "PPO"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    gae_lambda: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_share("gae_lambda")

    def update_rule(self, spec: PolicySpec, parameters: Array, seed: int) -> PPOUpdate:
        """Make the update rule."""
        return PPOUpdate(self, spec, parameters, seed)


class Pass(NamedTuple):
    """What a pass of a minibatch through the network has computed; arrays have an element for each row.

    Attributes:
        distribution: distributions of actions.
        error: values minus their targets.
        advantage: advantages, normalised if the settings say so.
        log_ratio: logarithms of the ratios.
        ratio: probabilities of the actions, divided by those when they were chosen.
        clipped: the ratios within the clip range.
    """

    distribution: Distribution
    error: Array
    advantage: Array
    log_ratio: Array
    ratio: Array
    clipped: Array

    def metrics(self) -> dict[str, float]:
        """Return the parts of the loss, and how far the policy has moved from the one that acted."""
        return {
            "policy_loss": -float(np.minimum(self.ratio * self.advantage, self.clipped * self.advantage).mean()),
            "value_loss": float(np.square(self.error).mean()),
            "entropy": float(self.distribution.entropy().mean()),
            "kl": divergence(self.log_ratio),
            "clip_fraction": float((self.clipped != self.ratio).mean()),
        }


class ClippedUpdate(GradientUpdate):
    """Makes several epochs over minibatches of the clipped objective; the subclasses compute the advantages."""

    settings: ClippedSettings

    def __init__(self, settings: ClippedSettings, spec: PolicySpec, parameters: Array, seed: int) -> None:
        super().__init__(settings, spec, parameters)
        self._rng = np.random.default_rng(seed)

    def differentiate(self, rows: Transitions, clip_range: float, clip_range_value: float | None = None) -> Pass:
        """Compute the gradient of the loss, which is minimised, in the network.

        With the ratio r = exp(log pi(a) - logp) of an action's probability now to that when it was chosen, the loss is
        the mean over rows of

            - min(r A, clip(r, 1 - clip_range, 1 + clip_range) A)                         (eq. 7)
            + value_coefficient (V - target)^2 - entropy_coefficient H                    (eq. 9)

        With `clip_range_value`, the value may not move further than that from v, its estimate before the update
        (OpenAI's Baselines): the larger of (V - target)^2 and (v + clip(V - v) - target)^2 counts.
        """
        settings, count = self.settings, len(rows)
        outputs, value = self.network.forward(rows.obs)
        distribution = self.network.distribution(outputs)
        advantage = normalised(rows.advantage) if settings.normalise_advantages else rows.advantage
        log_ratio = distribution.log_probability(rows.action) - rows.logp
        ratio = np.exp(log_ratio)
        clipped = ratio.clip(1.0 - clip_range, 1.0 + clip_range)
        surrogate = ratio * advantage
        # The smaller of the two surrogates counts; if that is the clipped one, its gradient is zero.
        moves = surrogate <= clipped * advantage
        d_logp = surrogate * moves / -count  # since d r / d log pi is r
        d_outputs = distribution.gradient(rows.action, d_logp, -settings.entropy_coefficient / count)
        error = value - rows.target
        d_value = error * (2.0 * settings.value_coefficient / count)
        if clip_range_value is not None:
            # Not v + clip(V - v), which rounding makes different from V where nothing is clipped.
            held = value.clip(rows.value - clip_range_value, rows.value + clip_range_value)
            d_value *= np.abs(error) >= np.abs(held - rows.target)  # where the clipped one counts, it does not move
        self.network.backward(d_outputs, d_value)
        return Pass(distribution, error, advantage, log_ratio, ratio, clipped)

    def __call__(self, fragments: tuple[Fragment, ...], remaining: float) -> dict[str, float]:
        """Improve the policy.

        Args:
            fragments: fragments with at least one transition.
            remaining: share of the run that is still to come, 1 to 0; learning rate and clip range shrink with it.

        Returns:
            Metrics: `policy_loss`, `value_loss`, `entropy` (nats), `kl` (nats, an estimate of the divergence from the
            policy that acted) and `clip_fraction`, the share of ratios beyond the clip range, which are means over the
            last minibatches, as many as an epoch has, each before the step of its gradient; `explained_variance`, of
            the targets by the values before the update; `learning_rate`; and `gradient_norm`, the mean over all steps,
            before gradients were clipped.
        """
        settings = self.settings
        batch = self.rows(fragments)
        count = max(1, round(len(batch) / settings.minibatch_size))
        rows = self.share(batch)
        learning_rate = scheduled(settings.learning_rate, settings.learning_rate_schedule, remaining)
        clip_range = scheduled(settings.clip_range, settings.clip_schedule, remaining)
        clip_range_value = settings.clip_range_value
        if clip_range_value is not None:
            clip_range_value = scheduled(clip_range_value, settings.clip_schedule, remaining)
        measured, norms = self._learn(rows, count, learning_rate, (clip_range, clip_range_value))
        return {name: sum(each[name] for each in measured) / len(measured) for name in measured[0]} | {
            "explained_variance": explained_variance(rows.value, rows.target),
            "learning_rate": learning_rate,
            "gradient_norm": sum(norms) / max(1, len(norms)),
        }

    def _learn(
        self, rows: Transitions, count: int, learning_rate: float, clip_ranges: tuple[float, float | None]
    ) -> tuple[Sequence[dict[str, float]], list[float]]:
        """Make the gradient steps of all epochs, each over `count` minibatches.

        Returns:
            The metrics of each of the last `count` minibatches; and the norms of all gradients.
        """
        epochs, target_kl = self.settings.epochs, self.settings.target_kl
        norms: list[float] = []
        measured: deque[dict[str, float]] = deque(maxlen=count)
        for epoch in range(epochs):
            for minibatch in self._minibatches(rows, count):
                passed = self.differentiate(minibatch, *clip_ranges)
                if target_kl is not None or epoch == epochs - 1:
                    measured.append(passed.metrics())
                if target_kl is not None and self.mean(divergence(passed.log_ratio)) > 1.5 * target_kl:
                    return measured, norms
                norms.append(self.step(learning_rate))
        return measured, norms

    def rows(self, fragments: tuple[Fragment, ...]) -> Transitions:
        """Compute advantages and value targets under the policy as it is before the first epoch."""
        raise NotImplementedError

    def _minibatches(self, rows: Transitions, count: int) -> list[Transitions]:
        if count == 1:
            return [rows]  # the order of rows does not matter
        return [rows.rows(index) for index in np.array_split(self._rng.permutation(len(rows)), count)]

    def state(self) -> dict[str, Any]:
        """Return the state that another rule needs to continue from the parameters."""
        return super().state() | {"rng": self._rng.bit_generator.state}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over another rule's `state`."""
        super().resume(state)
        self._rng.bit_generator.state = state["rng"]


def divergence(log_ratio: Array) -> float:
    """Estimate the KL divergence of the policy that acted from the policy now, in nats (Schulman 2020, "k3").

    Args:
        log_ratio: logarithm of each action's probability now, divided by that when it was chosen.
    """
    return float((np.exp(log_ratio) - 1.0 - log_ratio).mean())


class PPOUpdate(ClippedUpdate):
    """Improves the policy by the clipped objective, with generalised advantage estimates."""

    settings: PPOSettings

    def rows(self, fragments: tuple[Fragment, ...]) -> Transitions:
        """Compute advantages and value targets from the values that the acting policies estimated."""
        return transitions(fragments, gamma=self.settings.gamma, gae_lambda=self.settings.gae_lambda)


class PPO(Algorithm):
    """Trains a policy by proximal policy optimisation; see `Algorithm` for the arguments."""

    settings_class = PPOSettings
