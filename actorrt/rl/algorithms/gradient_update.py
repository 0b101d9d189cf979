"""The base of update rules by gradient: a network, its optimiser, and the state of both."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from actorrt.rl.networks.network import make_network
from actorrt.rl.networks.optimiser import make_optimiser
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.roles.learner import Group
from actorrt.rl.rollouts.transitions import Transitions
from actorrt.rl.settings.algorithm_settings import RolloutSettings
from actorrt.rl.spaces.array_spaces import Array


class GradientUpdate:
    """Holds the network and its optimiser; the subclasses improve them with a batch.

    Args:
        settings: of the algorithm.
        spec: spec of the policy.
        parameters: the initial flat vector.
    """

    def __init__(self, settings: RolloutSettings, spec: PolicySpec, parameters: Array) -> None:
        self.settings = settings
        self.network = network = make_network(spec, parameters, settings.backend)
        self._optimiser = make_optimiser(
            settings.optimiser,
            network.flat,
            network.gradient,
            max_norm=settings.max_grad_norm,
            weight_decay=settings.weight_decay,
        )
        self._group: Group | None = None

    def join(self, group: Group) -> None:
        """Learn in a group from now on, from the state of its first learner."""
        self._group = group
        self.resume(group.agree(self.state()))

    def share(self, rows: Transitions) -> Transitions:
        """Return the transitions that this rule learns from: all of them, or its share in a group.

        Their observations are on the network's device, since they may be passed through it many times.
        """
        own = rows if self._group is None else self._group.share(rows)
        return dataclasses.replace(own, obs=self.network.place(own.obs))

    def step(self, learning_rate: float) -> float:
        """Apply the gradient, in a group the mean of all gradients; return its norm before it was clipped."""
        if self._group is not None:
            self._group.average(self.network.gradient)
        return self._optimiser.step(learning_rate)

    def mean(self, number: float) -> float:
        """Return a number, in a group the mean of all learners' numbers, so that all decide the same by it."""
        if self._group is None:
            return number
        numbers = np.array([number])
        self._group.average(numbers)
        return float(numbers[0])

    def parameters(self) -> Array:
        """Return a copy of the flat vector."""
        return self.network.parameters()

    def state(self) -> dict[str, Any]:
        """Return the state that another rule needs to continue from the parameters."""
        return {"optimiser": self._optimiser.state()}

    def resume(self, state: dict[str, Any]) -> None:
        """Take over another rule's `state`."""
        self._optimiser.resume(state["optimiser"])
