"""The census: what one endpoint tells of its actors, for the live supervision tree.

People read the tree, so the number of listed actors is bounded, in all and for each parent; the others are counted.
`actorrt.node.listing.census` puts the answers of a node's endpoints together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING, Final

from actorrt.actors.authority.record import ActorRecord
from actorrt.ids import ActorId
from actorrt.protocol.nodes import ActorRow
from actorrt.protocol.processes import ProcessCensus

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint

LISTED_COUNT: Final = 1_000
"""How many light children of one endpoint are listed, and how many full mailboxes."""

ChildrenOf = Callable[[ActorId], Collection[ActorRecord]]


class Listing:
    """The rows of a tree, parents before their children.

    Args:
        children_of: returns the children of an actor that one registry knows.
        siblings_count: how many children of one parent are listed at most.
        rows_count: how many actors are listed at most.

    Attributes:
        rows: the rows of the listed actors, see `of_record`.
        left_out: how many children of a parent, or actors at the top of a job, are not listed.
    """

    def __init__(self, children_of: ChildrenOf, siblings_count: int, rows_count: int) -> None:
        self._children_of = children_of
        self._siblings_count = siblings_count
        self._rows_count = rows_count
        self.rows: list[ActorRow] = []
        self.left_out: dict[bytes, int] = {}

    def take(self, above: bytes, siblings: Collection[ActorRecord]) -> None:
        """Add the children of one parent, or the top of a job, and the actors below each that is listed."""
        families: list[tuple[bytes, Collection[ActorRecord]]] = [(above, siblings)]
        while families:
            above, siblings = families.pop()
            listed = min(len(siblings), self._siblings_count, self._rows_count - len(self.rows))
            if listed < len(siblings):
                self.left_out[above] = len(siblings) - listed
            for record in islice(siblings, listed):
                self.rows.append(of_record(record))
                children = self._children_of(record.actor_id)
                if children:
                    families.append((record.actor_id, children))


def of_record(record: ActorRecord) -> ActorRow:
    """Return the row of an actor: what its authority knows of it."""
    return ActorRow(
        actor=record.actor_id,
        parent=record.parent,
        job=record.job,
        home=None if record.peer_address is None else record.peer_address.peer,
        label=record.label,
        state=str(record.state),
        restarts=max(0, record.incarnation - 1),
        last_exit=None if record.last_reason is None else str(record.last_reason),
        pid=None if record.place is None else record.place.pid,
        is_own=record.options.needs_own_process,
        is_supervisor=record.is_supervisor,
        is_detached=record.order.is_detached,
    )


def of_endpoint(endpoint: ActorEndpoint, siblings_count: int) -> ProcessCensus:
    """Return the light children that this endpoint is the authority of, and the longest mailboxes of its actors."""
    registry = endpoint.registry
    listing = Listing(registry.children.in_order, siblings_count, LISTED_COUNT)
    for parent, children in registry.children.families():
        if registry.record(parent) is None:  # otherwise it is listed below its parent
            listing.take(parent, children)
    cells = endpoint.population.cells()
    waiting = ((len(cell.mailbox), cell.actor_id) for cell in cells if cell.mailbox)
    shells = (cell.shell for cell in cells if cell.shell is not None)
    return ProcessCensus(
        actors=listing.rows,
        left_out=listing.left_out,
        queued={actor_id: count for count, actor_id in nlargest(LISTED_COUNT, waiting)},
        child_ids={
            actor_id: child_id for shell in shells for actor_id, child_id in islice(shell.child_ids(), siblings_count)
        },
    )
