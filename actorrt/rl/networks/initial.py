"""Draws the initial parameters of built-in networks, on NumPy: whoever starts a run need not import torch."""

from __future__ import annotations

import math

import numpy as np

from actorrt.rl.networks.convolutions import convolution_shapes, fan_in
from actorrt.rl.networks.layout import exploration_count, initial_exploration
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.spaces.array_spaces import Array

HIDDEN_GAIN = float(np.sqrt(2.0))
ACTION_GAIN = 0.01  # nearly uniform at the start: Andrychowicz et al. 2021, "What matters in on-policy RL"


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw a matrix with orthogonal rows or columns, float32."""
    rows, columns = shape
    gaussian = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(gaussian)
    q = q * np.sign(np.diag(r))
    return np.asarray(q.T if rows < columns else q, np.float32)


def initial_convolutional(spec: PolicySpec, seed: int) -> Array:
    """Draw the parameters of a convolutional network as a flat vector, with what says how it explores at its end."""
    rng, drawn, limit = np.random.default_rng(seed), [], 0.0
    for name, shape in convolution_shapes(spec).items():
        is_bias = name.endswith("_bias")
        if spec.orthogonal and is_bias:
            drawn.append(np.zeros(shape, np.float32))
        elif spec.orthogonal:
            gain = {"action": ACTION_GAIN, "value": 1.0}.get(name, HIDDEN_GAIN)
            drawn.append(np.float32(gain) * orthogonal(rng, (shape[0], fan_in(shape))).ravel())
        else:  # the initial weights of torch.nn.Linear and torch.nn.Conv2d
            limit = limit if is_bias else 1.0 / math.sqrt(fan_in(shape))
            drawn.append(rng.uniform(-limit, limit, shape).astype(np.float32).ravel())
    drawn.append(np.full(exploration_count(spec), initial_exploration(spec), np.float32))
    return np.concatenate(drawn)
