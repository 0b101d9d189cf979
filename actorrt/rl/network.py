"""The learner's twin of `policy.MlpPolicy`, in torch: the same flat vector, with its gradient.

Layers and their gradients are views of two flat tensors, so that the optimiser, the norm of the gradient and
publishing each touch one tensor. The backward pass is written out: recording it takes twice as long as computing
it. Importing this imports torch.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from actorrt.rl.distributions import Distribution, distribution
from actorrt.rl.policy import PolicySpec, parameter_shapes
from actorrt.rl.sampling import FORBIDDEN
from actorrt.rl.spaces import Array


class Network:
    """The networks for actions and for values, over one flat parameter tensor.

    Attributes:
        flat: the parameters.
        gradient: what the last backward pass left, of the same layout.
    """

    def __init__(self, spec: PolicySpec, parameters: Array) -> None:
        self.spec = spec
        self.flat = torch.from_numpy(np.array(parameters, np.float32))
        self.gradient = torch.zeros_like(self.flat)
        self.layers = _views(spec, self.flat)
        self.layer_gradients = _views(spec, self.gradient)

    def forward(self, features: Tensor) -> ForwardPass:
        """Pass rows of features, (batch, features), through both networks."""
        return ForwardPass(self, features)

    def distribution(self, outputs: Tensor) -> Distribution:
        """Return the distribution of actions that the outputs of a pass stand for."""
        return distribution(self.spec.action, outputs, self.layers.get("log_std"), self.layer_gradients.get("log_std"))

    def set_parameters(self, parameters: Array) -> None:
        """Take over a flat vector."""
        self.flat.numpy()[:] = parameters

    def parameters(self) -> Array:
        """Return a copy of the flat vector."""
        copy: Array = self.flat.numpy().copy()
        return copy


class ForwardPass:
    """What came of one pass, kept for the way back.

    Attributes:
        outputs: what parameterises the distributions of actions, (batch, outputs).
        value: values, (batch,).
    """

    def __init__(self, network: Network, features: Tensor) -> None:
        layers, inputs = network.layers, network.spec.input_count
        self._network = network
        mask = features[:, inputs:] if network.spec.mask_count else None
        features = features[:, :inputs]
        self._both = features.expand(2, *features.shape)
        self._first = torch.baddbmm(layers["hidden_1_bias"], self._both, layers["hidden_1"]).tanh_()
        self._second = torch.baddbmm(layers["hidden_2_bias"], self._first, layers["hidden_2"]).tanh_()
        chosen, valued = self._second.unbind()
        self.outputs = torch.addmm(layers["action_bias"], chosen, layers["action"])
        if mask is not None:
            self.outputs = self.outputs.masked_fill(mask < 0.5, float(FORBIDDEN))
        self.value = torch.addmm(layers["value_bias"], valued, layers["value"]).view(-1)

    def backward(self, d_outputs: Tensor, d_value: Tensor) -> None:
        """Leave the gradient in the network, replacing what was there.

        Args:
            d_outputs: gradient of the loss with respect to `outputs`; zero where these are masked.
            d_value: gradient of the loss with respect to `value`.
        """
        layers, gradients = self._network.layers, self._network.layer_gradients
        d_values = d_value.unsqueeze(1)
        chosen, valued = self._second.unbind()
        _leave(gradients, "action", chosen, d_outputs)
        _leave(gradients, "value", valued, d_values)
        d_second = torch.empty_like(self._second)
        torch.mm(d_outputs, layers["action"].t(), out=d_second[0])
        torch.mm(d_values, layers["value"].t(), out=d_second[1])
        d_second = torch.ops.aten.tanh_backward(d_second, self._second)
        _leave(gradients, "hidden_2", self._first, d_second)
        d_first = torch.bmm(d_second, layers["hidden_2"].transpose(1, 2))
        _leave(gradients, "hidden_1", self._both, torch.ops.aten.tanh_backward(d_first, self._first))


def _leave(gradients: dict[str, Tensor], name: str, inputs: Tensor, d_outputs: Tensor) -> None:
    """Leave the gradients of one linear layer, or of both networks' stacked ones."""
    torch.matmul(inputs.transpose(-1, -2), d_outputs, out=gradients[name])
    bias = gradients[name + "_bias"]
    torch.sum(d_outputs, -2, keepdim=bias.dim() == d_outputs.dim(), out=bias)


def _views(spec: PolicySpec, flat: Tensor) -> dict[str, Tensor]:
    views, start = {}, 0
    for name, shape in parameter_shapes(spec).items():
        end = start + math.prod(shape)
        views[name] = flat[start:end].view(shape)
        start = end
    return views
