"""The learner's network in torch: a module over the flat vector, with gradients that torch records.

It has the interface of `network.Network`, with NumPy arrays. If there is a GPU, parameters, gradients and observations
are on it, and each pass moves only a few outputs for each row. Importing this module imports torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from actorrt.rl.networks.layout import exploration_count
from actorrt.rl.networks.optimiser import to_array
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.networks.torch_modules import inputs, make_module, tie
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.distributions import Distribution, distribution
from actorrt.rl.spaces.sampling import FORBIDDEN


class TorchNetwork:
    """A module over one flat parameter tensor.

    Attributes:
        flat: the parameters.
        gradient: the result of the last backward pass, in the same layout.
        device: of both.
    """

    def __init__(self, spec: PolicySpec, parameters: Array) -> None:
        self.spec = spec
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.flat = torch.from_numpy(np.array(parameters, np.float32)).to(self.device)
        self.gradient = torch.zeros_like(self.flat)
        self.module = make_module(spec).to(self.device)
        tie(self.module, self.flat, self.gradient)
        deviations = exploration_count(spec)
        self._own_count = len(self.flat) - deviations
        self._log_std_gradient = np.zeros(deviations, np.float32)

    def place(self, features: Array) -> Tensor:
        """Return rows of features on the network's device."""
        return torch.as_tensor(features, device=self.device)

    def forward(self, features: Any, *, learns: bool = True) -> tuple[Array, Array]:
        """Pass rows of features, (batch, features), through the module.

        Args:
            features: an array, or the result of `place`.
            learns: whether `backward` follows; otherwise torch records nothing.

        Returns:
            The parameters of the distributions of actions, (batch, outputs), and the values, (batch,).
        """
        entering, mask = inputs(self.spec, self.place(features))
        with torch.set_grad_enabled(learns):
            outputs, value = self.module(entering)
            if mask is not None:
                outputs = outputs.masked_fill(mask < 0.5, float(FORBIDDEN))
            self._recorded = outputs, value.reshape(-1)
        first, second = (each.detach().cpu().numpy() for each in self._recorded)
        return first, second

    def backward(self, d_outputs: Array, d_value: Array) -> None:
        """Compute the gradient of the last pass, in place of the one before; call it once for each pass.

        Args:
            d_outputs: gradient of the loss with respect to the outputs.
            d_value: gradient of the loss with respect to the values.
        """
        self.gradient[: self._own_count].zero_()
        # A sum is differentiated, since torch imports its symbolic algebra to check the shapes of explicit gradients.
        given = zip(self._recorded, (d_outputs, d_value), strict=True)
        sums = [(recorded * self.place(d_recorded)).sum() for recorded, d_recorded in given]
        torch.autograd.backward(torch.stack(sums).sum())
        self.gradient[self._own_count :] = self.place(self._log_std_gradient)

    def distribution(self, outputs: Array) -> Distribution:
        """Return the distribution of actions for the outputs of a pass."""
        log_std = to_array(self.flat[self._own_count :])
        return distribution(self.spec.action, outputs, log_std, self._log_std_gradient)

    def set_parameters(self, parameters: Array) -> None:
        """Copy a flat vector into the network."""
        self.flat.copy_(torch.from_numpy(np.array(parameters, np.float32)))

    def parameters(self) -> Array:
        """Return a copy of the flat vector."""
        return to_array(self.flat)
