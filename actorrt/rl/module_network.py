"""The learner's twin of `torch_policy.TorchPolicy`: the same flat vector, with gradients that torch records.

It is used as `network.Network` is. Where there is a GPU, it is there. Importing this imports torch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from actorrt.rl.distributions import Distribution, distribution
from actorrt.rl.modules import inputs, make_module, tie
from actorrt.rl.policy import PolicySpec
from actorrt.rl.sampling import FORBIDDEN
from actorrt.rl.spaces import Array, deviation_count


class ModuleNetwork:
    """A module over one flat parameter tensor.

    Attributes:
        flat: the parameters.
        gradient: what the last backward pass left, of the same layout.
        device: where both are.
    """

    def __init__(self, spec: PolicySpec, parameters: Array) -> None:
        self.spec = spec
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.flat = torch.from_numpy(np.array(parameters, np.float32)).to(self.device)
        self.gradient = torch.zeros_like(self.flat)
        self.module = make_module(spec).to(self.device)
        tie(self.module, self.flat, self.gradient)
        deviations = deviation_count(spec.action)
        self._own_count = len(self.flat) - deviations
        self._log_std = self.flat[self._own_count :] if deviations else None
        self._log_std_gradient = self.gradient[self._own_count :] if deviations else None

    def forward(self, features: Tensor, *, learns: bool = True) -> RecordedPass:
        """Pass rows of features, (batch, features), through the module; only to look where it does not learn."""
        with torch.set_grad_enabled(learns):
            return RecordedPass(self, features)

    def distribution(self, outputs: Tensor) -> Distribution:
        """Return the distribution of actions that the outputs of a pass stand for."""
        return distribution(self.spec.action, outputs, self._log_std, self._log_std_gradient)

    def forget_gradient(self) -> None:
        """Set the module's part of the gradient to zero; the deviations' is replaced by their distribution."""
        self.gradient[: self._own_count].zero_()

    def set_parameters(self, parameters: Array) -> None:
        """Take over a flat vector."""
        self.flat.copy_(torch.from_numpy(np.array(parameters, np.float32)))

    def parameters(self) -> Array:
        """Return a copy of the flat vector."""
        copy: Array = self.flat.cpu().numpy().copy()
        return copy


class RecordedPass:
    """What came of one pass, kept for the way back.

    Attributes:
        outputs: what parameterises the distributions of actions, (batch, outputs), cut off from the recording.
        value: values, (batch,), likewise.
    """

    def __init__(self, network: ModuleNetwork, features: Tensor) -> None:
        self._network = network
        observations, mask = inputs(network.spec, features)
        self._outputs, value = network.module(observations)
        self._value = value.reshape(-1)
        if mask is not None:
            self._outputs = self._outputs.masked_fill(mask < 0.5, float(FORBIDDEN))
        self.outputs, self.value = self._outputs.detach(), self._value.detach()

    def backward(self, d_outputs: Tensor, d_value: Tensor) -> None:
        """Leave the gradient in the network, replacing what was there.

        Args:
            d_outputs: gradient of the loss with respect to `outputs`.
            d_value: gradient of the loss with respect to `value`.
        """
        self._network.forget_gradient()
        torch.autograd.backward([self._outputs, self._value], [d_outputs, d_value])
