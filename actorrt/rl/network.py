"""The learner's twin of `policy.MlpPolicy`, in torch: the same flat vector, with gradients.

Layers are leaf tensors over slices of one flat tensor, and their gradients are slices of another, so that the
optimiser, the norm of the gradient and publishing each touch one tensor. Importing this imports torch.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from actorrt.rl.policy import PolicySpec, parameter_shapes
from actorrt.rl.spaces import Array, Discrete


class Network:
    """Networks for actions and values over one flat parameter tensor."""

    def __init__(self, spec: PolicySpec, parameters: Array) -> None:
        self.spec = spec
        self.flat = torch.from_numpy(np.array(parameters, np.float32))
        self.gradient = torch.zeros_like(self.flat)
        self._layers: dict[str, Tensor] = {}
        start = 0
        for name, shape in parameter_shapes(spec).items():
            end = start + math.prod(shape)
            layer = self.flat[start:end].view(shape).requires_grad_()
            layer.grad = self.gradient[start:end].view(shape)
            self._layers[name] = layer
            start = end

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return what parameterises the action distribution, (batch, outputs), and values, (batch,)."""
        layers = self._layers
        both = features.expand(2, *features.shape)
        first = torch.baddbmm(layers["hidden_1_bias"], both, layers["hidden_1"]).tanh()
        chosen, valued = torch.baddbmm(layers["hidden_2_bias"], first, layers["hidden_2"]).tanh().unbind()
        outputs = torch.addmm(layers["action_bias"], chosen, layers["action"])
        value = torch.addmm(layers["value_bias"], valued, layers["value"])
        return outputs, value.view(-1)

    def log_probability(self, outputs: Tensor, action: Tensor) -> Tensor:
        """Return the log-probability of each action, (batch,).

        Args:
            outputs: from `forward`.
            action: int64 of shape (batch, 1), or float32 of shape (batch, features).
        """
        if isinstance(self.spec.action, Discrete):
            return outputs.log_softmax(1).gather(1, action).view(-1)
        log_std = self._layers["log_std"]
        noise = (action - outputs) * torch.exp(-log_std)
        constant = log_std.sum() + 0.5 * math.log(2.0 * math.pi) * outputs.shape[1]
        return -0.5 * noise.square().sum(1) - constant

    def entropy(self, outputs: Tensor) -> Tensor:
        """Return the mean entropy of the action distributions, in nats."""
        if isinstance(self.spec.action, Discrete):
            logp = outputs.log_softmax(1)
            return -(logp.exp() * logp).sum(1).mean()
        return self._layers["log_std"].sum() + 0.5 * outputs.shape[1] * (1.0 + math.log(2.0 * math.pi))

    def parameters(self) -> Array:
        """Return a copy of the flat vector."""
        copy: Array = self.flat.detach().numpy().copy()
        return copy
