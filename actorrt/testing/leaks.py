"""Finds what a test leaves behind: threads, processes, descriptors, shared memory, files.

A `Footprint` notes what exists; later it returns what has been added since. Everything is read from the operating
system, so that nothing has to register and nothing is missed. Tasks are not included: only their loop knows them.
"""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from actorrt.clock import Clock, MonotonicClock

MARK = "ACTORRT_TEST_MARK"
"""The environment variable that marks descendants, so that orphans are found too. Set it before any process starts."""

_POLL_S = 0.01
_COLLECT_EVERY_S = 0.5
_HELD_BY_OBJECTS = {"thread", "descriptor", "shared memory", "file"}
_OPENED_LAZILY = ("/dev/null", "/dev/urandom", "/dev/random", "/proc/", "/sys/")


class Thing(NamedTuple):
    """One thing that can be left behind: its kind, its identity among things of that kind, and its name for people."""

    kind: str
    identity: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Footprint:
    """What this process and its descendants hold when this is made.

    Args:
        directories: their entries count too, at any depth.
        mark: the value of the variable `MARK` in the descendants' environment; None finds only descendants whose
            parents live.
    """

    def __init__(self, directories: Iterable[Path] = (), mark: str | None = None) -> None:
        self._directories = [*directories, Path("/dev/shm")]
        self._mark = mark
        self._processes_seen = set(_process_ids())
        self._before = Counter(self._now())

    def left(self) -> list[Thing]:
        """Return the things that exist now and did not when this was made, in a stable order."""
        return sorted((Counter(self._now()) - self._before).elements())

    def wait_until_gone(self, timeout_s: float, clock: Clock | None = None) -> list[Thing]:
        """Wait up to `timeout_s` until nothing is left; return what is still left."""
        clock = clock or MonotonicClock()
        now = collect_at = clock.now()
        deadline = now + timeout_s
        left = self.left()
        while left and now < deadline:
            # Objects in a cycle of garbage are not left behind. A collection takes long in a process of many tests.
            if now >= collect_at and any(thing.kind in _HELD_BY_OBJECTS for thing in left):
                gc.collect()
                collect_at = clock.now() + _COLLECT_EVERY_S
            else:
                threading.Event().wait(_POLL_S)
            left = self.left()
            now = clock.now()
        return left

    def _now(self) -> Iterator[Thing]:
        yield from _threads()
        yield from self._processes()
        yield from _descriptors()
        yield from _mappings()
        for directory in self._directories:
            yield from _entries(directory)

    def _processes(self) -> Iterator[Thing]:
        family = set(_descendants(os.getpid()))
        if self._mark is not None:
            strangers = set(_process_ids()) - self._processes_seen - family
            family |= {pid for pid in strangers if _carries_mark(pid, self._mark)}
        for pid in family:
            yield Thing("process", f"{pid}", f"{pid}: {_command(pid)}")


def _threads() -> Iterator[Thing]:
    for thread in threading.enumerate():
        yield Thing("thread", f"{thread.ident}", f"{thread.name!r}")


def _descriptors() -> Iterator[Thing]:
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
        if not target.startswith(_OPENED_LAZILY):
            yield Thing("descriptor", target, target)


def _mappings() -> Iterator[Thing]:
    for line in _read("/proc/self/maps").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/memfd:"):
            yield Thing("shared memory", f"{fields[4]} {fields[5]}", fields[5])


def _entries(directory: Path) -> Iterator[Thing]:
    for path in directory.rglob("*"):
        yield Thing("file", str(path), str(path))


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
    """Return a file's text, or "": a process may end at any moment, and those of other users can't be read."""
    try:
        return Path(path).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
