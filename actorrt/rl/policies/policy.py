"""The base of all policies: parameters as one flat vector, observations in the environment's own form, files.

How features lead to actions is in the subclasses: `numpy_policy` acts without torch, `torch_policy` with it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from actorrt.rl.networks.layout import layout_length, parameter_views
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.policy_file import save_policy
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.finite import first_bad_row
from actorrt.rl.spaces.normaliser import Normaliser


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
