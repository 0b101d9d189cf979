"""A lasting link to a process of another node: it waits until it is resolved, and measures its round trips."""

from __future__ import annotations

from actorrt.transport.composite.round_trip import RoundTrip
from actorrt.transport.links.queued_link import LinkSetup
from actorrt.transport.zeromq.link import ZmqLink


class RemoteLink(ZmqLink):
    """A link to a process of another node. It queues until `connect` is called.

    Args:
        setup: as for `QueuedLink`.
        round_trip: takes the samples.
    """

    def __init__(self, setup: LinkSetup, round_trip: RoundTrip) -> None:
        super().__init__(setup)
        self._round_trip = round_trip
        self._measured: tuple[int, float] | None = None  # acknowledged up to this number, the frames left at this time
        self.acknowledged = self._acknowledge

    @property
    def is_closed(self) -> bool:
        """Whether the link has ended."""
        return self._is_closed

    def begin_sample(self) -> None:
        """Measure how long the acknowledgement of the frames takes that have just left."""
        if self._measured is None:
            self._measured = self._window.next, self._setup.clock.now()

    def _acknowledge(self, number: int) -> bool:
        if self._measured is not None and number >= self._measured[0]:
            self._round_trip.add(self._setup.clock.now() - self._measured[1])
            self._measured = None
        return self._window.acknowledge(number)

    def _lost_connection(self) -> None:
        self._measured = None
        super()._lost_connection()
