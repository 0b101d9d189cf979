"""The parameter server: versioned weights that one learner writes and all other roles read."""

from __future__ import annotations

from typing import Any

import actorrt as art
from actorrt.rl.policies.weights import Weights
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.normaliser import Normaliser

RETRIES = 5  # a call to a role survives so many of its deaths
SNAPSHOT_EVERY = 1  # message: a version that was sent to another actor is never lost


class ParameterServer(art.Actor):
    """Holds the newest parameters of a policy and the version before, and sends each new version to its readers.

    A reader is an actor with a method `renew(version, parameters, normaliser)`. At most one version is on its way to a
    reader: a slow reader misses versions, and asks for the newest when it needs it. A reader that is gone for good is
    removed.

    A run spawns it with `snapshot_every=SNAPSHOT_EVERY`. Then nothing that it confirmed is lost: the next incarnation
    has the same two versions and the same counts. Readers subscribe again when they fall behind.

    Args:
        parameters: the initial flat vector.
        version: its version; each publication has a larger one.
        normaliser: of observations and rewards; publications add their counts to it.
    """

    def __init__(self, parameters: Array, version: int = 0, normaliser: Normaliser | None = None) -> None:
        self._weights = self._previous = Weights(version, parameters, normaliser)
        self._readers: dict[Any, int] = {}  # by reader: its index, which is never given to another reader
        self._sent: dict[Any, Any] = {}  # by reader: the reply to the last version sent
        self._subscribed_count = 0

    def publish(self, parameters: Array, version: int, seen: Normaliser | None = None) -> None:
        """Replace the parameters, and send them to the readers.

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
        self._send_to_readers()

    def replace(self, weights: Weights) -> None:
        """Replace everything including the normaliser, and send it to the readers.

        This is for callers that merge counts themselves. Weights that are not newer than the current ones are ignored.
        """
        if weights.version > self._weights.version:
            self._previous, self._weights = self._weights, weights
            self._send_to_readers()

    def _send_to_readers(self) -> None:
        for reader in self._readers:
            reply = self._sent.get(reader)
            if reply is None or reply.done():
                self._sent[reader] = reader.renew(*self._weights)

    def _replace(self, parameters: Array, version: int, seen: Normaliser | None) -> None:
        normaliser = self._weights.normaliser
        if normaliser is not None and seen is not None:
            normaliser = normaliser.merged(seen)
        self._previous, self._weights = self._weights, Weights(version, parameters, normaliser)

    def latest(self) -> Weights:
        """Return the newest version, its parameters and the normaliser."""
        return self._weights

    def normaliser(self) -> Normaliser | None:
        """Return the newest normaliser only."""
        return self._weights.normaliser

    def weights(self, version: int) -> Weights:
        """Return this version if it is the newest or the one before, else the newest."""
        return self._previous if self._previous.version == version else self._weights

    def snapshot(self) -> Any:
        """Return both versions."""
        return self._previous, self._weights

    def restore(self, state: Any) -> None:
        """Take over the versions of the last incarnation."""
        self._previous, self._weights = (Weights(*weights) for weights in state)

    def subscribe(self, reader: Any) -> int:
        """Send every new version to `reader` from now on. Subscribing again has no effect.

        Args:
            reader: the reader's ref.

        Returns:
            The reader's index, in order of subscription; a restarted reader keeps its index.
        """
        if reader not in self._readers:
            self._readers[reader] = self._subscribed_count
            self._subscribed_count += 1
            self.context.monitor(reader)
        return self._readers[reader]

    async def on_down(self, down: art.Down) -> None:
        """Called when a reader is gone for good: remove it."""
        self._readers.pop(down.ref, None)
        self._sent.pop(down.ref, None)

    def statistics(self) -> dict[str, int]:
        """Return how many readers there are, and how many of them have not taken the last version sent."""
        late_count = sum(not reply.done() for reply in self._sent.values())
        return {"readers": len(self._readers), "readers_late": late_count}


async def resolve(parameters: Any) -> Any:
    """Return the ref of a parameter server given by ref or by name, waiting for the name for 10 s.

    Raises:
        NameNotFoundError: no actor has the name in time.
    """
    return await art.lookup(parameters, timeout_s=10.0) if isinstance(parameters, str) else parameters


async def publish(params: Any, parameters: Array, version: int, seen: Normaliser | None = None) -> None:
    """Publish exactly once to a parameter server, even if it dies meanwhile: its next incarnation knows its version.

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
