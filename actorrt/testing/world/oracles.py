"""The oracles of a world: what they find, `World.run` raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from actorrt.testing.shells.host import Host
from actorrt.testing.shells.node import SimulatedNode
from actorrt.testing.world.consistency import what_is_left
from actorrt.testing.world.findings import BrokenPromiseError, Findings
from actorrt.testing.world.promises import Promises
from actorrt.testing.world.reachability import LOOKS_EVERY_S, Reachability
from actorrt.testing.world.supervising import Supervising


class Oracles:
    """The oracles.

    Args:
        host, node: the machine and its node.
        note: called with each broken promise, in words.

    Attributes:
        next_look: the time of the run at which `look` is called next.
    """

    def __init__(self, host: Host, node: SimulatedNode, note: Callable[[str], None]) -> None:
        self._host, self._node = host, node
        self._findings = findings = Findings(host.loop, note)
        self._promises = Promises(host.loop, findings)
        self._reachability = Reachability(host, node, findings)
        self._supervising = Supervising(host, findings)
        self.next_look = host.loop.now() + LOOKS_EVERY_S

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the runtime while the body runs."""
        with ExitStack() as undo:
            self._promises.watch(undo)
            self._reachability.watch(undo)
            self._supervising.watch(undo)
            yield

    def look(self) -> None:
        """Called between two turns of processes, soon after `next_look`: look at what can't be watched."""
        self._reachability.look(self.next_look - LOOKS_EVERY_S)
        self._promises.look()
        self.next_look = self._host.loop.now() + LOOKS_EVERY_S

    def look_at_end(self) -> None:
        """Called when the world has ended: nothing of it may be left."""
        left = what_is_left(self._host, self._node)
        if left:
            self._findings.add(f"the world has ended, and left {'; '.join(left)}")

    def raise_found(self, seed: int, cause: BaseException | None) -> None:
        """Raise BrokenPromiseError if a promise was broken."""
        if self._findings.broken:
            broken = "\n  ".join(self._findings.broken)
            raise BrokenPromiseError(f"seed {seed}:\n  {broken}") from cause
