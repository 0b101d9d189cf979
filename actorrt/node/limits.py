"""What the machine and its control group allow: CPUs, GPUs, memory, descriptors."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Final

from actorrt.errors import RuntimeStateError

_CGROUP: Final = Path("/sys/fs/cgroup")
_NVIDIA: Final = Path("/dev")


def check_system() -> None:
    """Refuse what is not Linux.

    Raises:
        RuntimeStateError: with what actorrt needs of the system.
    """
    if sys.platform != "linux":
        raise RuntimeStateError(
            f"actorrt runs on Linux only, not on {sys.platform!r}: it needs memfd, pidfd and Unix sockets that pass "
            "descriptors; use a Linux machine, container or virtual machine"
        )


def cpu_count() -> int:
    """Return how many CPUs this process may use, by its affinity and its control group's quota; at least 1."""
    allowed = len(os.sched_getaffinity(0))
    quota, _, period = _read(_CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit():
        allowed = min(allowed, max(1, round(int(quota) / int(period))))
    return allowed


def gpu_count() -> int:
    """Return how many NVIDIA devices there are."""
    return sum(1 for entry in _NVIDIA.glob("nvidia[0-9]*") if entry.name[6:].isdigit())


def available_memory_bytes() -> int:
    """Return what can be used of the machine's memory, within the control group's limit."""
    fields = dict(line.split(":", 1) for line in _read(Path("/proc/meminfo")).splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    limit = _read(_CGROUP / "memory.max").strip()
    used = _read(_CGROUP / "memory.current").strip()
    if limit.isdigit() and used.isdigit():
        available = min(available, max(0, int(limit) - int(used)))
    return available


def raise_descriptor_limit() -> None:
    """Allow this process and its children as many descriptors as the system lets them have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
