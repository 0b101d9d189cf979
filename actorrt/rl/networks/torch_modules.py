"""Networks as `torch.nn.Module`s: the convolutional one for images, `policy.MlpPolicy`'s, and users' own.

Importing this imports torch.

All parameters live in one flat vector, deviations of continuous actions last, so that publishing and optimisers need
not know what a network looks like. Acting is in `torch_policy`, learning in `module_network`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from actorrt.rl.networks.layout import hidden_names, parameter_shapes
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.spaces.array_spaces import Box
from actorrt.rl.spaces.leaves import deviation_count, output_count
from actorrt.rl.spaces.spaces import Masked, is_image

NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # Mnih et al. 2015: channels, kernel, stride
SMALL = ((16, 3, 1), (32, 3, 1))
NATURE_SIDE, SMALL_SIDE = 36, 5  # the smallest images that their kernels fit
ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


class ConvolutionalNetwork(nn.Module):
    """Convolutions that actions and values share, then hidden layers, then one output layer for each."""

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        shape = _image_shape(spec)
        self.is_channel_first = shape[0] == min(shape)
        channels, *sides = shape if self.is_channel_first else (shape[2], *shape[:2])
        if min(sides) < SMALL_SIDE:
            raise ValueError(f"network='cnn' takes images of {SMALL_SIDE} x {SMALL_SIDE} pixels or more, not {shape}")
        layers: list[nn.Module] = []
        for filters, kernel, stride in NATURE if min(sides) >= NATURE_SIDE else SMALL:
            layers += [nn.Conv2d(channels, filters, kernel, stride), nn.ReLU()]
            channels = filters
        layers.append(nn.Flatten())
        with torch.no_grad():
            units = nn.Sequential(*layers)(torch.zeros(1, channels_of(shape), *sides)).shape[1]
        for hidden in spec.hidden:
            layers += [nn.Linear(units, hidden), ACTIVATIONS[spec.activation]()]
            units = hidden
        self.torso = nn.Sequential(*layers)
        self.action, self.value = nn.Linear(units, output_count(spec.action)), nn.Linear(units, 1)
        if spec.orthogonal:
            self._begin_orthogonal()

    def _begin_orthogonal(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                gain = 0.01 if module is self.action else 1.0 if module is self.value else 2.0**0.5
                nn.init.orthogonal_(module.weight, gain)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs and values for images in their own shape, scaled to 0 to 1."""
        passed = self.torso(image if self.is_channel_first else image.permute(0, 3, 1, 2))
        return self.action(passed), self.value(passed).squeeze(1)


class MlpNetwork(nn.Module):
    """The layers of `policy.MlpPolicy` in the order of its flat vector, those of both networks stacked."""

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        for name, shape in parameter_shapes(spec).items():
            if name != "log_std":
                self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self._names, self._activation = hidden_names(spec), ACTIVATIONS[spec.activation]()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs and values for rows of features."""
        layers = dict(self.named_parameters())
        passed = features.expand(2, *features.shape)
        for name in self._names:
            passed = self._activation(torch.baddbmm(layers[f"{name}_bias"], passed, layers[name]))
        chosen, valued = passed
        return (
            torch.addmm(layers["action_bias"], chosen, layers["action"]),
            torch.addmm(layers["value_bias"], valued, layers["value"]),
        )


BUILT_IN = {"cnn": ConvolutionalNetwork, "mlp": MlpNetwork}


def channels_of(shape: tuple[int, ...]) -> int:
    """Return how many channels an image of this shape has: its smallest side, first or last."""
    return shape[0] if shape[0] == min(shape) else shape[2]


def _image_shape(spec: PolicySpec) -> tuple[int, ...]:
    inner = spec.observation.observation if isinstance(spec.observation, Masked) else spec.observation
    if not isinstance(inner, Box) or len(inner.shape) != 3:
        raise ValueError(f"network='cnn' takes observations of three dimensions, not {inner}")
    return inner.shape


def make_module(spec: PolicySpec) -> nn.Module:
    """Make the network of a policy.

    Raises:
        ValueError: it keeps state beside its parameters, as batch normalisation does: that would not be published; or
            for an observation, it returns something else than outputs and a value. Or images are too small.
        TypeError: what a user's own function made is no module.
    """
    module: Any = BUILT_IN[spec.network](spec) if isinstance(spec.network, str) else spec.network(spec)
    if not isinstance(module, nn.Module):
        raise TypeError(f"network= makes a torch.nn.Module, not {module!r}")
    if any(True for _ in module.buffers()):
        names = ", ".join(name for name, _ in module.named_buffers())
        raise ValueError(f"a policy's network keeps no state beside its parameters: it has buffers {names}")
    if not isinstance(spec.network, str):
        _try_out(spec, module)
    return module


def _try_out(spec: PolicySpec, module: nn.Module) -> None:
    """Look at what a user's own module makes of two observations: losses would take other shapes without a word."""
    observations, _ = inputs(spec, torch.zeros(2, spec.observation.feature_count))
    with torch.no_grad():
        made = module(observations)
    shapes = [tuple(part.shape) for part in made] if isinstance(made, tuple | list) else [tuple(made.shape)]
    expected = (2, output_count(spec.action))
    if len(shapes) != 2 or shapes[0] != expected or shapes[1] not in ((2,), (2, 1)):
        raise ValueError(
            f"for 2 observations, a policy's network returns outputs of shape {expected} and values of shape (2,), "
            f"not {' and '.join(map(str, shapes))}"
        )


def parameter_count(spec: PolicySpec, module: nn.Module) -> int:
    """Return the length of the flat vector."""
    return sum(parameter.numel() for parameter in module.parameters()) + deviation_count(spec.action)


def flatten(spec: PolicySpec, module: nn.Module) -> Tensor:
    """Return a module's parameters as a flat vector, with the deviations that the spec begins with."""
    deviations = torch.full((deviation_count(spec.action),), spec.log_std)
    return torch.cat([*(parameter.detach().reshape(-1).cpu() for parameter in module.parameters()), deviations])


def tie(module: nn.Module, flat: Tensor, gradient: Tensor | None = None) -> None:
    """Make a module's parameters, and their gradients if given, views of flat vectors."""
    start = 0
    for parameter in module.parameters():
        end = start + parameter.numel()
        parameter.data = flat[start:end].view(parameter.shape)
        if gradient is not None:
            parameter.grad = gradient[start:end].view(parameter.shape)
        start = end


def inputs(spec: PolicySpec, features: Tensor) -> tuple[Any, Tensor | None]:
    """Return what the module is given for rows of features, and the mask if any: MLPs the rows, others observations."""
    seen = features[:, : spec.input_count]
    mask = features[:, spec.input_count :] if spec.mask_count else None
    seen = seen.float() * (1.0 / 255.0) if is_image(spec.observation) else seen.float()
    return seen if spec.network == "mlp" else spec.observation.decode(seen), mask
