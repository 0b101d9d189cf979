"""Pure: what commands and drivers ask nodes about themselves, by way of one node of the cluster."""

from __future__ import annotations

from actorrt.ids import NodeId
from actorrt.protocol.forms import Count
from actorrt.protocol.verb import Record, Request, verb


@verb("ask_node", asked_by="a command, a driver")
class AskNode(Request[bytes]):
    """Ask another node of the cluster, and return its answer, as MessagePack.

    Attributes:
        node: the node; this one is a node, too.
        asked, question: the verb of the request, and its fields as MessagePack. Only questions that change nothing are
            passed on.

    Raises:
        PeerUnreachableError: it is no member, or does not answer soon.
        ValueError: the request is not passed on, or does not fit.
    """

    node: NodeId
    asked: str
    question: bytes


class ObjectRow(Record):
    """An object in a store.

    Attributes:
        object: the beginning of its id.
        holders: the processes and messages that keep it, in words.
        line: the line of code that made it; empty if that is unknown.
    """

    object: bytes
    length_bytes: Count
    state: str
    holders: list[str]
    line: str


class ObjectListing(Record):
    """The store of a node: the counts of `art.store_stats()`, and its largest objects."""

    counts: dict[str, Count]
    objects: list[ObjectRow]


@verb("ask_objects", asked_by="a command")
class AskObjects(Request[ObjectListing]):
    """List the `count` largest objects of the node's store, the largest first.

    Raises:
        ValueError: `count` is out of range.
    """

    count: Count
