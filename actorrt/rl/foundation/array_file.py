"""Reads and writes files of arrays: a zip of numpy arrays and a JSON header, so that nothing runs when a file is read.

What the header says is up to the formats: policies are in `policies.policy_file`, checkpoints in `records.checkpoint`.
Neither format names a module or a class, so files stay readable when code moves.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import struct
import zlib
from collections.abc import Mapping
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

HEADER = "header"
UNREADABLE = (
    *(ValueError, TypeError, KeyError, EOFError, AttributeError, OverflowError, OSError, struct.error, zlib.error),
    *(RuntimeError, BadZipFile),  # RuntimeError: the archive says that it is encrypted, or of an unknown form
)
"""What `zipfile` and NumPy raise for files that are damaged."""


def write_arrays(
    path: str | os.PathLike[str], header: Mapping[str, Any], arrays: Mapping[str, Any], *, is_durable: bool = False
) -> None:
    """Write a file in place of the one before; a reader sees the old file or the new one, whole.

    Args:
        path: of the file. `path` with the suffix `.partial` is written first.
        header: plain values, which become JSON.
        arrays: arrays by name; none is called `header`.
        is_durable: whether the file is on the disk when this returns, so that it outlives a loss of power.

    Raises:
        TypeError: the header holds something else than plain values.
        OSError: the file can't be written. The file before stays in each case, and nothing else is left.
    """
    members: dict[str, Any] = {HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays}
    partial = f"{os.fspath(path)}.partial"
    try:
        with open(partial, "wb") as file:
            np.savez(file, **members)
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:  # the disk may be full
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def read_arrays(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `write_arrays` wrote.

    Args:
        path: of the file.
        kind: what the file should be, for the error's text, such as `"a checkpoint"`.

    Returns:
        The header, and the other arrays by name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no file of arrays.
    """
    try:
        with open(path, "rb") as file:
            if not is_zipfile(file):  # NumPy would take such a file for a pickle, and advise to load it unsafely
                raise ValueError("it is no archive of arrays")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        return dict(json.loads(arrays.pop(HEADER).tobytes())), arrays
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a place before the file's beginning
            raise
        raise ValueError(f"{path} is not {kind}: {error}") from error
