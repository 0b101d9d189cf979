"""Runs a command or a node, and reports which modules of actorrt import `pickle` in its process, and what it uses.

The arguments are the file for the report, `node` or `command`, and the arguments of either. Processes that are forked
or started are not watched: workers run the code of users, and unpickle.
"""

from __future__ import annotations

import atexit
import builtins
import json
import os
import sys
from typing import Any

PICKLES = {"pickle", "_pickle", "cloudpickle", "dill", "shelve", "marshal"}
importers: set[str] = set()
uses: set[str] = set()
_import = builtins.__import__


def watched_import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    importer = str((globals or {}).get("__name__"))
    if level == 0 and name.partition(".")[0] in PICKLES and importer.startswith("actorrt"):
        importers.add(f"{importer} imports {name}")
    return _import(name, globals, locals, fromlist, level)


def forbid(module: Any, name: str) -> None:
    def used(*_: Any, **__: Any) -> Any:
        uses.add(f"{module.__name__}.{name}")
        raise RuntimeError(f"{module.__name__}.{name} is used in a process that never unpickles")

    setattr(module, name, used)


def report(path: str, pid: int) -> None:
    if os.getpid() == pid:  # and not a child that was forked
        with open(path, "w") as file:
            json.dump({"importers": sorted(importers), "uses": sorted(uses)}, file)


if __name__ == "__main__":
    _, report_path, kind, *arguments = sys.argv
    builtins.__import__ = watched_import
    import _pickle
    import pickle

    for module in (pickle, _pickle):
        for name in ("loads", "load", "Unpickler", "dumps", "dump", "Pickler"):
            forbid(module, name)
    atexit.register(report, report_path, os.getpid())
    if kind == "node":
        from actorrt.node.daemon.boot import main as run_node
        from actorrt.node.daemon.boot import parse

        sys.exit(run_node(parse(arguments)))
    from actorrt.cli import main as run_command

    sys.exit(run_command(arguments))
