"""Arrays to and from libraries that use DLPack, in memory of the CPU."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from actorrt.store.memory.views import private_copy

CPU: Final = 1
"""DLPack's number for this device."""


def from_dlpack(value: Any) -> np.ndarray[Any, Any] | None:
    """Return a value of another library as an array, without a copy; None if it is not an array in CPU memory."""
    if not hasattr(value, "__dlpack__") or value.__dlpack_device__()[0] != CPU:
        return None
    return np.from_dlpack(value)


def exportable(value: Any) -> Any:
    """Return a value that may be given to a library through DLPack, which has no read-only memory.

    An array of the store is mapped privately: only the other library sees its own writes, and only written pages are
    copied.

    Raises:
        TypeError: the value is not an array or tensor.
    """
    if not isinstance(value, np.ndarray):
        if not hasattr(value, "__dlpack__"):
            raise TypeError(f"a {type(value).__name__} is no array: it has no DLPack form")
        return value
    if value.flags.writeable:
        return value
    own = private_copy(value.data) if value.flags.c_contiguous and value.nbytes else None
    return value.copy() if own is None else np.frombuffer(own, value.dtype).reshape(value.shape)
