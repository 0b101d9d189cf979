"""The roles of A3C: simulators that compute gradients, and a parameter server that applies them as they arrive.

A simulator repeats the paper's algorithm S3: take the newest parameters, collect a fragment, compute the gradient of
its actor-critic loss, send it to the server. The server keeps the optimiser's moments for all simulators (section 4,
"shared RMSProp"; with `optimiser=`, those of another).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from actorrt.rl.algorithms.a2c import A2CSettings
from actorrt.rl.algorithms.actor_critic import actor_critic_gradient
from actorrt.rl.networks.network import limit_threads, make_network
from actorrt.rl.networks.optimiser import make_optimiser, to_array
from actorrt.rl.policies.weights import Weights
from actorrt.rl.roles.parameters import ParameterServer
from actorrt.rl.roles.simulator import Simulator
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import normalised, transitions
from actorrt.rl.settings.schedules import scheduled
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.finite import require_finite
from actorrt.rl.spaces.normaliser import Normaliser


@dataclass(frozen=True, eq=False)
class Contribution:
    """A simulator's report about a fragment whose gradient has been applied; the fragment itself is not sent.

    Attributes:
        step_count: transitions of the fragment.
        episode_return: undiscounted returns of the episodes that ended within, (m,) float64.
        policy_version: the version that the gradient led to.
        simulator, incarnation, sequence, process_id, collect_s, failures: as of the fragment.
        metrics: those of `actor_critic_gradient`; `gradient_norm`, before the server clips the gradient; and
            `policy_lag`: the number of versions that others made meanwhile.
    """

    step_count: int
    episode_return: Array
    policy_version: int
    simulator: int
    incarnation: int
    sequence: int
    process_id: int
    collect_s: float
    failures: tuple[str, ...]
    metrics: dict[str, float]


class GradientServer(ParameterServer):
    """Holds the newest parameters, and applies the gradients that arrive, one by one.

    Its snapshots hold its whole state, so the next incarnation continues after the last gradient that was confirmed.

    Args:
        settings: of the algorithm.
        steps: environment steps of the whole run; the learning rate's schedule ends there.
        parameters, version, normaliser: as for `ParameterServer`.
    """

    def __init__(
        self,
        settings: A2CSettings,
        steps: int,
        parameters: Array,
        version: int = 0,
        normaliser: Normaliser | None = None,
    ) -> None:
        super().__init__(parameters, version, normaliser)
        self._settings, self._steps = settings, steps
        self._learnt_steps = 0
        self._gradient = np.zeros_like(parameters)
        self._moving = parameters.copy()  # other processes read the published parameters, which must not change
        self._optimiser = make_optimiser(
            settings.optimiser,
            self._moving,
            self._gradient,
            max_norm=settings.max_grad_norm,
            weight_decay=settings.weight_decay,
        )

    def apply(self, gradient: Array, step_count: int, seen: Normaliser | None = None) -> Weights:
        """Apply a gradient.

        Args:
            gradient: gradient of the loss, a flat vector.
            step_count: number of transitions from which it was computed.
            seen: counts of observations and returns to merge into the normaliser.

        Returns:
            The newest weights, whose version is one larger.

        Raises:
            DivergedError: a value of the gradient is infinite or NaN; nothing changes.
        """
        require_finite(gradient, f"a gradient for version {self._weights.version + 1}")
        settings = self._settings
        remaining = max(0.0, 1.0 - self._learnt_steps / self._steps)
        learning_rate = scheduled(settings.learning_rate, settings.learning_rate_schedule, remaining)
        self._gradient[:] = gradient
        self._optimiser.step(learning_rate)
        self._learnt_steps += step_count
        self._replace(self._moving.copy(), self._weights.version + 1, seen)
        return self._weights  # not sent to readers: the simulator that sent the gradient gets them in the answer

    def state(self) -> dict[str, Any]:
        """Return the state that another server needs to continue from the parameters."""
        return {"optimiser": self._optimiser.state(), "learnt_steps": self._learnt_steps}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over another server's `state`."""
        self._optimiser.resume(state["optimiser"])
        self._learnt_steps = state["learnt_steps"]

    def snapshot(self) -> Any:
        """Return the whole state."""
        return super().snapshot(), self.state()

    def restore(self, state: Any) -> None:
        """Take over the state of the last incarnation."""
        held, mine = state
        super().restore(held)
        self._moving[:] = self._weights.parameters
        self.resume(mine)


class GradientSimulator(Simulator):
    """A simulator that learns from its own fragments.

    Args:
        settings: of the algorithm.
        **arguments: as for `Simulator`.
    """

    def __init__(self, *arguments: Any, settings: A2CSettings, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._settings = settings

    async def on_start(self) -> None:
        """Make the environments and the network."""
        await super().on_start()
        self._network = make_network(self._policy.spec, self._policy.parameters, self._settings.backend)
        limit_threads(1)

    async def rollout(self, at_least: int = 0, *, exact: bool = False, share: float = 1.0) -> Any:
        """Collect a fragment with the newest parameters, and let the server apply its gradient.

        Args:
            at_least: the oldest version of the parameters to act with.
            exact, share: as for `Simulator.rollout`.

        Returns:
            A `Contribution`.

        Raises:
            Exception: an environment's own error, as from `Simulator.rollout`.
        """
        fragment = await super().rollout(at_least, exact=exact, share=share)
        failures = fragment.failures
        while fragment.step_count == 0:  # the fragment holds only resets and failures, which have no gradient
            fragment = await super().rollout(at_least, exact=exact, share=share)
            failures += fragment.failures
        gradient, metrics = self._differentiate(fragment)
        weights = await self._params.apply(gradient, fragment.step_count, fragment.seen)
        self.renew(*weights)
        return Contribution(
            step_count=fragment.step_count,
            episode_return=fragment.episode_return,
            policy_version=weights.version,
            simulator=fragment.simulator,
            incarnation=fragment.incarnation,
            sequence=fragment.sequence,
            process_id=fragment.process_id,
            collect_s=fragment.collect_s,
            failures=failures,
            metrics=metrics | {"policy_lag": float(weights.version - 1 - fragment.policy_version)},
        )

    def _differentiate(self, fragment: Fragment) -> tuple[Array, dict[str, float]]:
        """Return the gradient of a fragment's actor-critic loss, and its metrics."""
        settings, network = self._settings, self._network
        network.set_parameters(self._policy.parameters)
        rows = transitions((fragment,), gamma=settings.gamma, gae_lambda=settings.gae_lambda)
        advantage = normalised(rows.advantage) if settings.normalise_advantages else rows.advantage
        metrics = actor_critic_gradient(
            network, rows, advantage, settings.value_coefficient, settings.entropy_coefficient
        )
        gradient = to_array(network.gradient)
        return gradient, metrics | {"gradient_norm": float(gradient @ gradient) ** 0.5}
