"""Pure: what nodes ask each other about objects, and what is asked about them of a node.

A node holds an object where it was made for as long as anything on it refers to the object. Chunks of its bytes are
envelopes of their own; see `envelopes`.
"""

from __future__ import annotations

from actorrt.ids import ObjectId, PeerAddress, PeerId
from actorrt.protocol.forms import Count
from actorrt.protocol.verb import Record, Request, record, verb


@record
class Holding(Record):
    """An object is held for the asker; or `node`, packed, has made it, and is to be asked instead."""

    node: bytes | None


@verb("hold_object", asked_by="another node")
class HoldObject(Request[Holding]):
    """Hold an object for the asker's node.

    Attributes:
        token: the transit by which the ref came, which keeps the object meanwhile.

    Raises:
        ObjectNotFoundError: there is no such object any more.
    """

    object: ObjectId
    token: bytes | None


@verb("object_arrived", asked_by="another node")
class ObjectArrived(Request[None]):
    """The ref that was sent by a transit has arrived, and the object is held: the transit is over."""

    object: ObjectId
    token: bytes


@verb("let_go_object", asked_by="another node")
class LetGoObject(Request[None]):
    """Nothing on the asker's node refers to the object any more."""

    object: ObjectId


@record
class ObjectSource(Record):
    """How long an object is, which objects it has refs of, and from which node it is to be read."""

    length_bytes: Count
    contained: list[ObjectId]
    source: PeerAddress


@verb("object_source", asked_by="another node")
class NameSource(Request[ObjectSource]):
    """Say from whom to read an object that was made here; one that is still to be made is waited for.

    Attributes:
        failed: a source that was named before and gave nothing.

    Raises:
        ObjectNotFoundError, ObjectLostError: it is not there any more.
    """

    object: ObjectId
    failed: PeerId | None


@verb("object_read", asked_by="another node")
class ObjectRead(Request[None]):
    """The asker has all of the object: others can read from there, and it reads here no more."""

    object: ObjectId


@verb("pull_object", asked_by="benchmarks and tests")
class PullObject(Request[None]):
    """Have an object brought here that `origin` has, and hold it.

    Raises:
        ObjectLostError, ObjectNotFoundError, ObjectStoreFullError: it can't be.
    """

    object: ObjectId
    origin: PeerAddress


@verb("release_object", asked_by="benchmarks and tests")
class ReleaseObject(Request[None]):
    """Take back what `PullObject` held."""

    object: ObjectId
