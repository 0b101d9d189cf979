"""A spec: what an instance of an actor is made from, its class and its arguments, pickled.

A spec is fixed when the actor is spawned and serves every incarnation. The actor's authority holds the objects that it
refers to for as long as the actor lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from actorrt.actors.refs.ref import ActorRef
from actorrt.store.client.ref import ObjectRef
from actorrt.store.values import pickling
from actorrt.store.values.carrier import Carrier

if TYPE_CHECKING:
    from actorrt.store.client.client import StoreClient


class Spec(NamedTuple):
    """An actor's class and its constructor's arguments; its parent, if an actor spawned it."""

    cls: type
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    parent: ActorRef[Any] | None
    crash_on: tuple[type[BaseException], ...]


class PackedSpec(NamedTuple):
    """A spec as data, and the objects that it refers to."""

    data: list[Any]
    objects: list[ObjectRef[Any]]


def pack_spec(spec: Spec, store: StoreClient | None, owner: object) -> PackedSpec:
    """Pickle a spec. `store` and `owner` are what the refs inside are bound to.

    Raises:
        SerializationError: the class or an argument can't be sent; the message names its path.
    """
    carrier = Carrier(store, copies_count=0, owner=owner)
    root = (spec.cls.__name__, "args", "kwargs", "parent", "crash_on")
    data, buffers = pickling.dumps(tuple(spec), carrier, root=root)
    refs = [ref for ref in carrier.refs if isinstance(ref, ObjectRef)]
    return PackedSpec([data, [bytes(buffer) for buffer in buffers]], refs)


def open_spec(data: list[Any], store: StoreClient | None, owner: object) -> Spec:
    """Rebuild what `pack_spec` packed; it raises any exception that the import of the class's module raises."""
    return Spec(*pickling.loads(data[0], data[1], Carrier(store, copies_count=0, owner=owner)))
