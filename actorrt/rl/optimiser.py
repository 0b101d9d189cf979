"""Adam and RMSProp over one flat tensor, in a few operations a step.

`torch.optim` walks a list of parameters and imports its compiler on the first step, which takes seconds; small
networks spend more time there than in their gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class FlatAdam:
    """Adam (Kingma and Ba 2015, algorithm 1), with the gradient clipped to a largest norm first."""

    def __init__(self, parameters: Tensor, gradient: Tensor, *, max_norm: float, eps: float = 1e-5) -> None:
        self._parameters, self._gradient = parameters, gradient
        self._max_norm, self._eps = max_norm, eps
        self._first_moment = torch.zeros_like(gradient)
        self._second_moment = torch.zeros_like(gradient)
        self._step_count = 0

    def step(self, learning_rate: float, beta_1: float = 0.9, beta_2: float = 0.999) -> None:
        """Move the parameters against the gradient."""
        self._step_count += 1
        gradient = self._gradient
        gradient.mul_((self._max_norm / (gradient.norm() + 1e-6)).clamp_(max=1.0))
        self._first_moment.lerp_(gradient, 1.0 - beta_1)
        self._second_moment.mul_(beta_2).addcmul_(gradient, gradient, value=1.0 - beta_2)
        spread = self._second_moment.sqrt().div_((1.0 - beta_2**self._step_count) ** 0.5).add_(self._eps)
        scale = learning_rate / (1.0 - beta_1**self._step_count)
        self._parameters.addcdiv_(self._first_moment, spread, value=-scale)

    def state(self) -> dict[str, Any]:
        """Return what another optimiser needs to go on, as plain values and arrays."""
        return {
            "first_moment": self._first_moment.cpu().numpy().copy(),
            "second_moment": self._second_moment.cpu().numpy().copy(),
            "step_count": self._step_count,
        }

    def go_on(self, state: dict[str, Any]) -> None:
        """Go on from another optimiser's `state`."""
        self._first_moment.copy_(torch.tensor(state["first_moment"]))
        self._second_moment.copy_(torch.tensor(state["second_moment"]))
        self._step_count = state["step_count"]


class FlatRMSProp:
    """RMSProp (Tieleman and Hinton 2012), with the gradient clipped to a largest norm first."""

    def __init__(
        self, parameters: Tensor, gradient: Tensor, *, max_norm: float, decay: float = 0.99, eps: float = 1e-5
    ) -> None:
        self._parameters, self._gradient = parameters, gradient
        self._max_norm, self._decay, self._eps = max_norm, decay, eps
        self._second_moment = torch.zeros_like(gradient)

    def step(self, learning_rate: float) -> None:
        """Move the parameters against the gradient."""
        gradient = self._gradient
        gradient.mul_((self._max_norm / (gradient.norm() + 1e-6)).clamp_(max=1.0))
        self._second_moment.mul_(self._decay).addcmul_(gradient, gradient, value=1.0 - self._decay)
        self._parameters.addcdiv_(gradient, self._second_moment.sqrt().add_(self._eps), value=-learning_rate)

    def state(self) -> dict[str, Any]:
        """Return what another optimiser needs to go on, as plain values and arrays."""
        return {"second_moment": self._second_moment.cpu().numpy().copy()}

    def go_on(self, state: dict[str, Any]) -> None:
        """Go on from another optimiser's `state`."""
        self._second_moment.copy_(torch.tensor(state["second_moment"]))
