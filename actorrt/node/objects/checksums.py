"""Pure: the checksum of a chunk, computed about as fast as the chunk can be read.

The chunk is read as words of 32 bits in rows of 16,384. Its checksum is the sum of all words modulo 2^64, each times
the weights of its column and of its row; a short last row is filled with zeros. The weights are odd, pseudo-random, and
the same on every node. So the change of one word is always detected, and any other change is missed with a probability
below 10^-8. It is a multilinear hash: Lemire and Kaser, "Strongly universal string hashing is fast", The Computer
Journal 57 (2014). Why not CRC-32: `docs/decisions/0019-checksums-of-chunks.md`.
"""

from __future__ import annotations

from functools import cache
from hashlib import shake_128
from typing import TYPE_CHECKING, Final

from actorrt.config import MAX_FRAME_BYTES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    _Words = npt.NDArray[np.uint64]

_COLUMNS_COUNT: Final = 8192  # of two words each
_ROW_BYTES: Final = 8 * _COLUMNS_COUNT
_ROWS_AT_ONCE: Final = 4  # few, so that intermediate results stay in the cache


def _weights(name: bytes, count: int) -> _Words:
    """Return odd pseudo-random numbers, the same on every node."""
    import numpy as np

    return np.frombuffer(shake_128(name).digest(8 * count), np.uint64) | np.uint64(1)


@cache
def _tables() -> tuple[_Words, _Words, _Words]:
    """Return the weights of rows, those of both words of a column, and those added for the upper word.

    A lower word has the weight of the second table; an upper word has 2^32 times that, plus the weight of the third.
    The tables are made at their first use, since most nodes exchange no objects.
    """
    return (
        _weights(b"rows", MAX_FRAME_BYTES // _ROW_BYTES),
        _weights(b"both words", _COLUMNS_COUNT),
        _weights(b"upper words", _COLUMNS_COUNT),
    )


def checksum(chunk: memoryview) -> int:
    """Return the checksum of a chunk. Most of the computation releases the interpreter lock."""
    import numpy as np

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
    import numpy as np

    weights, both, more = _tables()
    upper = np.right_shift(rows, np.uint64(32), out=room[: len(rows)])
    return int((rows.dot(both) + upper.dot(more)).dot(weights[first : first + len(rows)]))
