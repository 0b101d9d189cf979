"""Networks as `torch.nn.Module`s: a convolutional one for images, that of `numpy_policy.MlpPolicy`, and those of users.

Importing this module imports torch.

All parameters are in one flat vector, with the deviations of continuous actions at the end. So publishing and
optimisers need not know the structure of a network. Acting is in `torch_policy`, learning in `torch_network`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from actorrt.rl.networks.activations import LEAK
from actorrt.rl.networks.layout import hidden_names, parameter_shapes, value_hidden_names
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.spaces.array_spaces import Box
from actorrt.rl.spaces.leaves import deviation_count, output_count
from actorrt.rl.spaces.spaces import Masked, is_image

NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # Mnih et al. 2015: channels, kernel, stride
SMALL = ((16, 3, 1), (32, 3, 1))
NATURE_SIDE, SMALL_SIDE = 36, 5  # the smallest images that are large enough for the kernels
ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": partial(nn.LeakyReLU, LEAK),
    "elu": nn.ELU,
    "gelu": partial(nn.GELU, approximate="tanh"),
    "silu": nn.SiLU,
}
"""torch's counterparts of `activations.ACTIVATIONS`."""


class ConvolutionalNetwork(nn.Module):
    """Convolutions and hidden layers that actions and values share, and one output layer for each of the two."""

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
    """The layers of `numpy_policy.MlpPolicy` in the order of its flat vector, stacked where they are stacked there."""

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        for name, shape in parameter_shapes(spec).items():
            if name != "log_std":
                self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self._names, self._value_names = hidden_names(spec), value_hidden_names(spec)
        self._activation = ACTIVATIONS[spec.activation]()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs and values for rows of features."""
        layers = dict(self.named_parameters())
        heads = [*self._pass(self._names, layers, features)]
        if self._value_names:
            heads += [*self._pass(self._value_names, layers, features)]
        chosen, valued = heads
        return (
            torch.addmm(layers["action_bias"], chosen, layers["action"]),
            torch.addmm(layers["value_bias"], valued, layers["value"]),
        )

    def _pass(self, names: tuple[str, ...], layers: dict[str, nn.Parameter], features: Tensor) -> Tensor:
        """Pass rows through hidden layers, (networks, batch, units)."""
        passed = features.expand(len(layers[names[0]]), *features.shape)
        for name in names:
            passed = self._activation(torch.baddbmm(layers[f"{name}_bias"], passed, layers[name]))
        return passed


BUILT_IN = {"cnn": ConvolutionalNetwork, "mlp": MlpNetwork}


def channels_of(shape: tuple[int, ...]) -> int:
    """Return the number of channels of an image of this shape: the smaller of its first and last dimension."""
    return shape[0] if shape[0] == min(shape) else shape[2]


def _image_shape(spec: PolicySpec) -> tuple[int, ...]:
    inner = spec.observation.observation if isinstance(spec.observation, Masked) else spec.observation
    if not isinstance(inner, Box) or len(inner.shape) != 3:
        raise ValueError(f"network='cnn' takes observations of three dimensions, not {inner}")
    return inner.shape


def make_module(spec: PolicySpec) -> nn.Module:
    """Make the network of a policy.

    Raises:
        ValueError: the network has state beside its parameters, such as that of batch normalisation, which would not be
            published; or it does not return outputs and a value for each observation; or images are too small.
        TypeError: a user's own function returned something else than a module.
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
    """Check the shapes that a user's module returns for two observations; losses would broadcast wrong ones."""
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
    """Return a module's parameters as a flat vector, followed by the initial deviations of the spec."""
    deviations = torch.full((deviation_count(spec.action),), spec.log_std)
    return torch.cat([*(parameter.detach().reshape(-1).cpu() for parameter in module.parameters()), deviations])


def tie(module: nn.Module, flat: Tensor, gradient: Tensor | None = None) -> None:
    """Make a module's parameters views of a flat vector, and its gradients views of another if that is given."""
    start = 0
    for parameter in module.parameters():
        end = start + parameter.numel()
        parameter.data = flat[start:end].view(parameter.shape)
        if gradient is not None:
            parameter.grad = gradient[start:end].view(parameter.shape)
        start = end


def inputs(spec: PolicySpec, features: Tensor) -> tuple[Any, Tensor | None]:
    """Return the module's input for rows of features (rows for an MLP, else observations), and the mask or None."""
    seen = features[:, : spec.input_count]
    mask = features[:, spec.input_count :] if spec.mask_count else None
    seen = seen.float() * (1.0 / 255.0) if is_image(spec.observation) else seen.float()
    return seen if spec.network == "mlp" else spec.observation.decode(seen), mask
