"""Policies on NumPy: they act in simulators, evaluators and users' own code, without torch.

The parameters are one flat float32 vector; layers are views of it, in the layout of `networks.layout`, which the
learner's network shares. Learning is in `algorithms`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from actorrt.rl.networks.activations import ACTIVATIONS
from actorrt.rl.networks.initial import ACTION_GAIN, HIDDEN_GAIN, orthogonal
from actorrt.rl.networks.layout import hidden_names, parameter_views, value_hidden_names
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.policy import FlatPolicy
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.sampling import masked, most_likely, sample


class LinearPolicy(FlatPolicy):
    """One matrix from features to actions.

    A discrete action is the index of the largest output; continuous actions are the outputs themselves. The policy is
    deterministic and estimates no values: it is for algorithms that measure whole episodes.
    """

    architecture = "linear"

    def init(self, seed: int) -> Array:
        """Set all parameters to zero, whatever the seed, and return them."""
        flat = np.zeros(self.parameters.shape, np.float32)
        self.set_parameters(flat, 0, self.normaliser)
        return flat

    def best_actions(self, features: Array) -> Array:
        """Return the best actions for rows of features: indices, or rows before clipping."""
        seen, mask = self._split(features)
        outputs = seen @ self._layers["action"]
        return most_likely(self.spec.action, outputs if mask is None else masked(outputs, mask))


class MlpPolicy(FlatPolicy):
    """Two separate networks with the same hidden layers, one for actions and one for values.

    Discrete actions are categorical, binary ones Bernoulli, and continuous ones Gaussian, with one standard deviation
    per dimension that does not depend on the state. The parts of an action are drawn independently.
    """

    architecture = "mlp"

    def __init__(self, spec: PolicySpec, *arguments: Any, **more: Any) -> None:
        self._names, self._value_names = hidden_names(spec), value_hidden_names(spec)
        self._activate = ACTIVATIONS[spec.activation].activate
        super().__init__(spec, *arguments, **more)

    def init(self, seed: int) -> Array:
        """Draw initial weights, use them from now on, and return the flat vector."""
        rng = np.random.default_rng(seed)
        flat = np.zeros(self.parameters.shape, np.float32)
        views = parameter_views(self.spec, flat)
        if self.spec.orthogonal:
            for name in (*self._names, *self._value_names):
                for network in views[name]:
                    network[:] = HIDDEN_GAIN * orthogonal(rng, network.shape)
            views["action"][:] = ACTION_GAIN * orthogonal(rng, views["action"].shape)
            views["value"][:] = orthogonal(rng, views["value"].shape)
        else:
            uniform_layers(views, (*self._names, *self._value_names, "action", "value"), rng)
        if "log_std" in views:
            views["log_std"][:] = self.spec.log_std
        self.set_parameters(flat, 0, self.normaliser)
        return flat

    def act(self, features: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Sample actions for rows of features.

        Returns:
            Actions (indices, or rows of numbers before clipping), their log-probabilities, and the values of the
            observations, with one entry for each row.
        """
        seen, mask = self._split(features)
        chosen, valued = self._hidden(seen)
        layers = self._layers
        outputs = chosen @ layers["action"] + layers["action_bias"]
        value = (valued @ layers["value"])[:, 0] + layers["value_bias"]
        if mask is not None:
            outputs = masked(outputs, mask)
        return *sample(self.spec.action, outputs, layers.get("log_std"), rng), value

    def values(self, features: Array) -> Array:
        """Return the values of rows of features, float32 of shape (batch,)."""
        layers = self._layers
        valued = self._hidden(self._split(features)[0])[1]
        value: Array = (valued @ layers["value"])[:, 0] + layers["value_bias"]
        return value

    def best_actions(self, features: Array) -> Array:
        """Return the most likely actions for rows of features: indices, or rows before clipping."""
        layers = self._layers
        hidden, mask = self._split(features)
        for name in self._names:
            hidden = self._activate(hidden @ layers[name][0] + layers[name + "_bias"][0])
        outputs = hidden @ layers["action"] + layers["action_bias"]
        return most_likely(self.spec.action, outputs if mask is None else masked(outputs, mask))

    def _hidden(self, features: Array) -> tuple[Array, Array]:
        """Return the results of the last hidden layers, for actions and for values; one for both if that is all."""
        layers, hidden = self._layers, features
        for name in self._names:
            hidden = self._activate(hidden @ layers[name] + layers[name + "_bias"])
        if not self._value_names:
            return hidden[0], hidden[-1]
        valued = features
        for name in self._value_names:
            valued = self._activate(valued @ layers[name] + layers[name + "_bias"])
        return hidden[0], valued[0]


def uniform_layers(views: Mapping[str, Array], names: Sequence[str], rng: np.random.Generator) -> None:
    """Draw the weights and biases of layers as those of `torch.nn.Linear` are drawn at first."""
    for name in names:
        limit = 1.0 / math.sqrt(views[name].shape[-2])
        for view in (views[name], views[f"{name}_bias"]):
            view[:] = rng.uniform(-limit, limit, view.shape)
