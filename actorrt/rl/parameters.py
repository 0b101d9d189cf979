"""The parameter server: versioned weights that one learner writes and everybody reads."""

from __future__ import annotations

from typing import Any

import actorrt as art
from actorrt.rl.spaces import Array


class ParameterServer(art.Actor):
    """Holds the newest parameters of a policy, and hands each new version to its readers; forgets older ones.

    A reader is an actor with a method `renew(version, parameters)`. It has at most one version on its way: one that
    is slow misses some and asks for the newest when it needs it.

    Args:
        parameters: the flat vector to begin with.
        version: its version; each publication has a larger one.
    """

    def __init__(self, parameters: Array, version: int = 0) -> None:
        self._parameters = parameters
        self._version = version
        self._readers: list[Any] = []
        self._handed: dict[int, Any] = {}  # the reader's index and the reply that is due

    def publish(self, parameters: Array, version: int) -> None:
        """Replace the parameters, and hand them on.

        Raises:
            ValueError: the version is not larger than the one held; nothing changes.
        """
        if version <= self._version:
            raise ValueError(f"version {version} is not newer than {self._version}: there is one learner for each run")
        self._parameters, self._version = parameters, version
        for index, reader in enumerate(self._readers):
            reply = self._handed.get(index)
            if reply is None or reply.done():
                self._handed[index] = reader.renew(version, parameters)

    def latest(self) -> tuple[int, Array]:
        """Return the newest version and its parameters."""
        return self._version, self._parameters

    def subscribe(self, reader: Any) -> int:
        """Hand every new version to `reader` from now on; again without effect.

        Args:
            reader: the reader's ref.

        Returns:
            The reader's index, in order of subscription; the same again after it was restarted.
        """
        if reader not in self._readers:
            self._readers.append(reader)
        return self._readers.index(reader)


async def resolve(parameters: Any) -> Any:
    """Return the ref of a parameter server given by ref or by name, waiting for the name for 10 s.

    Raises:
        NameNotFoundError: nobody took the name in time.
    """
    return await art.lookup(parameters, timeout_s=10.0) if isinstance(parameters, str) else parameters
