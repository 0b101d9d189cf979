"""Deep Q-networks (Mnih et al. 2015): settings and update.

With double targets (van Hasselt et al. 2016), dueling heads (Wang et al. 2016), prioritised replay (Schaul et al. 2016)
and n-step returns, each on its own or together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.algorithms.off_policy_update import OffPolicyUpdate
from actorrt.rl.networks.action_values import action_values, back_to_heads
from actorrt.rl.networks.network import AnyNetwork, make_network
from actorrt.rl.networks.policy_spec import Heads, PolicySpec
from actorrt.rl.presets.dqn import PRESETS
from actorrt.rl.replay.service import Sample
from actorrt.rl.settings.off_policy_settings import OffPolicySettings
from actorrt.rl.spaces.array_spaces import Array


@dataclass(frozen=True, kw_only=True)
class DQNSettings(OffPolicySettings):
    """Settings of deep Q-networks.

    Attributes:
        double: whether the network that learns chooses the next action, and the target network values it; otherwise the
            target network does both, which overestimates values.
        dueling: whether the network estimates the value of the observation and the advantages of actions.
        epsilon_start: share of actions that are drawn by chance at the start of the run.
        epsilon_end: the same after `exploration_share` of the run; in between it changes linearly.
        exploration_share: share of the run after which exploration stays as it is.
    """

    algorithm: ClassVar[str] = "DQN"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    double: bool = True
    dueling: bool = False
    epsilon_start: float = 1.0
    epsilon_end: float = 0.05
    exploration_share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_flags("double", "dueling")
        self._require_share("epsilon_start", "epsilon_end", "exploration_share")

    @property
    def heads(self) -> Heads:
        """What the network estimates."""
        return "dueling" if self.dueling else "q"

    def update_rule(self, spec: PolicySpec, parameters: Array, seed: int) -> DQNUpdate:
        """Make the update rule."""
        return DQNUpdate(self, spec, parameters, seed)


class DQNUpdate(OffPolicyUpdate):
    """Moves the values of actions towards their targets, with a Huber loss."""

    settings: DQNSettings

    def __init__(self, settings: DQNSettings, spec: PolicySpec, parameters: Array, seed: int) -> None:
        super().__init__(settings, spec, parameters, seed)
        self._target = make_network(spec, parameters, settings.backend)
        self.explores(0.0)

    def update(self, sample: Sample, weights: Array, learning_rate: float) -> tuple[Array, dict[str, float]]:
        """Make one step along the gradient of the mean of weight x Huber(Q(s, a) - target).

        The target is G + d max_a Q'(s', a) by the target network Q', or G + d Q'(s', argmax_a Q(s', a)) if double.
        """
        rows, network = sample.columns, self.network
        target = rows["reward"] + rows["discount"] * self._next_values(rows["next_obs"])
        obs: Any = network.place(rows["obs"])
        outputs, value = network.forward(obs)
        values = action_values(self.spec, outputs, value)
        taken = np.arange(len(values)), rows["action"]
        error = values[taken] - target
        size = np.abs(error)
        d_values = np.zeros(values.shape, np.float32)
        d_values[taken] = error.clip(-1.0, 1.0) * weights / len(values)
        network.backward(*back_to_heads(self.spec, outputs, d_values))
        loss = weights * np.where(size <= 1.0, 0.5 * size * size, size - 0.5)
        return error, {
            "value_loss": float(loss.mean()),
            "value": float(values[taken].mean()),
            "gradient_norm": self.step(learning_rate),
        }

    def no_metrics(self) -> tuple[str, ...]:
        """Return the names of the metrics of an update."""
        return "value_loss", "value", "gradient_norm"

    def _next_values(self, obs: Array) -> Array:
        estimated = self._values_by(self._target, obs)
        if not self.settings.double:
            best: Array = estimated.max(axis=1)
            return best
        chosen = self._values_by(self.network, obs).argmax(axis=1)
        valued: Array = estimated[np.arange(len(chosen)), chosen]
        return valued

    def _values_by(self, network: AnyNetwork, obs: Array) -> Array:
        placed: Any = network.place(obs)
        return action_values(self.spec, *network.forward(placed, learns=False))

    def arrived(self, before: int, steps: int) -> None:
        """Have the target network take over parameters, if that has become due."""
        every, share = self.settings.target_every, self.settings.target_share
        if before // every != steps // every:
            own, target = self.network.parameters(), self._target.parameters()
            self._target.set_parameters(own if share == 1.0 else target + np.float32(share) * (own - target))

    def explores(self, progress: float) -> dict[str, float]:
        """Write epsilon into the parameters, which are published with it."""
        settings = self.settings
        share = min(1.0, progress / settings.exploration_share) if settings.exploration_share else 1.0
        epsilon = settings.epsilon_start + share * (settings.epsilon_end - settings.epsilon_start)
        self.network.flat[-1] = epsilon
        return {"epsilon": epsilon}

    def snapshot(self) -> dict[str, Any]:
        """Return the state for the next incarnation of the learner; see `OffPolicyUpdate`."""
        return super().snapshot() | {"target": self._target.parameters()}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over another rule's `state`, or its `snapshot`."""
        super().resume(state)
        self._target.set_parameters(state["target"])


class DQN(Algorithm):
    """Trains a policy by deep Q-networks; see `Algorithm` for the arguments."""

    settings_class = DQNSettings
