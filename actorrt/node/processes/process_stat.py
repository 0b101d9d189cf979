"""Reads what the kernel reports about a process: its state, parent, processor time and memory (proc(5))."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class ProcessStat(NamedTuple):
    """A part of `/proc/PID/stat`.

    Attributes:
        state: the kernel's letter for the state of the main thread.
        parent_pid: the parent.
        cpu_s: the processor time that the process has used, in user code and in the kernel.
    """

    state: str
    parent_pid: int
    cpu_s: float


def stat_of(pid: int) -> ProcessStat | None:
    """Return the state of a process, or None if there is no such process.

    Raises:
        OSError: the file can't be read now, because a descriptor or memory is lacking.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name in front may contain any character
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return ProcessStat(fields[0].decode(), int(fields[1]), cpu_s)


def resident_bytes(pid: int) -> int | None:
    """Return the memory that a process uses, shared pages included; None if there is no such process."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def private_bytes(pid: int) -> int | None:
    """Return the anonymous memory that a process uses, without files and shared memory; None if that can't be read."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return None
    at = status.find(b"RssAnon:")
    return None if at < 0 else int(status[at:].split(maxsplit=2)[1]) * 1024
