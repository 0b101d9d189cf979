"""Lets the n-th call of a system function fail in a process of a node, as a test orders it.

Every Python process with this folder in PYTHONPATH imports this module: the daemon, the zygote and so the workers.
`tests/fault/test_scarcity.py` writes the table into a file: for each role of a process and each function, the number of
calls until one fails, and how many have failed.
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
    """Return the offset of the slot of a call in the table."""
    return (ROLES.index(role) * len(CALLS) + CALLS.index(call)) * SLOT.size


def role():
    """Return the role of this process; a worker differs from its zygote once it has set its name."""
    if sys.argv[0] == "actorrt-worker":
        return "worker"
    return "zygote" if sys.argv[0] == "-c" else "daemon"


def install(path):
    """Wrap the functions so that they fail as the table says."""
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
