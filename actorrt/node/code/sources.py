"""Finds the source of a module in an import path that belongs to another process, and imports nothing.

The daemon of the driver's node looks here on behalf of workers elsewhere. It never runs the code that it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, ModuleSpec, PathFinder
from typing import Final

from actorrt.config import MIB
from actorrt.machine.disk import Disk
from actorrt.protocol.cluster.code import ModuleText

MAX_SOURCE_BYTES: Final = 4 * MIB
"""The longest source that travels. Longer ones are generated data, which belong into a file or an object."""
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


def find_module(name: str, path: Sequence[str], disk: Disk) -> ModuleText | None:
    """Return a module that is found in an import path; None if there is none. It blocks, so it runs in a thread.

    Args:
        name: the full name of the module.
        path: the import path, whose entries are absolute.
        disk: reads the file.
    """
    spec: ModuleSpec | None = None
    within: Sequence[str] = path
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:count]), list(within))
        if spec is None:
            return None
        within = list(spec.submodule_search_locations or ())
    if spec is None:
        return None
    origin = spec.origin if spec.has_location and spec.origin is not None else ""
    return ModuleText(
        origin=origin,
        source=_source(origin, disk),
        is_package=spec.submodule_search_locations is not None,
        is_installed=is_installed(origin or next(iter(within), "")),
    )


def is_installed(path: str) -> bool:
    """Return whether a file or folder lies among installed packages."""
    return not _INSTALLED.isdisjoint(path.split("/"))


def _source(origin: str, disk: Disk) -> bytes | None:
    if not origin.endswith(tuple(SOURCE_SUFFIXES)):
        return None
    try:
        source = bytes(disk.read(origin))
    except OSError:  # it went since it was found
        return None
    return source if len(source) <= MAX_SOURCE_BYTES else None
