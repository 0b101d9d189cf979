"""The description of a policy: its spaces, and the kind and size of its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from actorrt.rl.foundation.checks import require_one_of
from actorrt.rl.networks.activations import ACTIVATIONS, Activation
from actorrt.rl.spaces.array_spaces import Array, Box
from actorrt.rl.spaces.spaces import Masked, Space, is_image

NetworkKind: TypeAlias = str | Callable[["PolicySpec"], Any]


@dataclass(frozen=True)
class PolicySpec:
    """Describes a policy: its spaces, and the kind and size of its networks.

    Attributes:
        env_id: id of the environment, or "" if a function makes it.
        observation: space of the observations.
        action: space of the actions.
        hidden: units of the hidden layers of each of the two networks; empty for a linear policy. In a convolutional
            network they follow the convolutions.
        activation: of the hidden layers.
        network: `"mlp"`, which acts on NumPy; `"cnn"`, for images; or a function that takes this `PolicySpec` and makes
            a `torch.nn.Module`. The module takes a batch of observations in their own form. It returns outputs, as many
            as `leaves.output_count` says, and values, (batch,).
        orthogonal: whether the initial weights are orthogonal; otherwise they are uniform within 1 / sqrt(inputs).
        log_std: initial logarithm of the standard deviations of continuous actions.
        env_kwargs: arguments with which Gymnasium makes the environment of this id.
        value_hidden: units of the hidden layers of the network that estimates values, if it has others than `hidden`;
            only in an MLP.

    Raises:
        ValueError: a layer has no units, there is no activation or network of this name, or only an MLP has
            `value_hidden`.
    """

    env_id: str
    observation: Space
    action: Space
    hidden: tuple[int, ...] = (64, 64)
    activation: Activation = "tanh"
    network: NetworkKind = "mlp"
    orthogonal: bool = True
    log_std: float = 0.0
    env_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    value_hidden: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if any(units < 1 for units in self.hidden):
            raise ValueError(f"hidden layers have at least 1 unit: hidden={self.hidden}")
        require_one_of("activation", self.activation, tuple(ACTIVATIONS))
        if isinstance(self.network, str) and self.network not in ("mlp", "cnn"):
            raise ValueError(f"network is 'mlp', 'cnn' or a function that makes one: network={self.network!r}")
        if self.value_hidden is not None:
            self._require_two_networks(self.value_hidden)

    def _require_two_networks(self, value_hidden: tuple[int, ...]) -> None:
        """Make sure that actions and values have networks of their own, with hidden layers."""
        if self.network != "mlp":
            kind = self.network if isinstance(self.network, str) else getattr(self.network, "__name__", "custom")
            raise ValueError(
                f"value_hidden={value_hidden} is for network='mlp', where values have a network of their own: "
                f"leave it out for network={kind!r}"
            )
        if not self.hidden or not value_hidden or any(units < 1 for units in value_hidden):
            raise ValueError(
                "both networks have hidden layers of at least 1 unit: "
                f"hidden={self.hidden}, value_hidden={value_hidden}"
            )

    @property
    def feature_dtype(self) -> Any:
        """Dtype of the rows of features: networks for images get them as bytes."""
        return np.uint8 if self.network != "mlp" and is_image(self.observation) else np.float32

    def encode(self, obs: Any) -> Array:
        """Return rows of features for a batch of observations."""
        if isinstance(self.observation, Box):
            return self.observation.encode(obs, self.feature_dtype)
        return np.asarray(self.observation.encode(obs), self.feature_dtype)

    @property
    def mask_count(self) -> int:
        """Number of the features' last columns, which say which actions are allowed."""
        return self.observation.mask_count if isinstance(self.observation, Masked) else 0

    @property
    def input_count(self) -> int:
        """Number of the features' first columns, which are normalised and which networks see."""
        return self.observation.feature_count - self.mask_count
