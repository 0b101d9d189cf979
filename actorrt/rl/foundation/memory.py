"""Tells the allocator of the process what to do with freed memory."""

from __future__ import annotations

import ctypes
import os
from typing import Final

# Parameters of mallopt(3).
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_UNLIMITED: Final = (1 << 31) - 1
_LARGEST_BYTES: Final = 1 << 30


def keep_freed_memory() -> None:
    """Have the allocator keep large blocks when they are freed, for the next ones; only glibc's does.

    A learner allocates and frees the same tens of megabytes in each pass. By default glibc gives them back to the
    kernel, which clears each page when it is touched again: a fifth of the time of a pass over images.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
        mallopt(_TRIM_THRESHOLD, _UNLIMITED)


def memory_bytes() -> int:
    """Return the machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
