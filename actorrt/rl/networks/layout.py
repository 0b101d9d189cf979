"""Pure: where each layer of a built-in network lies in the flat vector of parameters."""

from __future__ import annotations

import math

from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.leaves import deviation_count, output_count


def hidden_names(spec: PolicySpec) -> tuple[str, ...]:
    """Return the names of the hidden layers, in order."""
    return tuple(f"hidden_{number}" for number in range(1, len(spec.hidden) + 1))


def parameter_shapes(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the layers, in the order of the flat vector.

    Hidden layers stack two networks along their first axis: 0 chooses actions, 1 estimates values.
    """
    inputs, outputs = spec.input_count, output_count(spec.action)
    if not spec.hidden:
        return {"action": (inputs, outputs)}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, units in zip(hidden_names(spec), spec.hidden, strict=True):
        shapes |= {name: (2, inputs, units), f"{name}_bias": (2, 1, units)}
        inputs = units
    shapes |= {"action": (inputs, outputs), "action_bias": (outputs,), "value": (inputs, 1), "value_bias": (1,)}
    deviations = deviation_count(spec.action)
    if deviations:
        shapes["log_std"] = (deviations,)
    return shapes


def layout_length(spec: PolicySpec) -> int:
    """Return the length of the flat vector of built-in layers."""
    return sum(map(math.prod, parameter_shapes(spec).values()))


def parameter_views(spec: PolicySpec, flat: Array) -> dict[str, Array]:
    """Return views of `flat`, one for each layer.

    Raises:
        ValueError: the vector's length is not that of the layout.
    """
    expected = layout_length(spec)
    if flat.shape != (expected,):
        raise ValueError(f"parameters of shape {flat.shape} given, but {spec} takes ({expected},)")
    views, start = {}, 0
    for name, shape in parameter_shapes(spec).items():
        end = start + math.prod(shape)
        views[name] = flat[start:end].reshape(shape)
        start = end
    return views
