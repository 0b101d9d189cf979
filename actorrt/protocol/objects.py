"""Pure: what nodes ask each other about objects, and what a node is asked about its own.

A node holds an object where it was made for as long as anything on it refers to the object. Chunks of its bytes are
envelopes of their own; see `envelopes`.
"""

from __future__ import annotations

from actorrt.ids import ObjectId, PeerAddress, PeerId
from actorrt.protocol.forms import Count
from actorrt.protocol.verb import Record, Request, record, verb


@record
class Holding(Record):
    """An object is held for the asker. Or else `node`, packed, has made it, and the asker is to ask that node."""

    node: bytes | None


@verb("hold_object", asked_by="another node")
class HoldObject(Request[Holding]):
    """Hold an object for the asker's node.

    Attributes:
        token: the transit by which the ref came; it keeps the object meanwhile.

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


@verb("let_go_object", asked_by="another node")
class LetGoObject(Request[None]):
    """Nothing on the asker's node refers to the object any more."""

    object: ObjectId


@record
class ObjectSource(Record):
    """The length of an object, the objects that it has refs of, and the node to read it from."""

    length_bytes: Count
    contained: list[ObjectId]
    source: PeerAddress


@verb("object_source", asked_by="another node")
class NameSource(Request[ObjectSource]):
    """Name the node to read an object from that was made here. The answer comes when the object is made.

    Attributes:
        failed: the source that was named before, and that gave nothing.

    Raises:
        ObjectNotFoundError, ObjectLostError: the object does not exist any more.
    """

    object: ObjectId
    failed: PeerId | None


@verb("object_read", asked_by="another node")
class ObjectRead(Request[None]):
    """The asker has read all of the object, so that others can read it from there."""

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
