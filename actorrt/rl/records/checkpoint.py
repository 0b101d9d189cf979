"""Reads and writes checkpoints: trees of plain values and numpy arrays, in the files of `foundation.array_file`.

The roles of a run decide what a checkpoint holds: each returns its state, and takes it back.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from actorrt.rl.foundation.array_file import read_arrays, write_arrays

FILE = "checkpoint"
BEST_FILE = "best.policy"  # the file of the best policy, beside the checkpoint
FORMAT = "actorrt-checkpoint-1"
KIND = "a checkpoint"
ARRAY = "$array"  # an array is replaced by {"$array": its name}


def save(directory: str, tree: dict[str, Any]) -> str:
    """Write a checkpoint into `directory`, in place of the one before; creates the directory if it does not exist.

    A reader sees the old checkpoint or the new one, whole.

    Returns:
        The file's path.

    Raises:
        TypeError: the tree holds something else than dictionaries, lists, plain values and arrays.
    """
    os.makedirs(directory, exist_ok=True)
    arrays: dict[str, Any] = {}
    header = {"format": FORMAT, "tree": _without_arrays(tree, arrays)}
    path = os.path.join(directory, FILE)
    write_arrays(path, header, arrays, is_durable=True)
    return path


def load(directory: str) -> dict[str, Any]:
    """Read the checkpoint in `directory`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is damaged, or is not a checkpoint, or has an unknown format.
    """
    path = os.path.join(directory, FILE)
    try:
        header, arrays = read_arrays(path, KIND)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no checkpoint in {directory}: give the directory of a run") from None
    except ValueError as error:
        raise ValueError(f"{error}; {_next_step(directory)}") from error
    try:
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}; this version reads {FORMAT!r}")
        tree: dict[str, Any] = _with_arrays(header["tree"], arrays)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not {KIND}: {error}; {_next_step(directory)}") from error
    return tree


def _next_step(directory: str) -> str:
    """Say what can be done where the run in a directory can't be resumed."""
    best = os.path.join(directory, BEST_FILE)
    step = "resume another run, or begin a new one"
    return f"{step}, with policy={best!r}, the best policy of this run" if os.path.exists(best) else step


def _without_arrays(value: Any, arrays: dict[str, Any]) -> Any:
    """Return the tree with the names of arrays in their places, and add the arrays to `arrays`."""
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
