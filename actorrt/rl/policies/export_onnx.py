"""Writes a policy as an ONNX graph from observations to the best actions, including the normaliser and the bounds.

Graphs of built-in networks are built here, without torch's exporter; modules of users are exported by it, in
`export_module`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from actorrt.rl.foundation.extras import require
from actorrt.rl.networks.activations import GELU_CUBE, GELU_SCALE, LEAK
from actorrt.rl.networks.layout import hidden_names, parameter_views
from actorrt.rl.policies.protocols import StorablePolicy
from actorrt.rl.spaces.array_spaces import Box, Discrete, MultiDiscrete
from actorrt.rl.spaces.leaves import Leaf, leaves, row_shape
from actorrt.rl.spaces.normaliser import LIMIT
from actorrt.rl.spaces.parts import ArrayPart
from actorrt.rl.spaces.row_layout import RowPart
from actorrt.rl.spaces.sampling import FORBIDDEN
from actorrt.rl.spaces.spaces import is_image, unmasked

OPSET = 17


class Graph:
    """A graph under construction; each method returns the name of a node's output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """Add a node."""
        from onnx import helper

        name = f"{operation.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Add an array, or a number with its type."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def export_onnx(policy: StorablePolicy, path: str) -> None:
    """Write a policy to `path`.

    Inputs of the graph: `observation`, (N, *shape), if that is a `Box`, else `features`, float32 rows as the space's
    `encode` makes them; and `action_mask` if there is a mask. Its output `action` holds the environment's values,
    flattened, for `Box`, `Discrete`, `MultiDiscrete` and `MultiBinary`; for actions of several parts, rows for
    `to_environment`.

    Raises:
        MissingPackageError: `onnx` is not installed, or `onnxscript`, which a network of a user's own needs.
        ValueError: torch's exporter can't trace a network of a user's own.
    """
    require("onnx")
    if not isinstance(policy.spec.network, str):
        require("onnxscript")
        from actorrt.rl.policies.export_module import export_module

        export_module(policy, path)
        return
    import onnx
    from onnx import TensorProto, helper

    spec, graph = policy.spec, Graph()
    inner = unmasked(spec.observation)
    is_box = isinstance(inner, Box)
    shape: list[Any] = ["N", *inner.shape] if isinstance(inner, Box) else ["N", spec.input_count]
    kind = TensorProto.UINT8 if is_image(inner) and spec.network != "mlp" else TensorProto.FLOAT
    inputs = [helper.make_tensor_value_info("observation" if is_box else "features", kind, shape)]
    outputs = _outputs(policy, graph, inputs[0].name)
    if spec.mask_count:
        inputs.append(helper.make_tensor_value_info("action_mask", TensorProto.FLOAT, ["N", spec.mask_count]))
        is_allowed = graph.add("Greater", "action_mask", graph.constant(np.float32(0.5)))
        outputs = graph.add("Where", is_allowed, outputs, graph.constant(FORBIDDEN))
    action = graph.add("Identity", _action(policy, graph, outputs))
    graph.nodes[-1].output[0] = action = "action"
    is_index = isinstance(spec.action, Discrete | MultiDiscrete)
    rows = list(spec.action.shape) if isinstance(spec.action, Box) else list(row_shape(spec.action))
    result = helper.make_tensor_value_info(action, TensorProto.INT64 if is_index else TensorProto.FLOAT, ["N", *rows])
    made = helper.make_graph(graph.nodes, "policy", inputs, [result], graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="actorrt")
    model.ir_version = 8  # runtimes that are as old as OPSET can read it
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _outputs(policy: StorablePolicy, graph: Graph, observation: str) -> str:
    spec = policy.spec
    if spec.network == "cnn":
        return _convolutions(policy, graph, observation)
    hidden = _normalised(policy, graph, graph.add("Flatten", observation))
    views = parameter_views(spec, policy.parameters)
    for name in hidden_names(spec):
        weights = graph.constant(views[name][0]), graph.constant(views[f"{name}_bias"][0, 0])
        hidden = _activated(graph, spec.activation, graph.add("Gemm", hidden, *weights))
    bias = (graph.constant(views["action_bias"]),) if spec.hidden else ()
    return graph.add("Gemm", hidden, graph.constant(views["action"]), *bias)


def _normalised(policy: StorablePolicy, graph: Graph, features: str, place: RowPart | None = None) -> str:
    """Return normalised features: those of one part of the observation, or of all."""
    if policy.normaliser is None or policy.normaliser.observations is None or (place is not None and place.is_pixels):
        return features
    seen, columns = policy.normaliser.observations, slice(None) if place is None else place.columns
    centred = graph.add("Sub", features, graph.constant(seen.mean[columns].astype(np.float32)))
    scaled = graph.add("Mul", centred, graph.constant((1.0 / seen.deviation[columns]).astype(np.float32)))
    limits = graph.constant(np.float32(-LIMIT)), graph.constant(np.float32(LIMIT))
    return graph.add("Clip", scaled, *limits)


def _activated(graph: Graph, activation: str, passed: str) -> str:
    """Add an activation of `networks.activations`."""
    match activation:
        case "leaky_relu":
            return graph.add("LeakyRelu", passed, alpha=LEAK)
        case "silu":
            return graph.add("Mul", passed, graph.add("Sigmoid", passed))
        case "gelu":
            half, cube, scale = (graph.constant(np.float32(each)) for each in (0.5, GELU_CUBE, GELU_SCALE))
            cubed = graph.add("Mul", graph.add("Mul", passed, passed), graph.add("Mul", passed, cube))
            bent = graph.add("Tanh", graph.add("Mul", graph.add("Add", passed, cubed), scale))
            return graph.add("Mul", passed, graph.add("Add", graph.add("Mul", bent, half), half))
    return graph.add(activation.capitalize(), passed)


def _convolutions(policy: StorablePolicy, graph: Graph, observation: str) -> str:
    import torch

    from actorrt.rl.networks.torch_modules import make_module, tie

    module: Any = make_module(policy.spec)
    tie(module, torch.from_numpy(np.array(policy.parameters, np.float32)))
    rows = graph.add("Cast", observation, to=1)
    is_alone = isinstance(unmasked(policy.spec.observation), Box)
    entering = []
    for image, torso in zip(module.layout.images, module.torsos, strict=True):
        passed = rows if is_alone else _columns(graph, rows, image.part)
        passed = graph.add("Reshape", passed, graph.constant(np.array([-1, *image.shape], np.int64)))
        if image.holds_bytes:
            passed = graph.add("Mul", passed, graph.constant(np.float32(1.0 / 255.0)))
        if not image.is_channel_first:
            passed = graph.add("Transpose", passed, perm=[0, 3, 1, 2])
        entering.append(_layers(graph, passed, torso))
    for place in policy.spec.rows.parts:
        if place.part in module.layout.rest:
            entering.append(_normalised(policy, graph, _columns(graph, rows, place.part), place))
    hidden = graph.add("Concat", *entering, axis=1) if len(entering) > 1 else entering[0]
    return _layers(graph, hidden, [*module.hidden, module.action])


def _columns(graph: Graph, rows: str, part: ArrayPart) -> str:
    """Return the columns of one part of the observation."""
    bounds = (graph.constant(np.array([at], np.int64)) for at in (part.start, part.start + part.width, 1))
    return graph.add("Slice", rows, *bounds)


def _layers(graph: Graph, passed: str, layers: Iterable[Any]) -> str:
    from torch import nn

    from actorrt.rl.networks.torch_modules import ACTIVATIONS

    kinds = {type(make()): name for name, make in ACTIVATIONS.items()}
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            weights = [graph.constant(each.detach().numpy()) for each in layer.parameters()]
            passed = graph.add("Conv", passed, *weights, strides=list(layer.stride))
        elif isinstance(layer, nn.Linear):
            weights = [graph.constant(each.detach().numpy()) for each in layer.parameters()]
            passed = graph.add("Gemm", passed, *weights, transB=1)
        elif isinstance(layer, nn.Flatten):
            passed = graph.add("Flatten", passed)
        else:
            passed = _activated(graph, kinds[type(layer)], passed)
    return passed


def _action(policy: StorablePolicy, graph: Graph, outputs: str) -> str:
    """Return the most likely actions, in the environment's form if that is one array."""
    action = policy.spec.action
    if isinstance(action, Discrete):
        index = graph.add("ArgMax", outputs, axis=1, keepdims=0)
        return graph.add("Add", index, graph.constant(np.int64(action.start))) if action.start else index
    if isinstance(action, Box):
        return _bounded(graph, outputs, action)
    columns = [_column(graph, outputs, leaf) for leaf in leaves(action)]
    if isinstance(action, MultiDiscrete):
        return graph.add("Add", graph.add("Concat", *columns, axis=1), graph.constant(np.array(action.start, np.int64)))
    return graph.add("Concat", *(graph.add("Cast", column, to=1) for column in columns), axis=1)


def _bounded(graph: Graph, outputs: str, action: Box) -> str:
    for operation, bound in (("Max", action.low), ("Min", action.high)):
        outputs = graph.add(operation, outputs, graph.constant(np.array(bound, np.float32)))
    if np.dtype(action.dtype).kind != "f":
        outputs = graph.add("Round", outputs)
    return graph.add("Reshape", outputs, graph.constant(np.array([-1, *action.shape], np.int64)))


def _column(graph: Graph, outputs: str, leaf: Leaf) -> str:
    bounds = (graph.constant(np.array([at], np.int64)) for at in (leaf.outputs.start, leaf.outputs.stop, 1))
    own = graph.add("Slice", outputs, *bounds)
    if leaf.kind == "categorical":
        return graph.add("ArgMax", own, axis=1, keepdims=1)
    return graph.add("Greater", own, graph.constant(np.float32(0.0))) if leaf.kind == "bernoulli" else own
