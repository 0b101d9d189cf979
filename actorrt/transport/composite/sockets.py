"""Pure: where the processes of one node of a cluster listen, and how that is announced."""

from __future__ import annotations

from dataclasses import dataclass

from actorrt.ids import NODE_SCHEME, NodeAddress, NodeId, PeerId

_ALL_HOSTS = ("0.0.0.0", "*", "::", "[::]")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSockets:
    """The sockets of a node's processes.

    Attributes:
        node: the node.
        directory: the directory of its Unix sockets; the socket of a process has the name of its peer, in hex.
        keys: the directory of the node's CURVE keys; see `actorrt.transport.zeromq.security.load_keys`.
        host: the host or address that processes bind for other nodes.
        advertised: the host that other nodes connect to, if it is another one; with `:port` if that differs, too.
        ports: the lowest and the highest port that processes bind; None: the system chooses.
        uses_tcp_inside: whether processes of the node reach each other as processes of other nodes do, for tests. Only
            the daemon and each process still use their Unix sockets.

    Raises:
        ValueError: other nodes could not connect to such an address.
    """

    node: NodeId
    directory: str
    keys: str
    host: str = "127.0.0.1"
    advertised: str = ""
    ports: tuple[int, int] | None = None
    uses_tcp_inside: bool = False

    def __post_init__(self) -> None:
        if self.host in _ALL_HOSTS and not self.advertised:
            raise ValueError(f"{self.host!r} binds all addresses, and other nodes need one: say which with advertised=")
        if self.ports is not None and not 0 < self.ports[0] <= self.ports[1] < 1 << 16:
            raise ValueError(f"ports are {self.ports}: give the lowest and the highest, from 1 to {(1 << 16) - 1}")

    def address_of(self, peer: PeerId) -> str:
        """Return the logical address of a process of this node."""
        return str(NodeAddress(self.node, peer))

    def unix_address_of(self, peer: PeerId) -> str:
        """Return the address of the Unix socket of a process of this node."""
        return f"unix://{self.path_of(peer)}"

    def path_of(self, peer: PeerId) -> str:
        """Return the path of the Unix socket of a process of this node."""
        return f"{self.directory}/{peer.hex()}"

    @property
    def own_prefix(self) -> str:
        """The beginning of the logical addresses of this node's processes."""
        return f"{NODE_SCHEME}{self.node.hex()}/"

    def ports_from(self, peer: PeerId) -> list[int]:
        """Return the ports that a process tries to bind, in order; 0: the system chooses one.

        Each process begins at another port of the range, so that many that start together seldom meet.
        """
        if self.ports is None:
            return [0]
        low, high = self.ports
        count = high - low + 1
        first = int.from_bytes(peer[:4], "big") % count
        return [low + (first + step) % count for step in range(count)]

    def announced(self, bound: str) -> str:
        """Return the address that other nodes connect to, of the `tcp://` address that was bound."""
        if not self.advertised:
            return bound
        has_port = self.advertised.rpartition("]")[2].count(":") == 1
        return f"tcp://{self.advertised}" if has_port else f"tcp://{self.advertised}:{bound.rpartition(':')[2]}"
