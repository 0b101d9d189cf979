"""Views of objects in the store: read-only views that pin their object, and private copies that can be written.

A module of its own: it needs numpy, and the daemon imports `mappings` without it.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from actorrt.ids import ObjectId
from actorrt.store.memory.addresses import address
from actorrt.store.memory.mappings import Mapping, Pin


class _PinnedBytes(np.ndarray[Any, Any]):
    """Bytes whose pin ends with their last view.

    Every view through the buffer protocol refers to its exporter, so this object lives exactly as long as its views.
    It must lie on the mapping itself: if its base were an array, numpy would let views refer to that array instead.
    """

    pin: Pin | None = None
    shared: memoryview | None = None

    def __array_finalize__(self, obj: object) -> None:
        self.pin = self.shared = None


def place_in_store(view: memoryview) -> tuple[ObjectId, int] | None:
    """Return the sealed object that a view lies in, and its offset there; None if the bytes may change."""
    owner = _owner(view)
    if owner is None or owner.pin is None:
        return None
    return owner.pin.object_id, address(view) - int(owner.ctypes.data)


def _owner(view: memoryview) -> _PinnedBytes | None:
    owner: Any = view.obj
    while owner is not None and not isinstance(owner, _PinnedBytes):
        owner = getattr(owner, "obj", None) if isinstance(owner, memoryview) else getattr(owner, "base", None)
    return owner


def private_copy(view: memoryview) -> memoryview | None:
    """Return writable memory with the bytes of a view of the store; pages are copied when they are written.

    Returns:
        None if the view does not lie in the store, or can't be mapped once more.
    """
    owner = _owner(view)
    mapped: Any = owner.base if owner is not None else None
    if isinstance(mapped, memoryview):
        mapped = mapped.obj
    if not isinstance(mapped, Mapping) or mapped.descriptor < 0:
        return None
    offset = address(view) - address(memoryview(mapped))
    start = offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
    length = offset - start + view.nbytes
    prot = mmap.PROT_READ | mmap.PROT_WRITE
    try:
        own = mmap.mmap(mapped.descriptor, length, flags=mmap.MAP_PRIVATE, prot=prot, offset=start)
    except OSError:  # too many mappings, or no address space
        return None
    array = _PinnedBytes(view.nbytes, np.uint8, memoryview(own)[offset - start :])
    array.shared = view  # pages that are not written yet are the object's: its bytes must stay
    return array.data


def pinned_view(view: memoryview, pin: Pin) -> memoryview:
    """Return a read-only view of the same bytes that keeps `pin` as long as it or any view of it lives."""
    array = _PinnedBytes(len(view), np.uint8, view.toreadonly())
    array.pin = pin
    return array.data
