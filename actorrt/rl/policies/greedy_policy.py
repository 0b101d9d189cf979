"""Policies that estimate the value of each action: they take the best one, or explore with probability epsilon."""

from __future__ import annotations

import numpy as np

from actorrt.rl.networks.action_values import action_values
from actorrt.rl.networks.initial import HIDDEN_GAIN, orthogonal
from actorrt.rl.networks.layout import initial_exploration, parameter_views
from actorrt.rl.policies.numpy_policy import MlpPolicy, uniform_layers
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.sampling import FORBIDDEN, masked


class GreedyPolicy(MlpPolicy):
    """One network for the values of actions, on NumPy.

    Epsilon is the last of the parameters, so whoever has a version of them explores as that version did.
    """

    architecture = "greedy"

    def init(self, seed: int) -> Array:
        """Draw initial weights, use them from now on, and return the flat vector."""
        rng = np.random.default_rng(seed)
        flat = np.zeros(self.parameters.shape, np.float32)
        views = parameter_views(self.spec, flat)
        heads = ("action", "value") if "value" in views else ("action",)
        if self.spec.orthogonal:
            for name in self._names:
                views[name][0] = HIDDEN_GAIN * orthogonal(rng, views[name].shape[1:])
            for name in heads:
                views[name][:] = orthogonal(rng, views[name].shape)
        else:
            uniform_layers(views, (*self._names, *heads), rng)
        views["epsilon"][:] = initial_exploration(self.spec)
        self.set_parameters(flat, 0, self.normaliser)
        return flat

    def act(self, features: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Choose actions for rows of features: the best, or with probability epsilon any that is allowed.

        Returns:
            Actions, their log-probabilities, and the values of the best actions, with one entry for each row.
        """
        return explored(self._action_values(features), float(self._layers["epsilon"][0]), rng)

    def values(self, features: Array) -> Array:
        """Return the values of the best actions for rows of features, float32 of shape (batch,)."""
        best: Array = self._action_values(features).max(axis=1)
        return best

    def _action_values(self, features: Array) -> Array:
        layers, (seen, mask) = self._layers, self._split(features)
        hidden = self._hidden(seen)[0]
        outputs = hidden @ layers["action"] + layers["action_bias"]
        if mask is not None:
            outputs = masked(outputs, mask)
        if "value" not in layers:
            return outputs
        return action_values(self.spec, outputs, (hidden @ layers["value"])[:, 0] + layers["value_bias"])


def explored(values: Array, epsilon: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Choose actions epsilon-greedily.

    Args:
        values: of the actions, (batch, actions); hugely negative for those that are forbidden.
        epsilon: the probability with which an action is drawn uniformly from those that are allowed.
        rng: the source of randomness.

    Returns:
        Actions, their log-probabilities, and the values of the best actions, with one entry for each row.
    """
    best = values.argmax(axis=1)
    allowed = values > 0.5 * FORBIDDEN
    drawn = np.where(allowed, rng.random(values.shape, np.float32), np.float32(-1.0)).argmax(axis=1)
    action = np.where(rng.random(len(values)) < epsilon, drawn, best)
    each = epsilon / allowed.sum(axis=1)
    probability = each + (action == best) * (1.0 - epsilon)
    return action, np.log(probability).astype(np.float32), values[np.arange(len(best)), best]
