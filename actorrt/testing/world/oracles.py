"""The oracles of a world: what they find, `World.run` raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from actorrt.testing.shells.host import Host
from actorrt.testing.world.consistency import what_is_left
from actorrt.testing.world.findings import BrokenPromiseError, Findings
from actorrt.testing.world.hosts import Hosts
from actorrt.testing.world.links import Links
from actorrt.testing.world.orders import Orders
from actorrt.testing.world.promises import Promises
from actorrt.testing.world.reachability import LOOKS_EVERY_S, Reachability
from actorrt.testing.world.supervising import Supervising


class Oracles:
    """The oracles.

    Args:
        hosts: the hosts.
        note: called with each broken promise, in words.
        is_prompt: returns whether no process is silent or cut off, now or at any time before.

    Attributes:
        next_look: the time of the run at which `look` is called next.
    """

    def __init__(self, hosts: Hosts, note: Callable[[str], None], is_prompt: Callable[[], bool]) -> None:
        self._hosts = hosts
        self._findings = findings = Findings(hosts.loop, note)
        self._promises = Promises(hosts.loop, findings)
        self._orders = Orders(findings)
        self._reachability = [Reachability(host, hosts.nodes[host.number], findings) for host in hosts.all]
        self._supervising = Supervising(hosts, findings)
        self._links = Links(hosts, findings, is_prompt)
        self.next_look = hosts.loop.now() + LOOKS_EVERY_S

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the runtime while the body runs."""
        with ExitStack() as undo:
            self._promises.watch(undo)
            self._orders.watch(undo)
            for reachability in self._reachability:
                reachability.watch(undo)
            self._hosts.on_boot = lambda host: self._begins_again(host, undo)
            self._supervising.watch(undo)
            self._links.watch(undo)
            yield

    def _begins_again(self, host: Host, undo: ExitStack) -> None:
        """Called when a host has a new node, and an empty store."""
        again = Reachability(host, self._hosts.nodes[host.number], self._findings)
        self._reachability[host.number] = again
        again.watch(undo)

    def look(self) -> None:
        """Called between two turns of processes, soon after `next_look`: look at what can't be watched."""
        for reachability in self._reachability:
            if self._hosts.up(reachability.host.number).done():
                reachability.look(self.next_look - LOOKS_EVERY_S)
        self._promises.look()
        self._links.look()
        self.next_look = self._hosts.loop.now() + LOOKS_EVERY_S

    def look_at_end(self) -> None:
        """Called when the world has ended: nothing of it may be left."""
        left = [what for node in self._hosts.live() for what in what_is_left(node)]
        if left:
            self._findings.add(f"the world has ended, and left {'; '.join(left)}")

    def raise_found(self, seed: int, cause: BaseException | None) -> None:
        """Raise BrokenPromiseError if a promise was broken."""
        if self._findings.broken:
            broken = "\n  ".join(self._findings.broken)
            raise BrokenPromiseError(f"seed {seed}:\n  {broken}") from cause
