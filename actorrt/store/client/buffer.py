"""Arrays that are written in place, in shared memory, before their object is sealed."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np

from actorrt.errors import RuntimeStateError
from actorrt.ids import ObjectId
from actorrt.store.client.ref import ObjectRef
from actorrt.store.values.encoding import array_head


class Layout:
    """The position of an array's elements in its object.

    Args:
        shape: lengths of the dimensions.
        dtype: of elements that hold no objects.

    Raises:
        TypeError: such elements can't be written in place.
    """

    def __init__(self, shape: int | tuple[int, ...], dtype: Any) -> None:
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.dtype = np.dtype(dtype)
        self.head, self.offset, self.length_bytes = array_head(self.shape, self.dtype)


class AllocatedBuffer:
    """A context manager: `array` can be written until `seal`; leaving without sealing frees the memory.

    Views of `array` taken before `seal` stay writable: writing through them afterwards changes a sealed object.

    Args:
        object_id: the object to be.
        layout: of the array.
        target: the object's memory.
        seal: finishes the object.
        abort: gives it up.
    """

    def __init__(
        self,
        object_id: ObjectId,
        layout: Layout,
        target: memoryview,
        *,
        seal: Callable[[ObjectId], ObjectRef[Any]],
        abort: Callable[[ObjectId], None],
    ) -> None:
        target[: len(layout.head)] = layout.head
        self._object_id = object_id
        self._seal, self._abort = seal, abort
        self._array: np.ndarray[Any, Any] | None = np.ndarray(layout.shape, layout.dtype, target, layout.offset)

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The array; its elements are undefined until they are written.

        Raises:
            RuntimeStateError: the buffer is sealed or given up.
        """
        if self._array is None:
            raise RuntimeStateError("the buffer is sealed or given up: its array can't be written any more")
        return self._array

    def seal(self) -> ObjectRef[Any]:
        """Finish the object and return its ref.

        Raises:
            RuntimeStateError: the buffer is sealed or given up already.
        """
        self.array.flags.writeable = False
        self._array = None
        return self._seal(self._object_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._array is not None:
            self._array = None
            self._abort(self._object_id)


class AllocatedBuffers(list[AllocatedBuffer]):
    """Several buffers; leaving frees the memory of those that are not sealed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        for buffer in self:
            buffer.__exit__(*error)
