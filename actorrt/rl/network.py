"""The learner's twin of `policy.MlpPolicy`, in torch: the same flat vector, with its gradient.

Layers and their gradients are views of two flat tensors, so that the optimiser, the norm of the gradient and
publishing each touch one tensor. The backward pass is written out: recording it takes twice as long as computing
it. Importing this imports torch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from actorrt.rl.distributions import Distribution, distribution
from actorrt.rl.policy import PolicySpec, hidden_names, parameter_shapes
from actorrt.rl.sampling import FORBIDDEN
from actorrt.rl.spaces import Array

if TYPE_CHECKING:
    from actorrt.rl.module_network import ModuleNetwork


class Network:
    """The networks for actions and for values, over one flat parameter tensor.

    Attributes:
        flat: the parameters.
        gradient: what the last backward pass left, of the same layout.
        device: where both are: the CPU, since networks so small are slower elsewhere.
    """

    device = torch.device("cpu")

    def __init__(self, spec: PolicySpec, parameters: Array) -> None:
        self.spec = spec
        self.names, self.is_tanh = hidden_names(spec), spec.activation == "tanh"
        self.flat = torch.from_numpy(np.array(parameters, np.float32))
        self.gradient = torch.zeros_like(self.flat)
        self.layers = _views(spec, self.flat)
        self.layer_gradients = _views(spec, self.gradient)

    def forward(self, features: Tensor, *, learns: bool = True) -> ForwardPass:
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


AnyNetwork: TypeAlias = "Network | ModuleNetwork"


def make_network(spec: PolicySpec, parameters: Array) -> AnyNetwork:
    """Make the learner's network of a policy."""
    if spec.network == "mlp":
        return Network(spec, parameters)
    from actorrt.rl.module_network import ModuleNetwork

    return ModuleNetwork(spec, parameters)


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
        hidden = features.expand(2, *features.shape)
        self._passed = [hidden]  # what goes into each layer
        for name in network.names:
            hidden = torch.baddbmm(layers[f"{name}_bias"], hidden, layers[name])
            hidden = hidden.tanh_() if network.is_tanh else hidden.relu_()
            self._passed.append(hidden)
        chosen, valued = hidden.unbind()
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
        chosen, valued = self._passed[-1].unbind()
        _leave(gradients, "action", chosen, d_outputs)
        _leave(gradients, "value", valued, d_values)
        d_passed = torch.empty_like(self._passed[-1])
        torch.mm(d_outputs, layers["action"].t(), out=d_passed[0])
        torch.mm(d_values, layers["value"].t(), out=d_passed[1])
        for number in range(len(self._network.names) - 1, -1, -1):
            name, inputs, activated = self._network.names[number], self._passed[number], self._passed[number + 1]
            d_hidden = self._through(d_passed, activated)
            _leave(gradients, name, inputs, d_hidden)
            if number:
                d_passed = torch.bmm(d_hidden, layers[name].transpose(1, 2))

    def _through(self, d_activated: Tensor, activated: Tensor) -> Tensor:
        """Return the gradient before an activation."""
        aten = torch.ops.aten
        d_hidden: Tensor = (
            aten.tanh_backward(d_activated, activated)
            if self._network.is_tanh
            else aten.threshold_backward(d_activated, activated, 0)
        )
        return d_hidden


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
