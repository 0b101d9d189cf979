"""Networks as `torch.nn.Module`s: for observations with images, that of `numpy_policy.MlpPolicy`, and those of users.

Importing this module imports torch.

All parameters are in one flat vector, with the deviations of continuous actions at the end. So publishing and
optimisers need not know the structure of a network. Acting is in `torch_policy`, learning in `torch_network`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from actorrt.rl.networks.activations import LEAK
from actorrt.rl.networks.convolutions import Convolutions, layout_of
from actorrt.rl.networks.layout import (
    exploration_count,
    hidden_names,
    initial_exploration,
    parameter_shapes,
    value_hidden_names,
)
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.spaces.array_spaces import Box
from actorrt.rl.spaces.leaves import output_count
from actorrt.rl.spaces.spaces import Composite, Masked, Space

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": partial(nn.LeakyReLU, LEAK),
    "elu": nn.ELU,
    "gelu": partial(nn.GELU, approximate="tanh"),
    "silu": nn.SiLU,
}
"""torch's counterparts of `activations.ACTIVATIONS`."""
BRIGHTEST = 255.0  # pixels are bytes


class ConvolutionalNetwork(nn.Module):
    """Convolutions of each image, hidden layers that actions and values share, and an output layer for each of both.

    Parts of the observation that are no images enter the first hidden layer as they are. The order of the parameters is
    that of `convolutions.convolution_shapes`.
    """

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        layout = self.layout = layout_of(spec)
        places = [part for part, _, _ in spec.rows.parts]
        self._image_places = [places.index(image.part) for image in layout.images]
        self._rest_places = [places.index(part) for part in layout.rest]
        self.torsos = nn.ModuleList(map(_torso, layout.images))
        layers: list[nn.Module] = []
        units = layout.unit_count
        for hidden in spec.hidden:
            layers += [nn.Linear(units, hidden), ACTIVATIONS[spec.activation]()]
            units = hidden
        self.hidden = nn.Sequential(*layers)
        self.action, self.value = nn.Linear(units, output_count(spec.action)), nn.Linear(units, 1)

    def forward(self, parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return outputs and values for the features of each part of a batch of observations; pixels are 0 to 255."""
        entering = []
        for place, image, torso in zip(self._image_places, self.layout.images, self.torsos, strict=True):
            pixels = parts[place].reshape(-1, *image.shape)
            # The copy is scaled in place, which takes half the time of a product of bytes.
            pixels = pixels.to(torch.float32, copy=True).mul_(1.0 / BRIGHTEST) if image.holds_bytes else pixels.float()
            entering.append(torso(pixels if image.is_channel_first else pixels.permute(0, 3, 1, 2)))
        entering += [parts[place].float() for place in self._rest_places]
        hidden = self.hidden(torch.cat(entering, 1) if len(entering) > 1 else entering[0])
        return self.action(hidden), self.value(hidden).squeeze(1)


def _torso(image: Convolutions) -> nn.Sequential:
    """Make the convolutions of one image."""
    layers: list[nn.Module] = []
    channels = image.channels
    for filters, kernel, stride in image.layers:
        layers += [nn.Conv2d(channels, filters, kernel, stride), nn.ReLU(inplace=True)]
        channels = filters
    return nn.Sequential(*layers, nn.Flatten())


class MlpNetwork(nn.Module):
    """The layers of `numpy_policy.MlpPolicy` in the order of its flat vector, stacked where they are stacked there."""

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        for name, shape in parameter_shapes(spec).items():
            if name not in ("log_std", "epsilon"):
                self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self._names, self._value_names = hidden_names(spec), value_hidden_names(spec)
        self._activation = ACTIVATIONS[spec.activation]()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs and values for rows of features."""
        layers = dict(self.named_parameters())
        heads = [*self._pass(self._names, layers, features)]
        if self._value_names:
            heads += [*self._pass(self._value_names, layers, features)]
        chosen, valued = heads[0], heads[-1]
        outputs = torch.addmm(layers["action_bias"], chosen, layers["action"])
        if "value" not in layers:
            return outputs, outputs.new_zeros(len(outputs), 1)
        return outputs, torch.addmm(layers["value_bias"], valued, layers["value"])

    def _pass(self, names: tuple[str, ...], layers: dict[str, nn.Parameter], features: Tensor) -> Tensor:
        """Pass rows through hidden layers, (networks, batch, units)."""
        passed = features.expand(len(layers[names[0]]), *features.shape)
        for name in names:
            passed = self._activation(torch.baddbmm(layers[f"{name}_bias"], passed, layers[name]))
        return passed


BUILT_IN = {"cnn": ConvolutionalNetwork, "mlp": MlpNetwork}


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
    with torch.no_grad():
        made = module(observations(spec, torch.zeros(2, spec.input_count)))
    shapes = [tuple(part.shape) for part in made] if isinstance(made, tuple | list) else [tuple(made.shape)]
    expected = (2, output_count(spec.action))
    if len(shapes) != 2 or shapes[0] != expected or shapes[1] not in ((2,), (2, 1)):
        raise ValueError(
            f"for 2 observations, a policy's network returns outputs of shape {expected} and values of shape (2,), "
            f"not {' and '.join(map(str, shapes))}"
        )


def parameter_count(spec: PolicySpec, module: nn.Module) -> int:
    """Return the length of the flat vector."""
    return sum(parameter.numel() for parameter in module.parameters()) + exploration_count(spec)


def flatten(spec: PolicySpec, module: nn.Module) -> Tensor:
    """Return a module's parameters as a flat vector, followed by those that say how the policy explores at first."""
    exploration = torch.full((exploration_count(spec),), initial_exploration(spec))
    return torch.cat([*(parameter.detach().reshape(-1).cpu() for parameter in module.parameters()), exploration])


def tie(module: nn.Module, flat: Tensor, gradient: Tensor | None = None) -> None:
    """Make a module's parameters views of a flat vector, and its gradients views of another if that is given."""
    start = 0
    for parameter in module.parameters():
        end = start + parameter.numel()
        parameter.data = flat[start:end].view(parameter.shape)
        if gradient is not None:
            parameter.grad = gradient[start:end].view(parameter.shape)
        start = end


def inputs(spec: PolicySpec, rows: Tensor) -> tuple[Any, Tensor | None]:
    """Return the module's input for rows of observations, and the mask or None.

    An MLP takes the features, and a convolutional network those of each part. A network of a user's own takes
    observations in their own form, with images scaled to 0 to 1.
    """
    layout = spec.rows
    numbers = rows
    if layout.pixel_count:  # a copy, since torch views bytes as numbers only from every fourth byte of a storage on
        copied = rows[:, layout.pixel_count :].clone(memory_format=torch.contiguous_format)
        numbers = copied.flatten().view(torch.float32).view(len(rows), layout.number_count + layout.mask_count)
    mask = numbers[:, layout.number_count :] if layout.mask_count else None
    if spec.network == "mlp":
        return numbers[:, : layout.number_count], mask
    parts = [(rows if is_pixels else numbers)[:, columns] for _, is_pixels, columns in layout.parts]
    if spec.network == "cnn":
        return parts, mask
    features = torch.cat([each.float() for each in parts], 1) if layout.pixel_count else numbers
    return observations(spec, features[:, : spec.input_count]), mask


def observations(spec: PolicySpec, features: Tensor) -> Any:
    """Return observations in their own form, with images scaled to 0 to 1, for rows of features without a mask."""
    return _scaled(spec.observation, spec.observation.decode(features.float()))


def _scaled(space: Space, values: Any) -> Any:
    match space:
        case Masked(observation=observation):
            return _scaled(observation, values)
        case Composite(parts=parts, names=None):
            return tuple(_scaled(part, value) for part, value in zip(parts, values, strict=True))
        case Composite(parts=parts, names=names):
            return {name: _scaled(part, values[name]) for name, part in zip(names or (), parts, strict=True)}
        case Box(is_image=True):
            return values * (1.0 / BRIGHTEST)
        case _:
            return values
