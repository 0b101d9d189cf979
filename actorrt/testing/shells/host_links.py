"""Pure: which hosts of a world reach each other, and how slowly: links that are cut or slow, hosts that say nothing."""

from __future__ import annotations

Pair = tuple[int, int]
"""The numbers of the sending and of the receiving side."""


class HostLinks:
    """The links between hosts.

    Attributes:
        names: the number of each host, by the name that its addresses begin with.
        cut: the pairs of hosts between which messages are held.
        paused: the hosts that stand still, so that nothing reaches them or leaves them.
        dark: the hosts without power.
        slow_s: how much longer messages take, by the pair of hosts.
    """

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.cut: set[Pair] = set()
        self.paused: set[int] = set()
        self.dark: set[int] = set()
        self.slow_s: dict[Pair, float] = {}

    def is_cut(self, source: int, target: int) -> bool:
        """Whether messages from one host to another are held."""
        return (source, target) in self.cut or source in self.paused or target in self.paused

    def are_apart(self, one: int, other: int) -> bool:
        """Whether no message and its answer can travel between two hosts."""
        return self.is_cut(one, other) or self.is_cut(other, one)

    def silent_host(self, address: str, source: int) -> int | None:
        """Return the host of an address, if it is another one and does not answer now."""
        host = self.names.get(address.split("/")[2]) if "://" in address else None
        if host is None or host == source:
            return None
        return host if host in self.dark or self.are_apart(source, host) else None
