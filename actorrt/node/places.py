"""Where nodes keep their sockets, and how others on this machine find them.

A node has a directory of its own, for its user alone, below the runtime directory: the sockets of its processes,
and `node.json`, which says how to reach it and is locked for as long as the node lives. What a node that died
left behind is removed by whoever looks next.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

DESCRIPTOR: Final = "node.json"
VARIABLE: Final = "ACTORRT_RUNTIME_DIR"


@dataclass(frozen=True)
class NodeDescriptor:
    """How a node is reached.

    Attributes:
        peer: its endpoint's id, in hex.
        address: its endpoint's address, for processes of this machine and user.
        store: the socket of its object store.
        url: what people call it by.
        pid: its process.
        is_embedded: whether it belongs to one driver alone.
    """

    peer: str
    address: str
    store: str
    url: str
    pid: int
    is_embedded: bool


def runtime_directory() -> Path:
    """Return the directory of this user's nodes, made if it is not there.

    Raises:
        PermissionError: it belongs to somebody else.
    """
    if VARIABLE in os.environ:
        path = Path(os.environ[VARIABLE])
    elif os.environ.get("XDG_RUNTIME_DIR"):
        path = Path(os.environ["XDG_RUNTIME_DIR"]) / "actorrt"
    else:
        path = Path(tempfile.gettempdir()) / f"actorrt-{os.getuid()}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.lstat()
    if status.st_uid != os.getuid() or path.is_symlink():
        raise PermissionError(f"{path} belongs to another user; set {VARIABLE} to a directory of your own")
    if status.st_mode & 0o077:
        path.chmod(0o700)
    return path


class NodeDirectory:
    """One node's directory, made here and removed by `remove`."""

    def __init__(self, name: str) -> None:
        self.path = runtime_directory() / name
        self.path.mkdir(mode=0o700)
        self._lock = os.open(self.path / DESCRIPTOR, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def publish(self, descriptor: NodeDescriptor) -> None:
        """Let others find the node."""
        os.write(self._lock, json.dumps(asdict(descriptor)).encode())

    def remove(self) -> None:
        """Remove the directory and what is in it. Idempotent."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def find_nodes() -> list[NodeDescriptor]:
    """Return the live nodes of this user and machine, newest first; remove what dead ones left."""
    entries = [entry for entry in runtime_directory().iterdir() if entry.is_dir()]
    entries.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    found = (_inspect(entry) for entry in entries)
    return [descriptor for descriptor in found if descriptor is not None]


def _inspect(directory: Path) -> NodeDescriptor | None:
    try:
        with (directory / DESCRIPTOR).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read()
                return NodeDescriptor(**json.loads(text)) if text else None
    except FileNotFoundError:
        return None  # it is being made or removed
    shutil.rmtree(directory, ignore_errors=True)
    return None


def remove_leftovers(directory: Path) -> None:
    """Remove the directory of a node that was found dead."""
    shutil.rmtree(directory, ignore_errors=True)
