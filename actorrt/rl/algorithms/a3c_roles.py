"""The roles of A3C: simulators that compute gradients, and a parameter server that applies them as they arrive.

One round of a simulator is the paper's algorithm S3: take the newest parameters, collect a fragment, compute the
gradient of its actor-critic loss, hand it over. The server keeps RMSProp's moments for all of them (section 4, "shared
RMSProp").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from actorrt.rl.algorithms.a2c_update import actor_critic_gradient
from actorrt.rl.networks.network import limit_threads, make_network
from actorrt.rl.networks.optimiser import FlatRMSProp, to_array
from actorrt.rl.policies.weights import Weights
from actorrt.rl.roles.parameters import ParameterServer
from actorrt.rl.roles.simulator import Simulator
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.settings.algorithm_settings import scheduled
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.finite import require_finite
from actorrt.rl.spaces.normaliser import Normaliser

if TYPE_CHECKING:
    from actorrt.rl.algorithms.a3c import A3CSettings


@dataclass(frozen=True, eq=False)
class Contribution:
    """What a simulator says of a fragment whose gradient has been applied; the fragment itself stays where it was.

    Attributes:
        step_count: transitions of the fragment.
        episode_return: undiscounted returns of the episodes that ended within, (m,) float64.
        policy_version: the version that the gradient made.
        simulator, incarnation, sequence, process_id, collect_s: as of the fragment.
        metrics: `value_loss`, `entropy` (nats) and `policy_lag`: versions that others had made meanwhile.
    """

    step_count: int
    episode_return: Array
    policy_version: int
    simulator: int
    incarnation: int
    sequence: int
    process_id: int
    collect_s: float
    metrics: dict[str, float]


class GradientServer(ParameterServer):
    """Holds the newest parameters and moves them along the gradients that it is given, one by one.

    Its snapshots hold everything, so that another incarnation goes on from the last gradient that was answered for.

    Args:
        settings: of the algorithm.
        steps: environment steps of the whole run; the learning rate's schedule ends there.
        parameters, version, normaliser: as for `ParameterServer`.
    """

    def __init__(
        self,
        settings: A3CSettings,
        steps: int,
        parameters: Array,
        version: int = 0,
        normaliser: Normaliser | None = None,
    ) -> None:
        super().__init__(parameters, version, normaliser)
        self._settings, self._steps = settings, steps
        self._learnt_steps = 0
        self._gradient = np.zeros_like(parameters)
        self._moving = parameters.copy()  # the published ones are read by others, and stay as they are
        self._optimiser = FlatRMSProp(self._moving, self._gradient, max_norm=settings.max_grad_norm)

    def apply(self, gradient: Array, step_count: int, seen: Normaliser | None = None) -> Weights:
        """Move the parameters against a gradient.

        Args:
            gradient: of the loss, a flat vector.
            step_count: transitions that it was computed from.
            seen: counts of observations and returns to merge into the normaliser.

        Returns:
            The newest weights, whose version is one larger.

        Raises:
            DivergedError: the gradient is infinite or NaN somewhere; nothing changes.
        """
        require_finite(gradient, f"a gradient for version {self._weights.version + 1}")
        settings = self._settings
        remaining = max(0.0, 1.0 - self._learnt_steps / self._steps)
        learning_rate = scheduled(settings.learning_rate, settings.learning_rate_schedule, remaining)
        self._gradient[:] = gradient
        self._optimiser.step(learning_rate)
        self._learnt_steps += step_count
        self._replace(self._moving.copy(), self._weights.version + 1, seen)  # its giver reads it in the answer
        return self._weights

    def state(self) -> dict[str, Any]:
        """Return what, with the parameters, another server needs to go on."""
        return {"optimiser": self._optimiser.state(), "learnt_steps": self._learnt_steps}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from another server's `state`."""
        self._optimiser.resume(state["optimiser"])
        self._learnt_steps = state["learnt_steps"]

    def snapshot(self) -> Any:
        """Return everything."""
        return super().snapshot(), self.state()

    def restore(self, state: Any) -> None:
        """Take everything back."""
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

    def __init__(self, *arguments: Any, settings: A3CSettings, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._settings = settings

    async def on_start(self) -> None:
        """Make environments and network."""
        await super().on_start()
        self._network = make_network(self._policy.spec, self._policy.parameters, self._settings.backend)
        limit_threads(1)

    async def rollout(self, at_least: int = 0, *, exact: bool = False) -> Any:
        """Collect a fragment with the newest parameters and have its gradient applied; return a `Contribution`.

        Args:
            at_least: version of the parameters to act with, or a newer one.
            exact: as for `Simulator.rollout`.

        Raises:
            Exception: what an environment raises, as from `Simulator.rollout`.
        """
        fragment = await super().rollout(at_least, exact=exact)
        while fragment.step_count == 0:  # of resets alone: no gradient follows from them
            fragment = await super().rollout(at_least, exact=exact)
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
            metrics=metrics | {"policy_lag": float(weights.version - 1 - fragment.policy_version)},
        )

    def _differentiate(self, fragment: Fragment) -> tuple[Array, dict[str, float]]:
        """Return the gradient of a fragment's actor-critic loss, and what was measured."""
        self._network.set_parameters(self._policy.parameters)
        metrics = actor_critic_gradient(self._network, (fragment,), self._settings)
        return to_array(self._network.gradient), metrics
