"""The interfaces of policies: for simulators, for evaluations, and for files and exports."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser


class Evaluable(Protocol):
    """The interface that evaluations use."""

    spec: PolicySpec
    version: int

    def normalise(self, features: Array) -> Array: ...

    def best_actions(self, features: Array) -> Array: ...

    def act(self, features: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]: ...


class Policy(Protocol):
    """The interface that simulators use."""

    spec: PolicySpec
    version: int
    normaliser: Normaliser | None

    def normalise(self, features: Array) -> Array: ...

    def act(self, features: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]: ...

    def values(self, features: Array) -> Array: ...


class StorablePolicy(Protocol):
    """The interface that files and exports use."""

    @property
    def architecture(self) -> str: ...

    @property
    def spec(self) -> PolicySpec: ...

    @property
    def parameters(self) -> Array: ...

    @property
    def version(self) -> int: ...

    @property
    def normaliser(self) -> Normaliser | None: ...
