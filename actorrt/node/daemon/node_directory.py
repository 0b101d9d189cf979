"""The directories of nodes: their sockets, and the files by which other processes of this machine find nodes.

A node has a private directory below the runtime directory. The directory contains the sockets of the node's processes;
`lock`, which marks the directory as a node's and is locked as long as the node lives; and `node.json`, which says how
to reach the node, once it is up. When a node has died, the next process that searches for nodes removes its directory.

Invariants: a directory is removed only if a node of this user made it and that node is dead. No mode is changed. A file
gets its name when it is complete, and `lock` only when it is locked. So a `lock` that is not locked belongs to a dead
node, never to a node that is starting.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

DESCRIPTOR: Final = "node.json"
LOCK: Final = "lock"
VARIABLE: Final = "ACTORRT_RUNTIME_DIR"
_MARK: Final = b"an actorrt node keeps its sockets in this directory\n"
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class NodeDescriptor:
    """The description of a node that is up: how processes reach it.

    Attributes:
        peer: its endpoint's id, in hex.
        address: its endpoint's address, for processes of this machine and user.
        store: the socket of its object store.
        url: its URL, by which users name it.
        pid: the process of its daemon.
        is_embedded: whether it belongs to one driver.
        owner_pid: the process of that driver; 0 for a standalone node.
        cluster: the id of its cluster, in hex; an empty text if it is in none.
    """

    peer: str
    address: str
    store: str
    url: str
    pid: int
    is_embedded: bool
    owner_pid: int = 0
    cluster: str = ""


def runtime_directory() -> Path:
    """Return the directory of this user's nodes. Make it if there is none; do not change an existing one.

    Raises:
        PermissionError: it belongs to another user, or other users may replace its entries.
        NotADirectoryError: its path names something else.
    """
    given = os.environ.get(VARIABLE)
    if given:
        path = Path(given).absolute()
    elif os.environ.get("XDG_RUNTIME_DIR"):
        path = Path(os.environ["XDG_RUNTIME_DIR"]) / "actorrt"
    else:
        path = Path(tempfile.gettempdir()) / f"actorrt-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        # The default name may be another user's symbolic link, which is refused.
        _check(path, path.stat() if given else path.lstat())
    return path


def _check(path: Path, status: os.stat_result) -> None:
    """Refuse a directory whose entries other users may replace. In a sticky one, such as /tmp, they can't."""
    other = f"set {VARIABLE} to a directory of your own; it is made if there is none"
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{path} is not a directory, so it can't have the directories of nodes: {other}")
    is_sticky = bool(status.st_mode & stat.S_ISVTX)
    if status.st_uid != os.getuid() and not (status.st_uid == 0 and is_sticky):
        raise PermissionError(f"{path} belongs to another user: {other}")
    if status.st_mode & _WRITABLE_BY_OTHERS and not is_sticky:
        raise PermissionError(f"others may write to {path}: chmod go-w it, or {other}")


class NodeDirectory:
    """The directory of one node, made by the constructor and removed by `remove`."""

    def __init__(self, name: str) -> None:
        self.path = runtime_directory() / name
        self.path.mkdir(mode=0o700)
        self._lock = _write_whole(self.path / LOCK, _MARK, is_locked=True)

    def publish(self, descriptor: NodeDescriptor) -> None:
        """Write `node.json`, so that other processes find the node."""
        os.close(_write_whole(self.path / DESCRIPTOR, json.dumps(asdict(descriptor)).encode()))

    def remove(self) -> None:
        """Remove the directory with its contents. Idempotent."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def _write_whole(path: Path, content: bytes, *, is_locked: bool = False) -> int:
    """Make a file that gets its name when it is complete, and locked if `is_locked`; return its descriptor."""
    unseen = path.with_name(f".{path.name}")
    fd = os.open(unseen, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.write(fd, content)
    if is_locked:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    unseen.rename(path)
    return fd


def find_nodes() -> list[NodeDescriptor]:
    """Return the live nodes of this user on this machine, newest first; remove the directories of dead ones."""
    with os.scandir(runtime_directory()) as entries:
        found = [_inspect(Path(entry.path)) for entry in entries]
    alive = [(when, descriptor) for when, descriptor in filter(None, found)]
    return [descriptor for _, descriptor in sorted(alive, key=lambda node: node[0], reverse=True)]


def remove_leftovers(directory: Path) -> None:
    """Remove a node's directory, if the node is dead."""
    _inspect(directory)


def _inspect(directory: Path) -> tuple[int, NodeDescriptor] | None:
    """Return a live node and the time when it came up; remove the directory of a dead one; ignore any other."""
    try:
        status = directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            return None
        fd = os.open(directory / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # it is no node's directory, or is being made or removed
        return None
    with os.fdopen(fd, "rb") as lock:
        if not stat.S_ISREG(os.fstat(fd).st_mode) or lock.read(len(_MARK) + 1) != _MARK:
            return None
        try:
            # A shared lock: two processes that search at the same time both find the node dead.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(directory / DESCRIPTOR)
        shutil.rmtree(directory, ignore_errors=True)
        return None


def _read(path: Path) -> tuple[int, NodeDescriptor] | None:
    try:
        return path.stat().st_mtime_ns, NodeDescriptor(**json.loads(path.read_bytes()))
    except (FileNotFoundError, TypeError, ValueError):  # the node is not up yet, or of a version with other fields
        return None
