"""Pure: the layers of a convolutional network, and where they lie in the flat vector of parameters.

Each image of an observation passes convolutions of its own. Their results and the features of all other parts are
concatenated, and pass the hidden layers that actions and values share. `torch_modules` makes the module, whose
parameters have the order that is given here; `initial` draws their first values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.spaces.array_spaces import Box
from actorrt.rl.spaces.leaves import output_count
from actorrt.rl.spaces.parts import ArrayPart, array_parts
from actorrt.rl.spaces.spaces import Space, is_image

NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))  # Mnih et al. 2015: filters, kernel, stride
SMALL = ((16, 3, 1), (32, 3, 1))
NATURE_SIDE, SMALL_SIDE = 36, 5  # the smallest images that are large enough for the kernels


@dataclass(frozen=True)
class Convolutions:
    """The convolutions of one image.

    Attributes:
        part: the image's place in the observation.
        shape: of the image, as the environment shows it.
        is_channel_first: whether the first dimension of the image is its channels; otherwise the last one is.
    """

    part: ArrayPart
    shape: tuple[int, int, int]
    is_channel_first: bool

    @property
    def holds_bytes(self) -> bool:
        """Whether pixels are 0 to 255, so that the network scales them."""
        return isinstance(self.part.space, Box) and self.part.space.is_image

    @property
    def channels(self) -> int:
        return self.shape[0 if self.is_channel_first else 2]

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.shape[1:] if self.is_channel_first else self.shape[:2]
        return height, width

    @property
    def layers(self) -> tuple[tuple[int, int, int], ...]:
        """Filters, kernel and stride of each layer."""
        return NATURE if min(self.sides) >= NATURE_SIDE else SMALL

    @property
    def unit_count(self) -> int:
        """Number of outputs of the last layer."""
        height, width = self.sides
        for _, kernel, stride in self.layers:
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        return self.layers[-1][0] * height * width


@dataclass(frozen=True)
class ConvolutionalLayout:
    """The parts of a convolutional network's observations.

    Attributes:
        images: the convolutions of each image, in the order of the features.
        rest: the other parts, whose features pass no convolution.
    """

    images: tuple[Convolutions, ...]
    rest: tuple[ArrayPart, ...]

    @property
    def unit_count(self) -> int:
        """Number of inputs of the first hidden layer."""
        return sum(image.unit_count for image in self.images) + sum(part.width for part in self.rest)


def is_large_enough(part: ArrayPart) -> bool:
    """Whether a part of an observation is an image that convolutions take."""
    return isinstance(part.space, Box) and part.space.is_image and min(_convolutions(part).sides) >= SMALL_SIDE


def suits_convolutions(observation: Space) -> bool:
    """Whether an observation is an image, or has a part that is an image large enough for convolutions."""
    return is_image(observation) or any(map(is_large_enough, array_parts(observation)))


def has_large_image(observation: Space) -> bool:
    """Whether a part of an observation is an image that is worth several threads."""
    parts = [part for part in array_parts(observation) if is_large_enough(part)]
    return any(min(_convolutions(part).sides) >= NATURE_SIDE for part in parts)


def layout_of(spec: PolicySpec) -> ConvolutionalLayout:
    """Return the parts of the observations of a convolutional network.

    Bytes of three dimensions that are too small for the kernels, such as a board, are features beside an image.

    Raises:
        ValueError: no part of the observation is an image of three dimensions that is large enough.
    """
    parts = list(array_parts(spec.observation))
    alone = parts[0] if len(parts) == 1 else None
    if alone is not None and isinstance(alone.space, Box) and len(alone.space.shape) == 3:
        images = [alone]  # of any type
    else:
        images = [part for part in parts if is_large_enough(part)]
    if not images:
        raise ValueError(f"network='cnn' takes observations with an image of three dimensions, not {spec.observation}")
    made = tuple(map(_convolutions, images))
    small = [image.shape for image in made if min(image.sides) < SMALL_SIDE]
    if small:
        raise ValueError(f"network='cnn' takes images of {SMALL_SIDE} x {SMALL_SIDE} pixels or more, not {small[0]}")
    return ConvolutionalLayout(made, tuple(part for part in parts if part not in images))


def _convolutions(part: ArrayPart) -> Convolutions:
    assert isinstance(part.space, Box)
    first, second, third = part.space.shape
    return Convolutions(part, (first, second, third), first == min(first, second, third))


def convolution_shapes(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters in the order of the flat vector, as torch has them: outputs come first."""
    layout = layout_of(spec)
    shapes: dict[str, tuple[int, ...]] = {}
    for index, image in enumerate(layout.images):
        channels = image.channels
        for number, (filters, kernel, _) in enumerate(image.layers):
            name = f"convolution_{index}_{number}"
            shapes |= {name: (filters, channels, kernel, kernel), f"{name}_bias": (filters,)}
            channels = filters
    units = layout.unit_count
    for number, hidden in enumerate(spec.hidden):
        shapes |= {f"hidden_{number}": (hidden, units), f"hidden_{number}_bias": (hidden,)}
        units = hidden
    for name, outputs in (("action", output_count(spec.action)), ("value", 1)):
        shapes |= {name: (outputs, units), f"{name}_bias": (outputs,)}
    return shapes


def fan_in(shape: tuple[int, ...]) -> int:
    """Return the number of inputs of each output of a layer."""
    return math.prod(shape[1:])
