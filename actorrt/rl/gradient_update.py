"""What updates by gradient have in common: a network, the optimiser that moves it, and how a run goes on from both.

Importing this imports torch.
"""

from __future__ import annotations

from typing import Any

from actorrt.rl.network import AnyNetwork
from actorrt.rl.optimiser import FlatAdam, FlatRMSProp
from actorrt.rl.spaces import Array


class GradientUpdate:
    """Holds the network and its optimiser; who derives from it says how a batch improves them."""

    def __init__(self, network: AnyNetwork, optimiser: FlatAdam | FlatRMSProp) -> None:
        self.network = network
        self._optimiser = optimiser

    def parameters(self) -> Array:
        """Return a copy of the flat vector."""
        return self.network.parameters()

    def state(self) -> dict[str, Any]:
        """Return what, with the parameters, another rule needs to go on."""
        return {"optimiser": self._optimiser.state()}

    def go_on(self, state: dict[str, Any]) -> None:
        """Go on from another rule's `state`."""
        self._optimiser.go_on(state["optimiser"])
