"""What updates by gradient have in common: a network, the optimiser that moves it, and how a run goes on from both."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

from actorrt.rl.networks.network import make_network
from actorrt.rl.networks.optimiser import FlatAdam, FlatRMSProp
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.rollouts.transitions import Transitions
from actorrt.rl.settings.algorithm_settings import RolloutSettings
from actorrt.rl.spaces.array_spaces import Array

if TYPE_CHECKING:
    from actorrt.rl.roles.learner_group import LearnerGroup


class GradientUpdate:
    """Holds the network and its optimiser; who derives from it says how a batch improves them.

    Args:
        settings: of the algorithm.
        spec: what the policy looks like.
        parameters: the flat vector to begin with.
    """

    optimiser_class: ClassVar[type[FlatAdam] | type[FlatRMSProp]] = FlatAdam

    def __init__(self, settings: RolloutSettings, spec: PolicySpec, parameters: Array) -> None:
        self.settings: Any = settings
        self.network = network = make_network(spec, parameters, settings.backend)
        self._optimiser = self.optimiser_class(network.flat, network.gradient, max_norm=settings.max_grad_norm)
        self._group: LearnerGroup | None = None

    def join(self, group: LearnerGroup) -> None:
        """Learn with others from now on, from where the first of them is."""
        self._group = group
        self.resume(group.agree(self.state()))

    def share(self, rows: Transitions) -> Transitions:
        """Return the transitions that this rule is to learn from: all, or its part of them in a group.

        Their observations are where the network is, since they may be passed through it many times.
        """
        own = rows if self._group is None else self._group.share(rows)
        return dataclasses.replace(own, obs=self.network.place(own.obs))

    def step(self, learning_rate: float) -> None:
        """Move along the gradient, in a group along the mean of all."""
        if self._group is not None:
            self._group.average(self.network.gradient)
        self._optimiser.step(learning_rate)

    def parameters(self) -> Array:
        """Return a copy of the flat vector."""
        return self.network.parameters()

    def state(self) -> dict[str, Any]:
        """Return what, with the parameters, another rule needs to go on."""
        return {"optimiser": self._optimiser.state()}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from another rule's `state`."""
        self._optimiser.resume(state["optimiser"])
