"""The base of all policies: parameters as one flat vector, observations in the environment's own form, files.

How features lead to actions is in the subclasses: `numpy_policy` acts without torch, `torch_policy` with it.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from actorrt.rl.foundation.checks import require_flag
from actorrt.rl.networks.layout import layout_length, parameter_views
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.policy_file import save_policy
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser


class FlatPolicy:
    """A policy whose parameters are one flat vector; the subclasses decide how features lead to actions.

    Args:
        spec: its spaces, and the kind and size of its networks.
        parameters: the flat vector; None means zeros.
        version: version of the parameters.
        normaliser: applied to observations before the networks see them.

    Raises:
        ParameterCountError: the vector's length is not that of the layout.
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
        """Use these parameters from now on; the vector is read and never written.

        Raises:
            ParameterCountError: the vector's length is not that of the layout.
        """
        self._layers = parameter_views(self.spec, parameters)
        self.parameters = parameters
        self.version = version
        self.normaliser = normaliser

    def init(self, seed: int) -> Array:
        """Draw initial parameters, use them from now on, and return the flat vector."""
        raise NotImplementedError

    def act(self, features: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Sample actions for rows of features; see `MlpPolicy.act`."""
        raise NotImplementedError(
            f"a {self.architecture} policy is deterministic and estimates no values: give it hidden layers"
        )

    def values(self, features: Array) -> Array:
        """Return the values of rows of features, float32 of shape (batch,)."""
        raise NotImplementedError

    def best_actions(self, features: Array) -> Array:
        """Return the most likely actions for rows of features: indices, or rows before clipping."""
        raise NotImplementedError

    def features(self, obs: Any) -> Array:
        """Convert a batch of observations in the environment's own form into the features that networks see.

        Raises:
            ValueError: the observations are not in the policy's space, or one is infinite or NaN.
        """
        return self.normalise(self.spec.encode(obs))

    def normalise(self, rows: Array) -> Array:
        """Return normalised rows of encoded observations; neither pixels nor masks are normalised."""
        if self.normaliser is None or self.normaliser.observations is None:
            return rows
        return self.spec.rows.changed(rows, self.normaliser.normalise)

    def _split(self, features: Array) -> tuple[Array, Array | None]:
        """Split rows of features into the part that networks see and the mask; None if there is no mask."""
        inputs = self.spec.input_count
        return (features, None) if inputs == features.shape[1] else (features[:, :inputs], features[:, inputs:])

    def __call__(self, obs: Any, *, deterministic: bool = True, rng: np.random.Generator | None = None) -> Any:
        """Return the action for one observation, or the actions for a batch, in the environment's own form.

        A batch is told from one observation by its shape: it has one more dimension, in every part of a `Dict` or a
        `Tuple`. Batches of observations and of actions have the form that Gymnasium's vector environments use.

        Args:
            obs: one observation of the environment, or a batch.
            deterministic: whether to take the most likely action; otherwise actions are drawn, as in training.
            rng: draws the actions, so that a seed determines them; None takes a generator with a random seed.

        Raises:
            ValueError: the observation is not in the policy's space, or is infinite or NaN; or `rng` is given, and
                nothing is drawn.
            TypeError: `rng` is no generator, or `deterministic` is neither True nor False.
            NotImplementedError: actions should be drawn, and the policy is linear, so that it draws none.
        """
        require_flag("deterministic", deterministic)
        if rng is not None and not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng is a generator, as np.random.default_rng(7) makes one: rng={rng!r}")
        batch, count = self.spec.observation.as_batch(obs)
        features = self.features(batch)
        if deterministic:
            if rng is not None:
                raise ValueError("rng= draws actions, but the most likely ones are taken: give deterministic=False")
            rows = self.best_actions(features)
        else:
            rows = self.act(features, self._rng if rng is None else rng)[0]
        actions = self.spec.action.to_environment(rows)
        return self.spec.action.unstack(actions)[0] if count is None else actions

    @cached_property
    def _rng(self) -> np.random.Generator:
        return np.random.default_rng()

    def __repr__(self) -> str:
        place = f" for {self.spec.env_id}" if self.spec.env_id else ""
        return f"<{type(self).__name__}{place}: version {self.version}, {len(self.parameters):,} parameters>"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the policy to a file, in place of any earlier file; `load_policy` reads it."""
        save_policy(self, path)

    def export(self, path: str | os.PathLike[str]) -> None:
        """Export the policy for use without this library: as `.py`, which needs NumPy only, or as `.onnx`.

        Raises:
            ValueError: the path has another suffix, or the policy can't be exported in this form.
            MissingPackageError: `onnx` is needed and not installed.
        """
        path = os.fspath(path)
        if path.endswith(".py"):
            from actorrt.rl.policies.export_numpy import export_numpy

            export_numpy(self, path)
        elif path.endswith(".onnx"):
            from actorrt.rl.policies.export_onnx import export_onnx

            export_onnx(self, path)
        else:
            raise ValueError(f"a policy is exported as .py or .onnx, not as {path}")
