"""Nodes of a cluster on this machine, each with directories of its own, as if each had a machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from actorrt.cluster.security.state_directory import IDENTITY
from actorrt.node.daemon.node_directory import DESCRIPTOR

UP_TIMEOUT_S = 30.0
END_TIMEOUT_S = 15.0


class Machine:
    """A place for one node at a time: its runtime directory and its state directory.

    Args:
        path: where the directories are made.
        name: of the machine.
        prefix: what is written before each command, such as `ip netns exec HOST`; it must not change process ids.
    """

    def __init__(self, path: Path, name: str, prefix: Sequence[str] = ()) -> None:
        self.prefix = prefix
        self.runtime = path / name
        self.state = path / f"{name}-state"
        self.log = path / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "ACTORRT_RUNTIME_DIR": str(self.runtime)}

    def start(self, *options: str, prefix: Sequence[str] = (), folder: Path | None = None) -> None:
        """Start a node; return when it is up.

        Args:
            *options: of `actorrt node`.
            prefix: a command that runs the node.
            folder: where it starts; None: where the tests run.
        """
        node = [sys.executable, "-m", "actorrt.cli", "node", "--cpus=2", f"--state-dir={self.state}", *options]
        command = [*self.prefix, *prefix, *node]
        before = self._nodes()  # of a node that was killed
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self.environment, cwd=folder, stdout=log, stderr=log)
        end = time.monotonic() + UP_TIMEOUT_S
        while not self._nodes() - before:
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)  # polling interval, since a node that has not started can't notify us

    def _nodes(self) -> set[Path]:
        return {*self.runtime.glob(f"*/{DESCRIPTOR}")}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `actorrt` with these arguments on the machine."""
        command = [*self.prefix, sys.executable, "-m", "actorrt.cli", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)

    @property
    def pid(self) -> int:
        """The process id of the daemon, which runs."""
        assert self._process is not None
        return self._process.pid

    def node(self) -> str:
        """Return the id of the node, which has started."""
        identity = json.loads((self.state / IDENTITY).read_text())
        return str(identity["node"])

    def token(self, *options: str) -> str:
        """Return a token by which other machines join."""
        made = self.command("token", *options)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def kill(self) -> None:
        """End the node without notice."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(END_TIMEOUT_S)
        self._process = None
        self.command("status")  # removes what a killed node leaves

    def end(self) -> None:
        """Kill the node if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(END_TIMEOUT_S)

    def stop(self) -> int:
        """End the node in order; return its exit status. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


@contextmanager
def machines_in_a_short_place(
    *names: str, prefixes: Mapping[str, Sequence[str]] | None = None
) -> Iterator[Sequence[Machine]]:
    """Make machines in a directory with a short name, as the names of sockets have to be.

    Args:
        names: of the machines.
        prefixes: what is written before the commands of a machine, by its name.

    At the end their nodes are stopped, those that were made last first, and must leave nothing behind.
    """
    path = Path(tempfile.mkdtemp(prefix="art-"))
    machines = [Machine(path, name, (prefixes or {}).get(name, ())) for name in names]
    try:
        yield machines
        assert [one.stop() for one in reversed(machines)] == [0] * len(machines)
        assert [left for one in machines for left in one.runtime.glob("*") if left.name != "state"] == []
    finally:
        for one in machines:
            one.end()
        shutil.rmtree(path)
