"""What must be true of links while no process is silent: none is given up, and what has arrived is not kept.

A connection that breaks is no silence: its link connects again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final
from weakref import WeakKeyDictionary

from actorrt.errors import PeerUnreachableError
from actorrt.ids import PeerId
from actorrt.testing.shells.transport import SimulatedTransport
from actorrt.testing.world.findings import Findings, replace
from actorrt.testing.world.hosts import Hosts
from actorrt.transport.links.base_transport import BaseTransport
from actorrt.transport.links.queued_link import QueuedLink

ACKNOWLEDGED_S: Final = 3.0
"""How long a frame may wait for its acknowledgement, a broken connection included."""


class Links:
    """Checks the links between processes.

    Args:
        hosts: the hosts.
        findings: gets what is broken.
        is_prompt: returns whether no process is silent or cut off, now or at any time before.
    """

    def __init__(self, hosts: Hosts, findings: Findings, is_prompt: Callable[[], bool]) -> None:
        self._hosts = hosts
        self._findings = findings
        self._is_prompt = is_prompt
        self._waiting: WeakKeyDictionary[QueuedLink, tuple[int, float]] = WeakKeyDictionary()
        """The number of the oldest frame that each link keeps, and since when it is the oldest."""

    def watch(self, undo: ExitStack) -> None:
        """Watch links that are given up until the end of `undo`."""
        give_up = BaseTransport._give_up

        def note_and_give_up(
            transport: BaseTransport, link: Any, error: PeerUnreachableError, *, is_told: bool = False
        ) -> None:
            if self._is_prompt() and self._lives(link.peer) and isinstance(transport, SimulatedTransport):
                self._findings.add(f"{transport.address} gives {link.address} up, which lives and answers: {error}")
            give_up(transport, link, error, is_told=is_told)

        replace(undo, BaseTransport, "_give_up", note_and_give_up)

    def _lives(self, peer: PeerId) -> bool:
        return any(endpoint.peers.own_peer == peer for _, endpoint in self._hosts.endpoints())

    def look(self) -> None:
        """Called from time to time: look at the frames that links keep."""
        if self._is_prompt():
            for _, endpoint in self._hosts.endpoints():
                for link in endpoint.transport._links.values():  # type: ignore[attr-defined]
                    self._look_at(link)

    def _look_at(self, link: QueuedLink) -> None:
        now, oldest = self._hosts.loop.now(), link._window.acknowledged
        known = self._waiting.get(link)
        if not len(link._window):
            self._waiting.pop(link, None)
        elif known is None or known[0] != oldest:
            self._waiting[link] = oldest, now
        elif now - known[1] > ACKNOWLEDGED_S and self._lives(link.peer):
            self._findings.add(f"a link to {link.address} keeps frame {oldest} for {now - known[1]:.3f} s")
            self._waiting[link] = oldest, math.inf
