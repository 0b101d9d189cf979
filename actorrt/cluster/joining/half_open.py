"""Pure: the connections of a port whose far end is not authenticated yet: how many there may be, and which must go.

When there are too many, the oldest one of the host with most of them goes. A handshake takes milliseconds, so a node
that joins is not the oldest one; and a host that opens many connections displaces its own.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

C = TypeVar("C")


class HalfOpen(Generic[C]):
    """The connections that are not authenticated.

    Args:
        most: how many there may be.

    Attributes:
        peak: the most that there have been.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"most={most}: at least one connection has to be allowed")
        self._most = most
        self._hosts: dict[str, OrderedDict[C, None]] = {}
        self._count = 0
        self.peak = 0

    def __len__(self) -> int:
        return self._count

    def add(self, connection: C, host: str) -> C | None:
        """Add a connection; return the one that must go instead, which is removed already."""
        victim = self._displaced() if self._count >= self._most else None
        self._hosts.setdefault(host, OrderedDict())[connection] = None
        self._count += 1
        self.peak = max(self.peak, self._count)
        return victim

    def remove(self, connection: C, host: str) -> None:
        """Remove a connection that is authenticated or over. Idempotent."""
        of_host = self._hosts.get(host)
        if of_host is None or connection not in of_host:
            return
        del of_host[connection]
        self._count -= 1
        if not of_host:
            del self._hosts[host]

    def check_invariants(self) -> None:
        """Raise AssertionError if the counts contradict each other."""
        assert self._count == sum(len(connections) for connections in self._hosts.values()), "the count is wrong"
        assert self._count <= self._most, f"{self._count} connections, of {self._most} allowed"
        assert all(self._hosts.values()), "a host without connections is kept"

    def _displaced(self) -> C:
        host = max(self._hosts, key=lambda name: len(self._hosts[name]))
        connection = next(iter(self._hosts[host]))
        self.remove(connection, host)
        return connection
