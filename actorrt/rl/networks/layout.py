"""Pure: where each layer of a built-in network lies in the flat vector of parameters."""

from __future__ import annotations

import math

from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.leaves import deviation_count, output_count


class ParameterCountError(ValueError):
    """A vector of parameters has not the length that a network takes."""


def require_count(flat: Array, count: int) -> None:
    """Make sure that a flat vector has so many parameters.

    Raises:
        ParameterCountError: it has another number.
    """
    if flat.shape != (count,):
        raise ParameterCountError(f"the network takes {count:,} parameters, and these are of shape {flat.shape}")


def hidden_names(spec: PolicySpec) -> tuple[str, ...]:
    """Return the names of the hidden layers that lead to actions, in order."""
    return tuple(f"hidden_{number}" for number in range(1, len(spec.hidden) + 1))


def value_hidden_names(spec: PolicySpec) -> tuple[str, ...]:
    """Return the names of the hidden layers that lead to values, in order; none if they are stacked on the others."""
    if spec.value_hidden is None or spec.estimates_actions or spec.value_hidden == spec.hidden:
        return ()
    return tuple(f"value_hidden_{number}" for number in range(1, len(spec.value_hidden) + 1))


def parameter_shapes(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the layers, in the order of the flat vector.

    Hidden layers stack two networks along their first axis: 0 chooses actions, 1 estimates values. If the two have
    hidden layers of different sizes, those of each network stand alone, with a first axis of length 1. A network that
    estimates the values of actions is one, and `epsilon` is the share of actions that its policy draws by chance.
    """
    inputs, outputs = spec.input_count, output_count(spec.action)
    if not spec.hidden:
        return {"action": (inputs, outputs)}
    if spec.estimates_actions:
        return _shapes_of_action_values(spec)
    value_names = value_hidden_names(spec)
    shapes, chosen = _hidden_shapes(hidden_names(spec), spec.hidden, inputs, depth=1 if value_names else 2)
    valued = chosen
    if value_names and spec.value_hidden is not None:
        more, valued = _hidden_shapes(value_names, spec.value_hidden, inputs, depth=1)
        shapes |= more
    shapes |= {"action": (chosen, outputs), "action_bias": (outputs,), "value": (valued, 1), "value_bias": (1,)}
    deviations = deviation_count(spec.action)
    if deviations:
        shapes["log_std"] = (deviations,)
    return shapes


def _shapes_of_action_values(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    outputs = output_count(spec.action)
    shapes, units = _hidden_shapes(hidden_names(spec), spec.hidden, spec.input_count, depth=1)
    shapes |= {"action": (units, outputs), "action_bias": (outputs,)}
    if spec.heads == "dueling":
        shapes |= {"value": (units, 1), "value_bias": (1,)}
    return shapes | {"epsilon": (1,)}


def exploration_count(spec: PolicySpec) -> int:
    """Return the number of parameters at the end of the flat vector that say how a policy explores.

    They are the logarithms of standard deviations, or epsilon.
    """
    return 1 if spec.estimates_actions else deviation_count(spec.action)


def initial_exploration(spec: PolicySpec) -> float:
    """Return the initial value of these parameters: epsilon is 1, so that a run begins with random actions."""
    return 1.0 if spec.estimates_actions else spec.log_std


def _hidden_shapes(
    names: tuple[str, ...], hidden: tuple[int, ...], inputs: int, depth: int
) -> tuple[dict[str, tuple[int, ...]], int]:
    """Return the shapes of hidden layers, `depth` networks on each other; and the number of units of the last."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, units in zip(names, hidden, strict=True):
        shapes |= {name: (depth, inputs, units), f"{name}_bias": (depth, 1, units)}
        inputs = units
    return shapes, inputs


def layout_length(spec: PolicySpec) -> int:
    """Return the length of the flat vector of built-in layers."""
    return sum(map(math.prod, parameter_shapes(spec).values()))


def parameter_views(spec: PolicySpec, flat: Array) -> dict[str, Array]:
    """Return views of `flat`, one for each layer.

    Raises:
        ParameterCountError: the vector's length is not that of the layout.
    """
    require_count(flat, layout_length(spec))
    views, start = {}, 0
    for name, shape in parameter_shapes(spec).items():
        end = start + math.prod(shape)
        views[name] = flat[start:end].reshape(shape)
        start = end
    return views
