"""Policies whose network is a `torch.nn.Module`. Importing this module imports torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from actorrt.rl.networks.action_values import action_values
from actorrt.rl.networks.initial import initial_convolutional
from actorrt.rl.networks.layout import exploration_count, require_count
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.networks.torch_modules import flatten, inputs, make_module, parameter_count, tie
from actorrt.rl.policies.greedy_policy import explored
from actorrt.rl.policies.policy import FlatPolicy
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser
from actorrt.rl.spaces.sampling import masked, most_likely, sample


class TorchPolicy(FlatPolicy):
    """A policy with a convolutional network, or with a network of the user's own."""

    architecture = "torch"

    def __init__(self, spec: PolicySpec, *arguments: Any, **more: Any) -> None:
        self._module = make_module(spec).eval()  # dropout is off when acting, and on when learning
        super().__init__(spec, *arguments, **more)

    def _parameter_count(self) -> int:
        return parameter_count(self.spec, self._module)

    def set_parameters(self, parameters: Array, version: int, normaliser: Normaliser | None = None) -> None:
        """Use these parameters from now on; the vector is read and never written.

        Raises:
            ParameterCountError: the vector's length is not that of the network.
        """
        require_count(parameters, self._parameter_count())
        tie(self._module, torch.from_numpy(np.array(parameters, np.float32)))
        self.parameters, self.version, self.normaliser = parameters, version, normaliser

    def init(self, seed: int) -> Array:
        """Draw initial parameters, use them from now on, and return the flat vector."""
        flat = self._drawn(seed)
        self.set_parameters(flat, 0, self.normaliser)
        return flat

    def _drawn(self, seed: int) -> Array:
        if self.spec.network == "cnn":
            return initial_convolutional(self.spec, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            flat: Array = flatten(self.spec, make_module(self.spec)).numpy()
        return flat

    def act(self, features: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Sample actions for rows of features; see `MlpPolicy.act`."""
        outputs, value = self._forward(features)
        count = exploration_count(self.spec)
        log_std = self.parameters[-count:] if count else None
        return *sample(self.spec.action, outputs, log_std, rng), value

    def values(self, features: Array) -> Array:
        """Return the values of rows of features, float32 of shape (batch,)."""
        return self._forward(features)[1]

    def best_actions(self, features: Array) -> Array:
        """Return the most likely actions for rows of features: indices, or rows before clipping."""
        return most_likely(self.spec.action, self._forward(features)[0])

    @torch.no_grad()
    def _forward(self, features: Array) -> tuple[Array, Array]:
        entering, mask = inputs(self.spec, torch.from_numpy(np.ascontiguousarray(features)))
        outputs, value = self._module(entering)
        result: Array = outputs.numpy()
        return result if mask is None else masked(result, mask.numpy()), value.reshape(-1).numpy()


class GreedyTorchPolicy(TorchPolicy):
    """A policy that estimates the value of each action with such a network; see `greedy_policy.GreedyPolicy`."""

    def act(self, features: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Choose actions for rows of features; see `GreedyPolicy.act`."""
        return explored(self._action_values(features), float(self.parameters[-1]), rng)

    def values(self, features: Array) -> Array:
        """Return the values of the best actions for rows of features, float32 of shape (batch,)."""
        best: Array = self._action_values(features).max(axis=1)
        return best

    def _action_values(self, features: Array) -> Array:
        return action_values(self.spec, *self._forward(features))
