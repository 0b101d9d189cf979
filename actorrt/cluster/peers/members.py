"""The part of a daemon's view of its cluster by which processes of other nodes are found."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from actorrt.completion import Completion
from actorrt.ids import NodeId, PeerAddress


class Member(NamedTuple):
    """One incarnation of a node.

    Attributes:
        daemon: the endpoint of its daemon, by its logical address.
        address: where the daemon is reached by other nodes, `tcp://host:port#key`.
    """

    daemon: PeerAddress
    address: str


class Members(Protocol):
    """The living and joining nodes. What is not in the view is looked for by one read of the control store."""

    def find(self, node: NodeId) -> Completion[Member | None]:
        """Return the incarnation of a node that is alive, to come; None if there is none.

        The error is `ControlUnavailableError` if the view does not have it and can't be read again.
        """

    def owner_of(self, key: bytes) -> Completion[NodeId | None]:
        """Return the node that has this CURVE key, to come; None if there is none. The error is as of `find`."""
