"""The daemon and the command line never unpickle, and no module of theirs imports `pickle`.

Modules of others do, and are in these processes: `tracemalloc` of the standard library (to save its snapshots) and
pyzmq (for `recv_pyobj`). So the presence of `pickle` says nothing. The imports by modules of actorrt are watched, and
its functions raise whoever calls them.
"""

from __future__ import annotations

import asyncio
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import actorrt as art
import actorrt.cluster
from actorrt.cli import COMMANDS
from tests.integration.cast import Gate
from tests.running import Node

RUN_CODE_OF_USERS = {"train", "bench"}
TIMEOUT_S = 60


class Value:
    """A value that only pickle can carry."""

    def __init__(self, content: Any) -> None:
        self.content = content


class Thrower(art.Actor):
    def echo(self, value: Value) -> Value:
        return value

    def fail(self, value: Value) -> None:
        raise LookupError(value)


def reported(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text())
    return report


NOTHING: dict[str, Any] = {"importers": [], "uses": []}


async def test_daemon_that_starts_restarts_and_ends_actors_of_users_never_unpickles(tmp_path: Path) -> None:
    path = tmp_path / "report"
    node = Node(str(path), "node", "--cpus=2", module="tests.watched_imports")
    try:
        async with art.Runtime(address=node.url):
            thrower = await Thrower.options(isolation="process", restart="permanent").spawn()
            assert (await thrower.echo(Value([1, 2]))).content == [1, 2]
            with pytest.raises(LookupError):
                await thrower.fail(Value(1))
            gate = await Gate.options(name="gate", isolation="process").spawn()
            watching = art.monitor(gate)
            await gate.kill()
            assert (await watching).reason.kind is art.ExitKind.KILLED
            commands = sorted({*COMMANDS} - RUN_CODE_OF_USERS - {"node", "down"})
            reports = [await asyncio.to_thread(command, tmp_path, name, node.url) for name in commands]
        assert reports == [NOTHING] * len(commands)
        assert await asyncio.to_thread(command, tmp_path, "down", node.url) == NOTHING
    finally:
        assert node.end() == 0
    assert reported(path) == NOTHING


def command(tmp_path: Path, name: str, url: str) -> dict[str, Any]:
    """Run a command of `actorrt`, and return what it did with pickle; it may fail, as `token` does beside a cluster."""
    path = tmp_path / f"report of {name}"
    arguments = [sys.executable, "-m", "tests.watched_imports", str(path), "command", name, "--address", url]
    subprocess.run(arguments, check=False, capture_output=True, timeout=TIMEOUT_S)
    return reported(path)


def test_no_module_of_the_cluster_imports_pickle() -> None:
    names = [module.name for module in pkgutil.walk_packages(actorrt.cluster.__path__, "actorrt.cluster.")]
    assert len(names) > 20
    program = (
        "import builtins, json, sys; from tests import watched_imports as watched; "
        "builtins.__import__ = watched.watched_import; import importlib; "
        f"[importlib.import_module(name) for name in {names!r}]; "
        "print(json.dumps(sorted(watched.importers)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=TIMEOUT_S)
    assert json.loads(done.stdout) == []
