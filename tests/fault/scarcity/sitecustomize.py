"""Lets the n-th call of one kind fail in a node's processes, when a test says so.

Every Python process imports this that has the folder in PYTHONPATH: daemon, zygote, and by that the workers. The table
lies in a file that `tests/fault/test_scarcity.py` writes: for each role of a process and each call, how many calls are
left until one fails, and how often one has failed.
"""

import builtins
import io
import mmap
import os
import socket
import struct
import subprocess
import sys
import threading

ROLES = ("daemon", "zygote", "worker")
CALLS = (
    "pipe",
    "pidfd_open",
    "fork",
    "fork_exec",
    "open",
    "listdir",
    "socket",
    "socketpair",
    "sendmsg",
    "memfd_create",
    "posix_fallocate",
    "ftruncate",
    "thread",
)
SLOT = struct.Struct("=ii")
TABLE_BYTES = len(ROLES) * len(CALLS) * SLOT.size


def offset_of(role, call):
    """Return where the slot of a call lies."""
    return (ROLES.index(role) * len(CALLS) + CALLS.index(call)) * SLOT.size


def role():
    """Return which process this is; a worker is told from the zygote that forked it when it has settled."""
    if sys.argv[0] == "actorrt-worker":
        return "worker"
    return "zygote" if sys.argv[0] == "-c" else "daemon"


def install(path):
    """Wrap the calls."""
    with open(path, "r+b") as file:
        table = mmap.mmap(file.fileno(), TABLE_BYTES)

    def is_due(call):
        offset = offset_of(role(), call)
        left_count, failed_count = SLOT.unpack_from(table, offset)
        if left_count > 0:
            SLOT.pack_into(table, offset, left_count - 1, failed_count + (left_count == 1))
        return left_count == 1

    def failing(call, real, error):
        def wrapped(*args, **kwargs):
            if is_due(call):
                raise error
            return real(*args, **kwargs)

        return wrapped

    full = OSError(24, "no descriptor left, as a test says")
    short = OSError(11, "no process can be made, as a test says")
    disk = OSError(28, "no space left, as a test says")
    for call in ("pipe", "pidfd_open", "listdir", "memfd_create"):
        setattr(os, call, failing(call, getattr(os, call), full))
    os.fork = failing("fork", os.fork, short)
    subprocess._fork_exec = failing("fork_exec", subprocess._fork_exec, short)
    for call in ("posix_fallocate", "ftruncate"):
        setattr(os, call, failing(call, getattr(os, call), disk))
    os.open = failing("open", os.open, full)
    builtins.open = io.open = failing("open", io.open, full)
    socket.socketpair = failing("socketpair", socket.socketpair, full)
    threading.Thread.start = failing("thread", threading.Thread.start, RuntimeError("can't start new thread"))
    make, send = socket.socket.__init__, socket.socket.sendmsg

    def init(self, *args, **kwargs):
        if kwargs.get("fileno") is None and len(args) < 4 and is_due("socket"):
            raise full
        make(self, *args, **kwargs)

    def sendmsg(self, buffers, ancdata=(), *rest):
        if ancdata and is_due("sendmsg"):
            raise OSError(109, "too many descriptors under way, as a test says")
        return send(self, buffers, ancdata, *rest)

    socket.socket.__init__, socket.socket.sendmsg = init, sendmsg


if "ACTORRT_TEST_SCARCITY" in os.environ:
    install(os.environ["ACTORRT_TEST_SCARCITY"])
