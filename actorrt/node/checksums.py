"""Pure: the checksum of a chunk, made about as fast as the chunk can be read.

The chunk is taken as words of 32 bits in rows of 16,384. Its checksum is the sum of all words modulo 2^64, each times
the weight of its column and that of its row; a short last row ends in zeros. Weights are odd and as good as drawn by
chance, the same everywhere. So one word that changed always shows, and any other change is missed with a probability
below 10^-8. It is a multilinear hash: Lemire and Kaser, "Strongly universal string hashing is fast", The Computer
Journal 57 (2014). Why not CRC-32: `docs/decisions/0019-checksums-of-chunks.md`.
"""

from __future__ import annotations

from hashlib import shake_128
from typing import Final

import numpy as np
import numpy.typing as npt

from actorrt.config import MAX_FRAME_BYTES

_Words = npt.NDArray[np.uint64]

_COLUMNS_COUNT: Final = 8192  # of two words each
_ROW_BYTES: Final = 8 * _COLUMNS_COUNT
_ROWS_AT_ONCE: Final = 4  # what is made of them on the way stays in the cache
_UPPER: Final = np.uint64(32)


def _weights(name: bytes, count: int) -> _Words:
    """Return odd numbers that are the same everywhere and look drawn by chance."""
    return np.frombuffer(shake_128(name).digest(8 * count), np.uint64) | np.uint64(1)


_ROWS: Final = _weights(b"rows", MAX_FRAME_BYTES // _ROW_BYTES)
_BOTH: Final = _weights(b"both words", _COLUMNS_COUNT)
"""Weights of lower words, and of upper ones 2^32 times as much, to which `_MORE` is added."""
_MORE: Final = _weights(b"upper words", _COLUMNS_COUNT)


def checksum(chunk: memoryview) -> int:
    """Return the checksum of a chunk; most of the time without the interpreter lock."""
    whole_bytes = chunk.nbytes - chunk.nbytes % _ROW_BYTES
    rows = np.frombuffer(chunk[:whole_bytes], np.uint64).reshape(-1, _COLUMNS_COUNT)
    total = 0
    upper = np.empty((_ROWS_AT_ONCE, _COLUMNS_COUNT), np.uint64)
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        total += _sum(rows[first : first + _ROWS_AT_ONCE], first, upper)
    if whole_bytes < chunk.nbytes:
        last = np.zeros(_ROW_BYTES, np.uint8)
        last[: chunk.nbytes - whole_bytes] = chunk[whole_bytes:]
        total += _sum(last.view(np.uint64).reshape(1, _COLUMNS_COUNT), len(rows), upper)
    return total & 0xFFFF_FFFF_FFFF_FFFF


def _sum(rows: _Words, first: int, room: _Words) -> int:
    upper = np.right_shift(rows, _UPPER, out=room[: len(rows)])
    return int((rows.dot(_BOTH) + upper.dot(_MORE)).dot(_ROWS[first : first + len(rows)]))
