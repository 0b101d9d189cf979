"""Pure: requests about objects, which nodes answer.

As long as anything on a node refers to an object that another node made, the node holds the object at that other node.
The bytes of objects travel in envelopes of their own; see `actorrt.protocol.envelopes`.
"""

from __future__ import annotations

from actorrt.ids import ObjectId, PeerAddress, PeerId
from actorrt.protocol.forms import Count
from actorrt.protocol.verb import Record, Request, verb


class Holding(Record):
    """The object is held for the asker, if `node` is None. Else `node` is the packed address of the node to ask."""

    node: bytes | None


@verb("hold_object", asked_by="another node")
class HoldObject(Request[Holding]):
    """Hold an object for the asker's node.

    Attributes:
        token: the transit by which the ref came; the transit keeps the object until the answer.

    Raises:
        ObjectNotFoundError: the object does not exist any more.
    """

    object: ObjectId
    token: bytes | None


@verb("object_arrived", asked_by="another node")
class ObjectArrived(Request[None]):
    """A ref has arrived and its object is held, so the transit by which the ref was sent is over."""

    object: ObjectId
    token: bytes


@verb("release_hold", asked_by="another node")
class ReleaseHold(Request[None]):
    """Nothing on the asker's node refers to the object any more."""

    object: ObjectId


class ObjectSource(Record):
    """The length of an object, the objects that it has refs of, and the node to read it from."""

    length_bytes: Count
    contained: list[ObjectId]
    source: PeerAddress


@verb("object_source", asked_by="another node")
class NameSource(Request[ObjectSource]):
    """Name a node from which an object of this node can be read. The answer comes when the object is made.

    Attributes:
        failed: the node that was named before, from which the object could not be read.

    Raises:
        ObjectNotFoundError, ObjectLostError: the object does not exist any more.
    """

    object: ObjectId
    failed: PeerId | None


@verb("object_read", asked_by="another node")
class ObjectRead(Request[None]):
    """The asker has read the whole object, so other nodes can read it from the asker."""

    object: ObjectId


class ObjectPromise(Record):
    """The process that has promised an object; None if none has, or the object is there."""

    process: PeerAddress | None


@verb("who_promised", asked_by="a host that looks for cycles of waits, and another node")
class FindPromise(Request[ObjectPromise]):
    """Say which process has promised an object."""

    object: ObjectId


@verb("pull_object", asked_by="benchmarks and tests")
class PullObject(Request[None]):
    """Bring an object here from `origin`, and hold it.

    Raises:
        ObjectLostError, ObjectNotFoundError, ObjectStoreFullError: the object can't be brought here.
    """

    object: ObjectId
    origin: PeerAddress


@verb("release_object", asked_by="benchmarks and tests")
class ReleaseObject(Request[None]):
    """Release an object that `PullObject` holds."""

    object: ObjectId
