"""Finds resources that a test leaves behind: threads, processes, descriptors, shared memory, files.

A `Footprint` records the resources that exist, and later returns those that have been added since. They are read from
the operating system, so nothing has to register and nothing is missed. Tasks are not included: only their loop knows
them.
"""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from actorrt.machine.clock import Clock, MonotonicClock

MARK = "ACTORRT_TEST_MARK"
"""The environment variable that marks descendants, so that orphans are found too. Set it before any process starts."""

_POLL_S = 0.01
_COLLECT_EVERY_S = 0.5
_HELD_BY_OBJECTS = {"thread", "descriptor", "shared memory", "file"}
_OF_MULTIPROCESSING = "sem.mp-"
"""Semaphores of Python's multiprocessing. The runtime has none: those are of other programs on the machine."""
_OPENED_LAZILY = ("/dev/null", "/dev/urandom", "/dev/random", "/proc/", "/sys/")


class Resource(NamedTuple):
    """One resource: its kind, its identity among resources of that kind, and its name for people."""

    kind: str
    identity: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Footprint:
    """The resources that this process and its descendants hold when this is made.

    Args:
        directories: files in these directories count too, at any depth.
        mark: the value of the variable `MARK` in the descendants' environment; None finds only descendants whose
            parents live.
    """

    def __init__(self, directories: Iterable[Path] = (), mark: str | None = None) -> None:
        self._directories = [*directories, Path("/dev/shm")]
        self._mark = mark
        self._processes_seen = set(_process_ids())
        self._before = Counter(self._now())

    def left(self) -> list[Resource]:
        """Return the resources that exist now and did not exist when this was made, in a stable order."""
        return sorted((Counter(self._now()) - self._before).elements())

    def wait_until_gone(self, timeout_s: float, clock: Clock | None = None) -> list[Resource]:
        """Wait up to `timeout_s` until no such resource is left; return those that are still left."""
        clock = clock or MonotonicClock()
        now = collect_at = clock.now()
        deadline = now + timeout_s
        left = self.left()
        while left and now < deadline:
            # Resources of garbage objects are not left behind. A collection takes long in a process of many tests.
            if now >= collect_at and any(resource.kind in _HELD_BY_OBJECTS for resource in left):
                gc.collect()
                collect_at = clock.now() + _COLLECT_EVERY_S
            else:
                threading.Event().wait(_POLL_S)
            left = self.left()
            now = clock.now()
        return left

    def _now(self) -> Iterator[Resource]:
        yield from _threads()
        yield from self._processes()
        yield from _descriptors()
        yield from _mappings()
        for directory in self._directories:
            yield from _entries(directory)

    def _processes(self) -> Iterator[Resource]:
        family = set(_descendants(os.getpid()))
        if self._mark is not None:
            strangers = set(_process_ids()) - self._processes_seen - family
            family |= {pid for pid in strangers if _carries_mark(pid, self._mark)}
        for pid in family:
            yield Resource("process", f"{pid}", f"{pid}: {_command(pid)}")


def _threads() -> Iterator[Resource]:
    for thread in threading.enumerate():
        yield Resource("thread", f"{thread.ident}", f"{thread.name!r}")


def _descriptors() -> Iterator[Resource]:
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
        if not target.startswith(_OPENED_LAZILY):
            yield Resource("descriptor", target, target)


def _mappings() -> Iterator[Resource]:
    for line in _read("/proc/self/maps").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/memfd:"):
            yield Resource("shared memory", f"{fields[4]} {fields[5]}", fields[5])


def _entries(directory: Path) -> Iterator[Resource]:
    for path in directory.rglob("*"):
        if not path.name.startswith(_OF_MULTIPROCESSING):
            yield Resource("file", str(path), str(path))


def _process_ids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _descendants(pid: int) -> Iterator[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, _read(children).split()):
            yield child
            yield from _descendants(child)


def _carries_mark(pid: int, mark: str) -> bool:
    return f"{MARK}={mark}" in _read(f"/proc/{pid}/environ").split("\0")


def _command(pid: int) -> str:
    command = _read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
    return command or f"[{_read(f'/proc/{pid}/comm').strip() or 'gone'}]"


def _read(path: str | Path) -> str:
    """Return a file's text; "" if the process has ended, or belongs to another user."""
    try:
        return Path(path).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
