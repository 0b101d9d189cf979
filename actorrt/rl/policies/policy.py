"""Policies on NumPy: what acts in simulators, evaluators and users' own code, without torch.

The parameters are one flat float32 vector; layers are views of it, in the layout of `parameter_shapes`, which the
learner's network shares. A policy's file is in `policy_file`; learning is in the algorithms' update modules.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np

from actorrt.rl.extras import require
from actorrt.rl.policies.finite import first_bad_row
from actorrt.rl.policies.normaliser import Normaliser
from actorrt.rl.policies.sampling import masked, most_likely, sample
from actorrt.rl.policies.spaces import Array, Box, Masked, Space, deviation_count, is_image, output_count

Activation = Literal["tanh", "relu"]
NetworkKind: TypeAlias = str | Callable[["PolicySpec"], Any]

HIDDEN_GAIN = float(np.sqrt(2.0))
ACTION_GAIN = 0.01  # nearly uniform at the start: Andrychowicz et al. 2021, "What matters in on-policy RL"


@dataclass(frozen=True)
class PolicySpec:
    """What a policy is for and how large it is.

    Attributes:
        env_id: the environment it was made for, or "" where that has no id.
        observation: what it sees.
        action: what it chooses.
        hidden: units of the hidden layers of each of the two networks; none for a linear policy. A convolutional
            network has them after its convolutions.
        activation: of the hidden layers.
        network: `"mlp"`, which acts on NumPy; `"cnn"`, for images; or a function that takes this and makes a
            `torch.nn.Module`. The module takes a batch of observations in their own form and returns outputs, as
            many as `spaces.output_count` says, and values, (batch,).
        orthogonal: whether the weights begin orthogonal, or uniform within 1 / sqrt(inputs).
        log_std: logarithm of the deviations of continuous actions to begin with.

    Raises:
        ValueError: a layer has no units, or activation or network have no such name.
    """

    env_id: str
    observation: Space
    action: Space
    hidden: tuple[int, ...] = (64, 64)
    activation: Activation = "tanh"
    network: NetworkKind = "mlp"
    orthogonal: bool = True
    log_std: float = 0.0

    def __post_init__(self) -> None:
        if any(units < 1 for units in self.hidden):
            raise ValueError(f"hidden layers have at least 1 unit: hidden={self.hidden}")
        if self.activation not in ("tanh", "relu"):
            raise ValueError(f"activation is 'tanh' or 'relu': activation={self.activation!r}")
        if isinstance(self.network, str) and self.network not in ("mlp", "cnn"):
            raise ValueError(f"network is 'mlp', 'cnn' or a function that makes one: network={self.network!r}")

    @property
    def feature_dtype(self) -> Any:
        """Type of the rows of features: networks that take pixels get them as bytes."""
        return np.uint8 if self.network != "mlp" and is_image(self.observation) else np.float32

    def encode(self, obs: Any) -> Array:
        """Return rows of features for a batch of observations."""
        if isinstance(self.observation, Box):
            return self.observation.encode(obs, self.feature_dtype)
        return np.asarray(self.observation.encode(obs), self.feature_dtype)

    @property
    def mask_count(self) -> int:
        """Columns of the features that say which actions are allowed; they are the last."""
        return self.observation.mask_count if isinstance(self.observation, Masked) else 0

    @property
    def input_count(self) -> int:
        """Columns of the features that are normalised, and that networks see."""
        return self.observation.feature_count - self.mask_count


class Weights(NamedTuple):
    """One version of what a policy acts with."""

    version: int
    parameters: Array
    normaliser: Normaliser | None = None

    def to_data(self) -> dict[str, Any]:
        """Return them as plain values and arrays."""
        arrays = {} if self.normaliser is None else self.normaliser.to_arrays()
        return {"version": self.version, "parameters": self.parameters, "normaliser": arrays}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Weights:
        """Rebuild what `to_data` made."""
        return cls(data["version"], data["parameters"], Normaliser.from_arrays(data["normaliser"]))


class Evaluable(Protocol):
    """What an evaluation asks of a policy."""

    spec: PolicySpec
    version: int

    def features(self, obs: Any) -> Array: ...

    def best_actions(self, features: Array) -> Array: ...


class Policy(Protocol):
    """What simulators ask of a policy."""

    spec: PolicySpec
    version: int
    normaliser: Normaliser | None

    def normalise(self, features: Array) -> Array: ...

    def act(self, features: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]: ...

    def values(self, features: Array) -> Array: ...


def hidden_names(spec: PolicySpec) -> tuple[str, ...]:
    """Return the names of the hidden layers, in order."""
    return tuple(f"hidden_{number}" for number in range(1, len(spec.hidden) + 1))


def parameter_shapes(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    """Return the layers' shapes in the order of the flat vector.

    Hidden layers stack the two networks in their first axis: 0 chooses actions, 1 estimates values.
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
    """Return views of `flat` by layer.

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


class FlatPolicy:
    """A policy whose parameters are one flat vector; how features lead to actions is up to the subclasses.

    Args:
        spec: what it looks like.
        parameters: the flat vector, of zeros where left out.
        version: its version.
        normaliser: what observations pass through before the networks see them.

    Raises:
        ValueError: the vector's length is not that of the layout.
    """

    architecture: ClassVar[str]

    def __init__(
        self,
        spec: PolicySpec,
        parameters: Array | None = None,
        version: int = 0,
        normaliser: Normaliser | None = None,
    ) -> None:
        self.spec = spec
        if parameters is None:
            parameters = np.zeros(self._parameter_count(), np.float32)
        self.set_parameters(parameters, version, normaliser)

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("spec", "parameters", "version", "normaliser")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # layers are views, which only the constructor ties to the vector

    def _parameter_count(self) -> int:
        return layout_length(self.spec)

    def set_parameters(self, parameters: Array, version: int, normaliser: Normaliser | None = None) -> None:
        """Act with these from now on; the vector is read, never written.

        Raises:
            ValueError: the vector's length is not that of the layout.
        """
        self._layers = parameter_views(self.spec, parameters)
        self.parameters = parameters
        self.version = version
        self.normaliser = normaliser

    def init(self, seed: int) -> Array:
        """Return the flat vector to begin with, which the policy then uses."""
        raise NotImplementedError

    def act(self, features: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Sample actions for rows of features; see `MlpPolicy.act`."""
        raise NotImplementedError(
            f"a {self.architecture} policy draws nothing and values nothing: give it hidden layers"
        )

    def values(self, features: Array) -> Array:
        """Return the values of rows of features, float32 of shape (batch,)."""
        raise NotImplementedError

    def best_actions(self, features: Array) -> Array:
        """Return the most likely actions for rows of features: indices, or rows before clipping."""
        raise NotImplementedError

    def features(self, obs: Any) -> Array:
        """Return what the networks see of a batch of observations in the environment's own form.

        Raises:
            ValueError: they are not the policy's, or one is infinite or NaN, of which any action could come.
        """
        encoded = self.spec.encode(obs)
        bad = first_bad_row(encoded)
        if bad is not None:
            raise ValueError(f"an observation is infinite or NaN: {encoded[bad]}")
        return self.normalise(encoded)

    def normalise(self, features: Array) -> Array:
        """Return what the networks see of rows of encoded observations."""
        if self.normaliser is None:
            return features
        inputs = self.spec.input_count
        if inputs == features.shape[1]:
            return self.normaliser.normalise(features)
        return np.concatenate([self.normaliser.normalise(features[:, :inputs]), features[:, inputs:]], axis=1)

    def _split(self, features: Array) -> tuple[Array, Array | None]:
        """Return what networks see of rows of features, and the mask where there is one."""
        inputs = self.spec.input_count
        return (features, None) if inputs == features.shape[1] else (features[:, :inputs], features[:, inputs:])

    def __call__(self, obs: Any) -> Any:
        """Return the best action for one observation of the environment, in the environment's own form.

        Raises:
            ValueError: it is no observation that the policy is for, or is infinite or NaN.
        """
        features = self.features(self.spec.observation.stack([obs]))
        actions = self.spec.action.to_environment(self.best_actions(features))
        return self.spec.action.unstack(actions)[0]

    def __repr__(self) -> str:
        place = f" for {self.spec.env_id}" if self.spec.env_id else ""
        return f"<{type(self).__name__}{place}: version {self.version}, {len(self.parameters):,} parameters>"

    def save(self, path: str) -> None:
        """Write the policy to a file, replacing what was there; `load_policy` reads it."""
        from actorrt.rl.policies.policy_file import save_policy

        save_policy(self, path)

    def export(self, path: str) -> None:
        """Write what acts to a file for others: `.py` for one that needs NumPy alone, `.onnx` for ONNX's runtimes.

        Raises:
            ValueError: the name ends otherwise, or the policy has no such form.
            MissingPackageError: `onnx` is needed, and not installed.
        """
        if path.endswith(".py"):
            from actorrt.rl.policies.export_numpy import export_numpy

            export_numpy(self, path)
        elif path.endswith(".onnx"):
            from actorrt.rl.policies.export_onnx import export_onnx

            export_onnx(self, path)
        else:
            raise ValueError(f"a policy is exported as .py or .onnx, not as {path}")


class LinearPolicy(FlatPolicy):
    """One matrix from features to actions: discrete ones by the largest output, continuous ones as they are.

    It has no chance in it and values nothing: it is for algorithms that measure whole episodes.
    """

    architecture = "linear"

    def init(self, seed: int) -> Array:
        """Return zeros, whatever the seed, which the policy then uses."""
        flat = np.zeros(self.parameters.shape, np.float32)
        self.set_parameters(flat, 0, self.normaliser)
        return flat

    def best_actions(self, features: Array) -> Array:
        """Return the best actions for rows of features: indices, or rows before clipping."""
        seen, mask = self._split(features)
        outputs = seen @ self._layers["action"]
        return most_likely(self.spec.action, outputs if mask is None else masked(outputs, mask))


class MlpPolicy(FlatPolicy):
    """Two separate networks of the same hidden layers, for actions and for values.

    Discrete actions are categorical, binary ones Bernoulli; continuous ones are Gaussian with one standard deviation
    per dimension that does not depend on the state. Actions of several parts draw each by itself.
    """

    architecture = "mlp"

    def __init__(self, spec: PolicySpec, *arguments: Any, **more: Any) -> None:
        self._names = hidden_names(spec)
        self._activate = np.tanh if spec.activation == "tanh" else _relu
        super().__init__(spec, *arguments, **more)

    def init(self, seed: int) -> Array:
        """Draw weights and return the flat vector, which the policy then uses."""
        rng = np.random.default_rng(seed)
        flat = np.zeros(self.parameters.shape, np.float32)
        views = parameter_views(self.spec, flat)
        if self.spec.orthogonal:
            for name in self._names:
                for network in views[name]:
                    network[:] = HIDDEN_GAIN * _orthogonal(rng, network.shape)
            views["action"][:] = ACTION_GAIN * _orthogonal(rng, views["action"].shape)
            views["value"][:] = _orthogonal(rng, views["value"].shape)
        else:  # as torch.nn.Linear begins
            for name in (*self._names, "action", "value"):
                limit = 1.0 / math.sqrt(views[name].shape[-2])
                for view in (views[name], views[f"{name}_bias"]):
                    view[:] = rng.uniform(-limit, limit, view.shape)
        if "log_std" in views:
            views["log_std"][:] = self.spec.log_std
        self.set_parameters(flat, 0, self.normaliser)
        return flat

    def act(self, features: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Sample actions for rows of features.

        Returns:
            Actions (indices, or rows of numbers before clipping), their log-probabilities, and the observations'
            values, each with one entry a row.
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

    def _hidden(self, features: Array) -> Array:
        layers, hidden = self._layers, features
        for name in self._names:
            hidden = self._activate(hidden @ layers[name] + layers[name + "_bias"])
        return hidden


def make_policy(
    spec: PolicySpec, parameters: Array | None = None, version: int = 0, normaliser: Normaliser | None = None
) -> FlatPolicy:
    """Make the policy that the spec describes: a `MlpPolicy`, without hidden layers a `LinearPolicy`, or one in torch.

    Raises:
        MissingPackageError: its network needs torch, which is not installed.
    """
    kind: type[FlatPolicy] = MlpPolicy if spec.hidden else LinearPolicy
    if spec.network != "mlp":
        require("torch")
        from actorrt.rl.policies.torch_policy import TorchPolicy

        kind = TorchPolicy
    return kind(spec, parameters, version, normaliser)


def _relu(values: Array) -> Array:
    rectified: Array = np.maximum(values, np.float32(0.0))
    return rectified


def _orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    rows, columns = shape
    gaussian = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(gaussian)
    q = q * np.sign(np.diag(r))
    return np.asarray(q.T if rows < columns else q, np.float32)
