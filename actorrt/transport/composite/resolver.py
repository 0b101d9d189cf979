"""The interface by which a transport learns where a process of another node is reached."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from actorrt.completion import Completion
from actorrt.ids import PeerAddress, PeerId


class Resolved(NamedTuple):
    """Where a process of another node is reached.

    Attributes:
        address: its physical address, `tcp://host:port#key`.
        daemon: the endpoint of its node's daemon, which is the incarnation of the node.
    """

    address: str
    daemon: PeerId


class Resolver(Protocol):
    """Finds the physical addresses of processes of other nodes."""

    def resolve(self, to: PeerAddress) -> Completion[Resolved]:
        """Return where the process with a logical address is reached, to come, on the caller's loop.

        The error is one of `actorrt.errors`: `PeerUnreachableError` if the process or its node has ended or is unknown,
        otherwise why it can't be found out.
        """
