"""Pure: the names that the nodes of a cluster share."""

from __future__ import annotations

from actorrt.ids import ActorId
from actorrt.protocol.verb import Request, verb


@verb("has_name", asked_by="a node of the cluster that wants the name")
class HasName(Request[bool]):
    """Say whether an actor of this node has the name that its row in the control store gives it.

    The row of an actor that has ended is deleted a moment later.
    """

    actor: ActorId
    namespace: str
    name: str
