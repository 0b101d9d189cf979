"""The description of a policy: its spaces, and the kind and size of its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from actorrt.rl.foundation.checks import require_one_of
from actorrt.rl.networks.activations import ACTIVATIONS, Activation
from actorrt.rl.spaces.array_spaces import Array, Discrete
from actorrt.rl.spaces.finite import first_bad_row
from actorrt.rl.spaces.row_layout import RowLayout
from actorrt.rl.spaces.spaces import Masked, Space

NetworkKind: TypeAlias = str | Callable[["PolicySpec"], Any]

Heads = Literal["actor_critic", "q", "dueling"]


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
        heads: what the network estimates: `"actor_critic"`, parameters of distributions of actions and the value of the
            observation; `"q"`, the value of each action; `"dueling"`, the same as the sum of the observation's value
            and the action's advantage (Wang et al. 2016).

    Raises:
        ValueError: a layer has no units, there is no activation or network of this name, only an MLP has
            `value_hidden`, or the values of actions that are not `Discrete` are to be estimated.
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
    heads: Heads = "actor_critic"

    def __post_init__(self) -> None:
        if any(units < 1 for units in self.hidden):
            raise ValueError(f"hidden layers have at least 1 unit: hidden={self.hidden}")
        require_one_of("activation", self.activation, tuple(ACTIVATIONS))
        if isinstance(self.network, str) and self.network not in ("mlp", "cnn"):
            raise ValueError(f"network is 'mlp', 'cnn' or a function that makes one: network={self.network!r}")
        if self.value_hidden is not None:
            self._require_two_networks(self.value_hidden)
        if self.estimates_actions and not isinstance(self.action, Discrete):
            raise ValueError(
                f"values are estimated for each of a number of actions, and these are {type(self.action).__name__}: "
                "take an environment with a Discrete action space, or another algorithm"
            )
        if self.estimates_actions and not self.hidden:
            raise ValueError("a network that estimates the values of actions has hidden layers: hidden=()")

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
    def estimates_actions(self) -> bool:
        """Whether the network estimates the value of each action, and a policy explores by chance (epsilon-greedy)."""
        return self.heads != "actor_critic"

    @cached_property
    def rows(self) -> RowLayout:
        """The layout of the rows in which observations travel; networks for images get them as bytes."""
        return RowLayout.of(self.observation, with_pixels=self.network != "mlp")

    def encode(self, obs: Any) -> Array:
        """Return a batch of observations as rows.

        Raises:
            ValueError: the observations are not in the space, or one is infinite or NaN.
        """
        rows = self.rows.encode(self.observation, obs)
        numbers = self.rows.numbers(rows)
        bad = first_bad_row(numbers)
        if bad is not None:
            raise ValueError(f"an observation is infinite or NaN: {numbers[bad]}")
        return rows

    def decode(self, rows: Array) -> Any:
        """Return rows of shape (..., columns), such as `Fragment.obs`, as one batch of observations in their own form.

        All parts are float32, each `Discrete` is one-hot, pixels are 0 to 255, and a mask is left out.
        """
        return self.observation.decode(self.rows.features(rows.reshape(-1, self.rows.width)))

    @property
    def mask_count(self) -> int:
        """Number of the entries of the mask, which say which actions are allowed."""
        return self.observation.mask_count if isinstance(self.observation, Masked) else 0

    @property
    def input_count(self) -> int:
        """Number of features that networks see, which are those of the observation without its mask."""
        return self.observation.feature_count - self.mask_count
