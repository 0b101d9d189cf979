"""One version of a policy's parameters, as the roles of a run send it to each other."""

from __future__ import annotations

from typing import Any, NamedTuple

from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser


class Weights(NamedTuple):
    """One version of a policy's parameters and normaliser."""

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
