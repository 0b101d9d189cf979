"""Nodes and scripts as processes of their own, and waiting for what they do: what tests of the whole runtime start."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from actorrt.node.daemon.node_directory import DESCRIPTOR, NodeDescriptor, find_nodes
from actorrt.node.inspect.inquiry import inquire
from actorrt.protocol.authorities import CheckInvariants

ROOT = Path(__file__).parents[1]
PATIENCE_S = 20.0
_POLL_S = 0.005

T = TypeVar("T")


def wait_until(is_so: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Wait until `is_so()` is true, and return what it gave; fail the test if it takes too long."""
    deadline = time.monotonic() + within_s
    while not (found := is_so()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        threading.Event().wait(_POLL_S)
    return found


async def wait_for_answer(
    ask: Callable[[], Awaitable[T]], is_right: Callable[[T], object], what: str, within_s: float = PATIENCE_S
) -> T:
    """Ask again and again until the answer is right, and return it; fail the test if it takes too long."""
    deadline = time.monotonic() + within_s
    while not is_right(answer := await ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}; the last answer was {answer!r}")
        await asyncio.sleep(_POLL_S)
    return answer


def growing_timeouts(first_s: float) -> Iterator[float]:
    """Yield deadlines for a call that is to have begun when its deadline passes; a busy machine needs a longer one."""
    yield from (first_s, first_s * 10, first_s * 50)
    raise AssertionError("no call has begun before its deadline")


def state_of(pid: int) -> str:
    """Return the kernel's letter for a process's state, `X` where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def is_running(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    return state_of(pid) not in "ZX"


def wait_until_none_runs(pids: Sequence[int], within_s: float) -> None:
    """Wait for the end of every process."""
    wait_until(lambda: not any(map(is_running, pids)), f"the end of {[p for p in pids if is_running(p)]}", within_s)


def children_of(pid: int) -> list[int]:
    """Return the children of a process, of all its threads."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, path.read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def descendants_of(pid: int) -> list[int]:
    """Return the children of a process, and theirs."""
    found = []
    for child in children_of(pid):
        found += [child, *descendants_of(child)]
    return found


class Node:
    """A node of its own, as `actorrt node` starts it.

    Args:
        directory: its runtime directory; None: the one of these tests.
        arguments: of the command.
        module: what runs it.
    """

    def __init__(self, *arguments: str, directory: Path | None = None, module: str = "actorrt.node") -> None:
        self._environment = dict(os.environ)
        if directory is not None:
            self._environment["ACTORRT_RUNTIME_DIR"] = str(directory)
        self._directory = Path(self._environment["ACTORRT_RUNTIME_DIR"])
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
        )
        self.descriptor: NodeDescriptor = wait_until(self._find, "the node is up")

    def _find(self) -> NodeDescriptor | None:
        assert self.process.poll() is None, f"the node ended with status {self.process.returncode}"
        if not any(self._directory.glob(f"*/{DESCRIPTOR}")):
            return None
        with runtime_directory(self._directory):
            return next((node for node in find_nodes() if node.pid == self.process.pid), None)

    @property
    def url(self) -> str:
        return self.descriptor.url

    @property
    def pid(self) -> int:
        return self.process.pid

    def check_invariants(self) -> None:
        """Raise an error with the story of what contradicts itself in the node, its store or one of its workers."""
        asyncio.run(inquire(self.descriptor, CheckInvariants()))

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def runtime_directory(path: Path) -> Iterator[Path]:
    """Let this process look for nodes in another directory."""
    before = os.environ["ACTORRT_RUNTIME_DIR"]
    os.environ["ACTORRT_RUNTIME_DIR"] = str(path)
    try:
        yield path
    finally:
        os.environ["ACTORRT_RUNTIME_DIR"] = before


@contextmanager
def own_directory() -> Iterator[Path]:
    """A runtime directory apart, short enough for sockets; it must be empty in the end."""
    path = Path(tempfile.mkdtemp(prefix="art-"))
    try:
        yield path
        left = sorted(str(entry.relative_to(path)) for entry in path.rglob("*"))
        assert left == [], f"left in the runtime directory: {left}"
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Script:
    """A Python script in a process of its own, its output read line by line.

    Args:
        code: its text.
        folder: where it lies and runs.
        directory: its runtime directory; None: the one of these tests.
        **variables: added to its environment.
    """

    def __init__(self, code: str, folder: Path, directory: Path | None = None, **variables: str) -> None:
        path = folder / "script.py"
        path.write_text(textwrap.dedent(code))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **variables}
        if directory is not None:
            environment["ACTORRT_RUNTIME_DIR"] = str(directory)
        self.process = subprocess.Popen(
            [sys.executable, str(path)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.output = self.stderr = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> str:
        """Return its next line of standard output, without the newline."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        if not text:
            self.finish()
            raise AssertionError(f"the script ended with status {self.process.returncode}:\n{self.stderr}")
        return text.rstrip("\n")

    def send(self, number: int) -> None:
        """Send a signal to it alone."""
        self.process.send_signal(number)

    def interrupt(self) -> None:
        """Press Ctrl-C: SIGINT to its whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def finish(self, within_s: float = PATIENCE_S) -> str:
        """Wait for its end, and return the rest of its standard output; its errors are in `stderr`."""
        try:
            rest, self.stderr = self.process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            rest, self.stderr = self.process.communicate()
            raise AssertionError(f"the script hangs:\n{rest}\n{self.stderr}") from None
        return rest

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def run_script(
    code: str, folder: Path, directory: Path | None = None, within_s: float = PATIENCE_S, **variables: str
) -> Script:
    """Run a script to its end; what it printed is in `output`."""
    with Script(code, folder, directory, **variables) as script:
        script.output = script.finish(within_s)
    return script
