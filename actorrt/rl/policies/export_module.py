"""Writes a policy with a network of a user's own as an ONNX graph, by torch's exporter. Importing it imports torch.

The graph has the same inputs and output as those of the built-in networks; see `export_onnx`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from actorrt.rl.networks.torch_modules import make_module, observations, tie
from actorrt.rl.policies.protocols import StorablePolicy
from actorrt.rl.spaces.array_spaces import Box, Discrete, MultiDiscrete
from actorrt.rl.spaces.leaves import Leaf, leaves
from actorrt.rl.spaces.normaliser import LIMIT
from actorrt.rl.spaces.sampling import FORBIDDEN
from actorrt.rl.spaces.spaces import is_image, unmasked

OPSET = 18  # the oldest version that torch writes


class Acting(nn.Module):
    """The most likely actions for observations, including the policy's normalisation and mask."""

    mean: Tensor
    scale: Tensor
    limit: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, policy: StorablePolicy) -> None:
        super().__init__()
        self._spec = policy.spec
        self._module = make_module(policy.spec)
        tie(self._module, torch.from_numpy(np.array(policy.parameters, np.float32)))
        seen = None if policy.normaliser is None else policy.normaliser.observations
        self._normalises = seen is not None
        if seen is not None:
            rows, limits = policy.spec.rows, np.full_like(seen.mean, LIMIT)
            wide = {"mean": (seen.mean, 0.0), "scale": (1.0 / seen.deviation, 1.0), "limit": (limits, np.inf)}
            for name, (values, for_pixels) in wide.items():
                self.register_buffer(name, torch.from_numpy(rows.spread(values, for_pixels)))
        action = policy.spec.action
        if isinstance(action, Box):
            self.register_buffer("low", torch.tensor(action.low, dtype=torch.float32))
            self.register_buffer("high", torch.tensor(action.high, dtype=torch.float32))

    def forward(self, observation: Tensor, action_mask: Tensor | None = None) -> Tensor:
        """Return actions for a batch of observations, or of features if observations are not one array."""
        features = observation.flatten(1).float()
        if self._normalises:
            features = ((features - self.mean) * self.scale).clamp(-self.limit, self.limit)
        outputs, _ = self._module(observations(self._spec, features))
        if action_mask is not None:
            outputs = torch.where(action_mask > 0.5, outputs, torch.tensor(float(FORBIDDEN)))
        return self._action(outputs)

    def _action(self, outputs: Tensor) -> Tensor:
        action = self._spec.action
        if isinstance(action, Discrete):
            return outputs.argmax(1) + action.start
        if isinstance(action, Box):
            bounded = torch.minimum(torch.maximum(outputs, self.low), self.high).reshape(-1, *action.shape)
            return bounded if np.dtype(action.dtype).kind == "f" else bounded.round()
        columns = [_column(outputs, leaf) for leaf in leaves(action)]
        if isinstance(action, MultiDiscrete):
            return torch.cat(columns, 1) + torch.tensor(action.start)
        return torch.cat([column.float() for column in columns], 1)


def _column(outputs: Tensor, leaf: Leaf) -> Tensor:
    own = outputs[:, leaf.outputs]
    if leaf.kind == "categorical":
        return own.argmax(1, keepdim=True)
    return own > 0.0 if leaf.kind == "bernoulli" else own


def export_module(policy: StorablePolicy, path: str) -> None:
    """Write a policy to `path`.

    Raises:
        ValueError: torch's exporter can't trace the network; the exporter's error is the cause.
    """
    spec = policy.spec
    inner = unmasked(spec.observation)
    shape = inner.shape if isinstance(inner, Box) else (spec.input_count,)
    kind = torch.uint8 if is_image(inner) else torch.float32
    given: dict[str, Tensor] = {"observation": torch.zeros(2, *shape, dtype=kind)}
    if spec.mask_count:
        given["action_mask"] = torch.ones(2, spec.mask_count)
    names = ["observation" if isinstance(inner, Box) else "features", *list(given)[1:]]
    every: Any = {0: torch.export.Dim("N")}
    try:
        # torch warns of deprecations inside itself, and of names that two axes share.
        with warnings.catch_warnings(action="ignore"):
            torch.onnx.export(
                Acting(policy).eval(),
                tuple(given.values()),
                path,
                input_names=names,
                output_names=["action"],
                dynamic_shapes=tuple(every for _ in given),
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # of any kind, since the exporter runs the user's code
        raise ValueError(
            f"torch.onnx can't follow what the policy's network does: {type(error).__name__}; see its cause"
        ) from error
