"""Values whose arrays are in the object store already: their places travel, and views of the same memory arrive.

In the process that sent it, such a value is opened on the sender's own views. In another process its objects are
acquired, as refs are, and the value can be opened when the objects are there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Final

from actorrt.config import STORE_THRESHOLD_BYTES
from actorrt.ids import ObjectId
from actorrt.store.client.ref import ObjectRef
from actorrt.store.connection.connection import NotReadyError
from actorrt.store.memory.views import place_in_store

if TYPE_CHECKING:
    from actorrt.store.client.client import StoreClient

MAX_PARTS_COUNT: Final = 64

Load = Callable[[Any, Sequence[Any]], Any]
"""Rebuilds a value from its pickle and its buffers."""


class StoredBody(dict[str, Any]):
    """The body of such a value, with the sender's views, which stay in its process.

    `objects` are `[id, token]`. `parts`, one for each buffer, are `[index of the object, offset, length]`, or None for
    a buffer that travels beside the envelope, behind the pickle.
    """

    views: Sequence[memoryview] = ()

    def once_more(self, tokens: Sequence[bytes]) -> StoredBody:
        """Return an equal body for another message, with transits of its own."""
        objects = [[object_id, token] for (object_id, _), token in zip(self["objects"], tokens, strict=True)]
        body = StoredBody(objects=objects, parts=self["parts"])
        body.views = self.views
        return body


class StoredParts:
    """The parts of one value: those in the store, and those that travel beside the envelope.

    Attributes:
        body: the body for the envelope.
        frames: the pickle, and the buffers that are not in the store.
        refs, tokens: they keep the objects until the message has arrived.
    """

    def __init__(self, store: StoreClient, data: bytes, buffers: Sequence[memoryview], copies_count: int) -> None:
        self.frames: list[bytes] = [data]
        self.refs: list[ObjectRef[Any]] = []
        self.tokens: list[bytes] = []
        indices: dict[bytes, int] = {}
        parts: list[list[int] | None] = []
        for buffer in buffers:
            place = _place(buffer)
            if place is None:
                self.frames.append(bytes(buffer))
                parts.append(None)
                continue
            object_id, offset = place
            if object_id not in indices:
                indices[object_id] = len(self.refs)
                self._add(store, ObjectId(object_id), copies_count)
            parts.append([indices[object_id], offset, buffer.nbytes])
        objects = [[ref.id, token] for ref, token in zip(self.refs, self.tokens, strict=True)]
        self.body = StoredBody(objects=objects, parts=parts)
        self.body.views = buffers

    def _add(self, store: StoreClient, object_id: ObjectId, copies_count: int) -> None:
        ref, token = store.ref(object_id), store.new_token()
        store.begin_transit(ref, token, copies_count)
        self.refs.append(ref)
        self.tokens.append(token)


def fits_as_parts(data: bytes, buffers: Sequence[memoryview]) -> bool:
    """Whether the parts that are not in the store are small enough for a message."""
    beside_bytes = len(data) + sum(buffer.nbytes for buffer in buffers if _place(buffer) is None)
    return beside_bytes <= STORE_THRESHOLD_BYTES and len(buffers) <= MAX_PARTS_COUNT


def _place(buffer: memoryview) -> tuple[bytes, int] | None:
    return place_in_store(buffer) if buffer.nbytes > STORE_THRESHOLD_BYTES else None


class StoredValue:
    """A value on its way from another process; `await` it, or `get()` it in plain code.

    Args:
        store: has its objects.
        body, frames: as in `StoredParts`.
        load: rebuilds the value.
    """

    def __init__(self, store: StoreClient, body: dict[str, Any], frames: Sequence[Any], load: Load) -> None:
        self._refs = [store.ref(ObjectId(object_id), token) for object_id, token in body["objects"]]
        self._parts = body["parts"]
        self._frames = frames
        self._load = load

    def __await__(self) -> Generator[Any, None, Any]:
        yield from self.arrive()
        while True:
            try:
                return self.value()
            except NotReadyError:
                yield from self.once_more().arrive()

    def once_more(self) -> ObjectRef[Any]:
        """Return a new ref to an object that was lost since it arrived; see `ObjectRef.once_more`."""
        return next(ref for ref in self._refs if ref.mapped() is None).once_more()

    def is_in_view(self) -> bool:
        """Whether this process has all bytes of the value in view."""
        return all([ref.mapped() is not None for ref in self._refs])

    def done(self) -> bool:
        """Whether the value can be opened, or is lost."""
        return all([ref.done() for ref in self._refs])

    def is_there(self) -> bool:
        """As `done`, by an answer of the store; see `ObjectRef.is_there`."""
        return all([ref.is_there() for ref in self._refs])

    def arrive(self) -> Generator[Any, None, None]:
        """Wait until the value can be opened."""
        for ref in self._refs:
            yield from ref.arrive()

    def get(self) -> Any:
        """Return the value, waiting for it in plain code; raises as `ObjectRef.get`."""
        for ref in self._refs:
            ref.get()
        return self.value()

    def value(self) -> Any:
        """Open the value; its objects must be there."""
        pickled, *beside = self._frames
        views = [ref.view() for ref in self._refs]
        frames = iter(beside)
        buffers = []
        for part in self._parts:
            if part is None:
                buffers.append(next(frames))
            else:
                index, offset, length = part
                buffers.append(views[index][offset : offset + length])
        return self._load(pickled, buffers)


class Arrival:
    """Awaits a value in the store, and does not open it."""

    def __init__(self, stored: ObjectRef[Any] | StoredValue) -> None:
        self._stored = stored

    def __await__(self) -> Generator[Any, None, None]:
        return self._stored.arrive()


def open_here(store: StoreClient, body: StoredBody, frames: Sequence[Any], load: Load) -> Any:
    """Open a value in the process that sent it; its objects have arrived."""
    for object_id, token in body["objects"]:
        store.ref(ObjectId(object_id), token)
    return load(frames[0], body.views)
