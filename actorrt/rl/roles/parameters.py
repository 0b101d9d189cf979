"""The parameter server: versioned weights that one learner writes and everybody reads."""

from __future__ import annotations

from typing import Any

import actorrt as art
from actorrt.rl.policies.weights import Weights
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser

RETRIES = 5  # deaths that a question to a role outlives
SNAPSHOT_EVERY = 1  # message: a version that was told to anybody is never taken back


class ParameterServer(art.Actor):
    """Holds the newest parameters of a policy, and hands each new version to its readers; remembers the one before.

    A reader is an actor with a method `renew(version, parameters, normaliser)`. It has at most one version on its
    way: one that is slow misses some and asks for the newest when it needs it. One that is gone for good is forgotten.

    Spawned with `snapshot_every=SNAPSHOT_EVERY`, as a run does, it forgets nothing that it has answered for: the next
    incarnation holds the same two versions, and counts. Readers subscribe again when they fall behind.

    Args:
        parameters: the flat vector to begin with.
        version: its version; each publication has a larger one.
        normaliser: what observations and rewards pass through; grows with what publications say was seen.
    """

    def __init__(self, parameters: Array, version: int = 0, normaliser: Normaliser | None = None) -> None:
        self._weights = self._previous = Weights(version, parameters, normaliser)
        self._readers: dict[Any, int] = {}  # and their indices, which no other reader has ever had
        self._handed: dict[Any, Any] = {}  # the reader and the reply that is due
        self._subscribed_count = 0

    def publish(self, parameters: Array, version: int, seen: Normaliser | None = None) -> None:
        """Replace the parameters, and hand them on.

        Args:
            parameters: the flat vector.
            version: its version.
            seen: counts of observations and returns to merge into the normaliser.

        Raises:
            ValueError: the version is not larger than the one held; nothing changes.
        """
        if version <= self._weights.version:
            raise ValueError(
                f"version {version} is not newer than {self._weights.version}: there is one learner for each run"
            )
        self._replace(parameters, version, seen)
        self._hand_on()

    def replace(self, weights: Weights) -> None:
        """Replace everything, the normaliser too, and hand it on; for those who merge what was seen themselves.

        Older weights than those held are left.
        """
        if weights.version > self._weights.version:
            self._previous, self._weights = self._weights, weights
            self._hand_on()

    def _hand_on(self) -> None:
        for reader in self._readers:
            reply = self._handed.get(reader)
            if reply is None or reply.done():
                self._handed[reader] = reader.renew(*self._weights)

    def _replace(self, parameters: Array, version: int, seen: Normaliser | None) -> None:
        normaliser = self._weights.normaliser
        if normaliser is not None and seen is not None:
            normaliser = normaliser.merged(seen)
        self._previous, self._weights = self._weights, Weights(version, parameters, normaliser)

    def latest(self) -> Weights:
        """Return the newest version, its parameters and the normaliser."""
        return self._weights

    def normaliser(self) -> Normaliser | None:
        """Return the newest normaliser alone."""
        return self._weights.normaliser

    def weights(self, version: int) -> Weights:
        """Return a version if it is the newest or the one before; else the newest."""
        return self._previous if self._previous.version == version else self._weights

    def snapshot(self) -> Any:
        """Return the versions that are held."""
        return self._previous, self._weights

    def restore(self, state: Any) -> None:
        """Take them back."""
        self._previous, self._weights = (Weights(*weights) for weights in state)

    def subscribe(self, reader: Any) -> int:
        """Hand every new version to `reader` from now on; again without effect.

        Args:
            reader: the reader's ref.

        Returns:
            The reader's index, in order of subscription; the same again after it was restarted.
        """
        if reader not in self._readers:
            self._readers[reader] = self._subscribed_count
            self._subscribed_count += 1
            self.context.monitor(reader)
        return self._readers[reader]

    async def on_down(self, down: art.Down) -> None:
        """Forget a reader that is gone for good."""
        self._readers.pop(down.ref, None)
        self._handed.pop(down.ref, None)

    def statistics(self) -> dict[str, int]:
        """Return how many readers there are, and how many were handed a version that they have not taken yet."""
        late_count = sum(not reply.done() for reply in self._handed.values())
        return {"readers": len(self._readers), "readers_late": late_count}


async def resolve(parameters: Any) -> Any:
    """Return the ref of a parameter server given by ref or by name, waiting for the name for 10 s.

    Raises:
        NameNotFoundError: nobody took the name in time.
    """
    return await art.lookup(parameters, timeout_s=10.0) if isinstance(parameters, str) else parameters


async def publish(params: Any, parameters: Array, version: int, seen: Normaliser | None = None) -> None:
    """Publish, once, to a parameter server that may die meanwhile: its next incarnation says what it holds.

    Args:
        params: the server's ref.
        parameters, version, seen: as for `ParameterServer.publish`.

    Raises:
        ValueError: as from `ParameterServer.publish`.
        ActorDiedError: the server is gone for good.
    """
    is_taken = False
    while not is_taken:
        try:
            await params.publish(parameters, version, seen)
            is_taken = True
        except art.ActorUnavailableError:
            newest = await params.latest.options(retries=RETRIES)()
            is_taken = newest.version >= version
