"""The parameter server: versioned weights that one learner writes and everybody reads."""

from __future__ import annotations

from typing import Any

import actorrt as art
from actorrt.rl.spaces import Array


class ParameterServer(art.Actor):
    """Holds the newest parameters of a policy; older ones are forgotten.

    Args:
        parameters: the flat vector to begin with.
        version: its version; each publication has a larger one.
    """

    def __init__(self, parameters: Array, version: int = 0) -> None:
        self._parameters = parameters
        self._version = version
        self._simulators: list[Any] = []

    def publish(self, parameters: Array, version: int) -> None:
        """Replace the parameters.

        Raises:
            ValueError: the version is not larger than the one held; nothing changes.
        """
        if version <= self._version:
            raise ValueError(f"version {version} is not newer than {self._version}: there is one learner for each run")
        self._parameters, self._version = parameters, version

    def latest(self, newer_than: int = -1) -> tuple[int, Array] | None:
        """Return the newest version and its parameters, or None where it is not newer than `newer_than`."""
        if self._version <= newer_than:
            return None
        return self._version, self._parameters

    def admit(self, simulator: Any) -> int:
        """Give a simulator that was spawned without an index its own; the same again after a restart.

        Args:
            simulator: the simulator's ref.
        """
        if simulator not in self._simulators:
            self._simulators.append(simulator)
        return self._simulators.index(simulator)


async def resolve(parameters: Any) -> Any:
    """Return the ref of a parameter server given by ref or by name, waiting for the name for 10 s.

    Raises:
        NameNotFoundError: nobody took the name in time.
    """
    return await art.lookup(parameters, timeout_s=10.0) if isinstance(parameters, str) else parameters
