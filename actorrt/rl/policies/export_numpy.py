"""Writes a policy as one Python file that needs NumPy and nothing else: `act(observation)` returns the best action."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from actorrt.rl.networks.activations import GELU_CUBE, GELU_SCALE, LEAK
from actorrt.rl.networks.layout import hidden_names, parameter_views
from actorrt.rl.policies.protocols import StorablePolicy
from actorrt.rl.spaces.array_spaces import Box, Discrete, MultiBinary, MultiDiscrete
from actorrt.rl.spaces.spaces import Composite, Masked, Space

HEADER = '''"""A policy for {env_id}: `act(obs)` returns the best action. Written by actorrt; needs NumPy alone."""

import base64
import io

import numpy as np

inf = float("inf")
'''
ACTIVATIONS: Mapping[str, str] = {
    "tanh": "np.tanh(hidden)",
    "relu": "np.maximum(hidden, 0.0)",
    "leaky_relu": f"np.maximum(hidden, {LEAK} * hidden)",
    "elu": "np.maximum(hidden, np.expm1(np.minimum(hidden, 0.0)))",
    "gelu": f"hidden * (0.5 + 0.5 * np.tanh({GELU_SCALE} * (hidden + {GELU_CUBE} * hidden**3)))",
    "silu": "hidden * (0.5 + 0.5 * np.tanh(0.5 * hidden))",
}
"""The activations of `networks.activations` as expressions."""
FLAT = """

def flat(mask):
    return np.concatenate([flat(part) for part in mask]) if isinstance(mask, (tuple, list)) else np.ravel(mask)"""


def export_numpy(policy: StorablePolicy, path: str) -> None:
    """Write a policy to `path`.

    Raises:
        ValueError: the policy's network does not act on NumPy.
    """
    spec = policy.spec
    if spec.network != "mlp":
        raise ValueError(f"a policy with network={spec.network!r} acts on torch: export it as .onnx")
    observation, mask = spec.observation, ""
    lines = [HEADER.format(env_id=spec.env_id or "an environment without an id"), *_arrays(policy)]
    lines += FLAT.splitlines() if isinstance(observation, Masked) else []
    if isinstance(observation, Masked):
        mask = "flat(obs['action_mask'])"
        inner = "obs" if observation.key is None else f"obs[{observation.key!r}]"
        features = _encoding(observation.observation, inner)
    else:
        features = _encoding(observation, "obs")
    lines += ["", "", "def act(obs):", f"    hidden = {features}"]
    if policy.normaliser is not None and policy.normaliser.observations is not None:
        lines.append("    hidden = np.clip((hidden - A['mean']) * A['scale'], -10.0, 10.0)")
    for name in hidden_names(spec):
        lines.append(f"    hidden = hidden @ A[{name!r}] + A['{name}_bias']")
        lines.append(f"    hidden = {ACTIVATIONS[spec.activation]}")
    bias = " + A['action_bias']" if spec.hidden else ""
    lines.append(f"    outputs = hidden @ A['action']{bias}")
    if mask:
        lines.append(f"    outputs = np.where({mask} > 0.5, outputs, -1e9)")
    lines.append(f"    return {_decoding(spec.action, 0)}")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def _arrays(policy: StorablePolicy) -> list[str]:
    """Return the lines that hold the parameters' arrays."""
    spec, views = policy.spec, parameter_views(policy.spec, policy.parameters)
    arrays: dict[str, Any] = {}
    for name in hidden_names(spec):
        arrays |= {name: views[name][0], f"{name}_bias": views[f"{name}_bias"][0, 0]}
    arrays |= {name: views[name] for name in ("action", "action_bias") if name in views}
    if policy.normaliser is not None and policy.normaliser.observations is not None:
        seen = policy.normaliser.observations
        arrays |= {"mean": seen.mean.astype(np.float32), "scale": (1.0 / seen.deviation).astype(np.float32)}
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    text = base64.b85encode(packed.getvalue()).decode()
    pieces = [f"    {text[at : at + 108]!r}" for at in range(0, len(text), 108)]
    return ["A = np.load(io.BytesIO(base64.b85decode(", *pieces, ")))", "A = {name: A[name] for name in A.files}"]


def _encoding(space: Space, value: str) -> str:
    """Return an expression for the features of an observation."""
    match space:
        case Discrete(n=n, start=start):
            return f"np.eye({n}, dtype=np.float32)[int({value}) - {start}]"
        case MultiDiscrete(counts=counts, start=starts):
            pairs = f"zip({counts}, {starts}, np.ravel({value}))"
            return f"np.concatenate([np.eye(n, dtype=np.float32)[i - start] for n, start, i in {pairs}])"
        case Composite(parts=parts, names=names):
            keys = range(len(parts)) if names is None else names
            features = (_encoding(part, f"{value}[{key!r}]") for part, key in zip(parts, keys, strict=True))
            return f"np.concatenate([{', '.join(features)}])"
        case _:
            return f"np.asarray({value}, np.float32).ravel()"


def _decoding(space: Space, start: int) -> str:
    """Return an expression for the action that the outputs from `start` on stand for."""
    end = start + sum(count for _, count in space.kinds)
    outputs = f"outputs[{start}:{end}]"
    match space:
        case Discrete(start=first):
            return f"int({outputs}.argmax()) + {first}"
        case MultiDiscrete(shape=shape, counts=counts, start=firsts, dtype=dtype):
            ends = np.cumsum(counts).tolist()
            indices = (
                f"outputs[{start + e - n}:{start + e}].argmax() + {f}"
                for e, n, f in zip(ends, counts, firsts, strict=True)
            )
            return f"np.array([{', '.join(indices)}], {dtype!r}).reshape({shape})"
        case MultiBinary(shape=shape):
            return f"({outputs} > 0.0).astype(np.int8).reshape({shape})"
        case Box(shape=shape, low=low, high=high, dtype=dtype):
            values = f"np.clip({outputs}, np.array({list(low)}), np.array({list(high)}))"
            rounded = values if np.dtype(dtype).kind == "f" else f"np.rint({values})"
            return f"{rounded}.astype({dtype!r}).reshape({shape})"
        case Composite(parts=parts, names=names):
            expressions, at = [], start
            for part in parts:
                expressions.append(_decoding(part, at))
                at += sum(count for _, count in part.kinds)
            if names is None:
                return f"({', '.join(expressions)},)"
            return "{" + ", ".join(f"{n!r}: {e}" for n, e in zip(names, expressions, strict=True)) + "}"
        case Masked():
            raise ValueError("an observation with a mask is no action")
