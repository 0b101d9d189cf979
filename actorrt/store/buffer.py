"""Arrays that are written in place, in shared memory, before their object is sealed."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from actorrt.errors import RuntimeStateError
from actorrt.ids import ObjectId
from actorrt.store.values import array_head

if TYPE_CHECKING:
    from actorrt.store.client import StoreClient
    from actorrt.store.ref import ObjectRef


class AllocatedBuffer:
    """A context manager: `array` can be written until `seal`; leaving without sealing gives the memory back.

    Views of `array` taken before `seal` stay writable: writing through them afterwards changes a sealed object.

    Args:
        client: the process's client.
        object_id: the object to be.
        shape: lengths of the dimensions.
        dtype: of elements that hold no objects.
        timeout_s: seconds to wait for room; None does not wait.
    """

    def __init__(
        self,
        client: StoreClient,
        object_id: ObjectId,
        shape: int | tuple[int, ...],
        dtype: Any,
        timeout_s: float | None,
    ) -> None:
        lengths = (shape,) if isinstance(shape, int) else tuple(shape)
        head, offset, length_bytes = array_head(lengths, np.dtype(dtype))
        target = client.create(object_id, length_bytes, timeout_s)
        assert target is not None, "a new id"
        target[: len(head)] = head
        self._client = client
        self._object_id = object_id
        self._array: np.ndarray[Any, Any] | None = np.ndarray(lengths, np.dtype(dtype), target, offset)

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The array; its elements are what the memory held before until they are written.

        Raises:
            RuntimeStateError: the buffer is sealed or given back.
        """
        if self._array is None:
            raise RuntimeStateError("the buffer is sealed or given back: its array can't be written any more")
        return self._array

    def seal(self) -> ObjectRef[Any]:
        """Finish the object and return its ref.

        Raises:
            RuntimeStateError: the buffer is sealed or given back already.
        """
        self.array.flags.writeable = False
        self._array = None
        return self._client.seal(self._object_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._array is not None:
            self._array = None
            self._client.abort(self._object_id)
