"""Pure: which members a node probes, and which of them it can't reach. Whatever arrives from a member is an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actorrt.cluster.membership.constants import LATE_S, MISSES_COUNT, PROBE_S, PROBED_COUNT, QUIET_S
from actorrt.ids import NodeId


@dataclass(slots=True)
class _Target:
    heard: float
    misses: int = 0


class Prober:
    """The probes of one node.

    Args:
        now: the time.
    """

    def __init__(self, now: float) -> None:
        self._targets: dict[NodeId, _Target] = {}
        self._heard: dict[NodeId, float] = {}
        self._last_tick = now
        self._next_probe = now

    def heard(self, node: NodeId, now: float) -> None:
        """Something has arrived from a member."""
        self._heard[node] = now
        target = self._targets.get(node)
        if target is not None:
            target.heard, target.misses = now, 0

    def heard_at(self, node: NodeId) -> float:
        """Return when something arrived from a member, or when it was first known, or this node could hear nothing."""
        return self._heard[node]

    def set_members(self, others: Sequence[NodeId], now: float) -> None:
        """Set the other members, those that come after this node first."""
        self._heard = {node: self._heard.get(node, now) for node in others}
        self._targets = {node: self._targets.get(node, _Target(now)) for node in others[:PROBED_COUNT]}

    def tick(self, now: float) -> list[NodeId]:
        """Return whom to probe now. To be called at least every tenth of a second.

        After a tick that came late nobody has missed anything: answers may wait in this process, unread. Members that
        are not among those that this node suspects are probed too when they have been quiet for some time, since calls
        to them have to end if they are silent.
        """
        if now - self._last_tick > LATE_S:
            for target in self._targets.values():
                target.misses = 0
            self._heard = dict.fromkeys(self._heard, now)
            self._next_probe = now
        self._last_tick = now
        if now < self._next_probe:
            return []
        period_began, self._next_probe = self._next_probe - PROBE_S, now + PROBE_S
        for target in self._targets.values():
            target.misses = 0 if target.heard >= period_began else target.misses + 1
        quiet = [node for node, heard in self._heard.items() if now - heard >= QUIET_S and node not in self._targets]
        return [*self._targets, *quiet]

    def missing(self) -> list[NodeId]:
        """Return the members that have not answered often enough to be suspected."""
        return [node for node, target in self._targets.items() if target.misses >= MISSES_COUNT]
