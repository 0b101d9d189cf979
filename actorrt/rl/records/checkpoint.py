"""Reads and writes checkpoints: trees of plain values and numpy arrays, nothing that runs when read.

What a checkpoint holds is up to the roles of a run: each says what its state is, and takes it back.
"""

from __future__ import annotations

import json
import os
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np

FILE = "checkpoint"
FORMAT = "actorrt-checkpoint-1"
ARRAY = "$array"  # in the place of an array: {"$array": its name}


def save(directory: str, tree: dict[str, Any]) -> str:
    """Write a checkpoint into `directory`, which is made if need be, in place of the one before.

    Whoever reads meanwhile sees the old one or the new one, whole.

    Returns:
        The file's path.

    Raises:
        TypeError: the tree holds something else than dictionaries, lists, plain values and arrays.
    """
    os.makedirs(directory, exist_ok=True)
    arrays: dict[str, Any] = {}
    header = json.dumps({"format": FORMAT, "tree": _without_arrays(tree, arrays)})
    path = os.path.join(directory, FILE)
    with open(f"{path}.partial", "wb") as file:
        np.savez(file, header=np.frombuffer(header.encode(), np.uint8), **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.partial", path)
    return path


def load(directory: str) -> dict[str, Any]:
    """Read the checkpoint in `directory`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: what is there is no checkpoint, or one of a format unknown here.
    """
    path = os.path.join(directory, FILE)
    try:
        with open(path, "rb") as file:
            if not is_zipfile(file):  # which NumPy would take for a pickle, and advise to load unsafely
                raise ValueError("it is no archive of arrays")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        header = json.loads(arrays["header"].tobytes())
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}; this version reads {FORMAT!r}")
        tree: dict[str, Any] = _with_arrays(header["tree"], arrays)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no checkpoint in {directory}: give the directory of a run") from None
    except (ValueError, KeyError, EOFError, AttributeError, BadZipFile) as error:
        raise ValueError(f"{path} is not a checkpoint: {error}") from error
    return tree


def _without_arrays(value: Any, arrays: dict[str, Any]) -> Any:
    """Return the tree with arrays named, and put those under their names."""
    if isinstance(value, dict):
        return {name: _without_arrays(part, arrays) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(part, arrays) for part in value]
    if isinstance(value, np.ndarray):
        name = f"array_{len(arrays)}"
        arrays[name] = value
        return {ARRAY: name}
    return value.item() if isinstance(value, np.generic) else value


def _with_arrays(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        if ARRAY in value:
            return arrays[value[ARRAY]]
        return {name: _with_arrays(part, arrays) for name, part in value.items()}
    return [_with_arrays(part, arrays) for part in value] if isinstance(value, list) else value
