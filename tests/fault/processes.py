"""What tests see of processes that can't tell them anything: /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


def until(condition: Callable[[], bool], within_s: float = 20.0) -> float:
    """Wait for a condition that no process tells of; return how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s
        time.sleep(0.02)  # polling interval, since /proc tells nobody of a change
    return time.monotonic() - began


def until_or_after(condition: Callable[[], bool], time_s: float) -> bool:
    """Return whether a condition holds at any time of these seconds."""
    end = time.monotonic() + time_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)  # polling interval, since /proc tells nobody of a change
    return False


def state_of(pid: int) -> str:
    """Return the kernel's letter for the state of a process; empty if there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def children(pid: int) -> dict[str, list[int]]:
    """Return the children of a process by their names."""
    found: dict[str, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                stat = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        own, _, rest = stat.partition("(")[2].rpartition(")")
        if int(rest.split()[1]) == pid:
            found.setdefault(own, []).append(int(name))
    return found
