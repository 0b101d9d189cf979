"""The limits that the machine and its control group set for a node: CPUs, GPUs, memory, descriptors."""

from __future__ import annotations

import logging
import os
import resource
import sys
from pathlib import Path
from typing import Final

from actorrt.config import DEFAULT_STORE_FRACTION
from actorrt.errors import RuntimeStateError

logger = logging.getLogger(__name__)

_CGROUP: Final = Path("/sys/fs/cgroup")
_NVIDIA: Final = Path("/dev")
VISIBLE_GPUS: Final = "CUDA_VISIBLE_DEVICES"
"""The environment variable that says which GPUs a process sees."""


def check_endpoint() -> None:
    """Refuse a system other than Linux.

    Raises:
        RuntimeStateError: this is not Linux; the text says what actorrt needs.
    """
    if sys.platform != "linux":
        raise RuntimeStateError(
            f"actorrt runs on Linux only, not on {sys.platform!r}: it needs memfd, pidfd and Unix sockets that pass "
            "descriptors; use a Linux machine, container or virtual machine"
        )


def cpu_count() -> int:
    """Return how many CPUs the affinity of this process and the quota of its control group allow; at least 1."""
    allowed = len(os.sched_getaffinity(0))
    quota, _, period = _read(_CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit():
        allowed = min(allowed, max(1, round(int(quota) / int(period))))
    return allowed


def gpu_count() -> int:
    """Return the number of NVIDIA devices."""
    return sum(1 for entry in _NVIDIA.glob("nvidia[0-9]*") if entry.name[6:].isdigit())


def memory_bytes() -> tuple[int, int]:
    """Return the memory that the machine has or the control group allows, and the part of it that is free."""
    fields = dict(line.split(":", 1) for line in _read(Path("/proc/meminfo")).splitlines())
    allowed, free = (int(fields[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    limit = _read(_CGROUP / "memory.max").strip()
    used = _read(_CGROUP / "memory.current").strip()
    if limit.isdigit() and used.isdigit():
        allowed = min(allowed, int(limit))
        free = min(free, max(0, int(limit) - int(used)))
    return allowed, free


def store_capacity_bytes(wanted_bytes: int | None) -> int:
    """Return the bound on the memory of an object store.

    Args:
        wanted_bytes: the option of the node, which is limited to all memory, with a warning. None stands for
            `DEFAULT_STORE_FRACTION` of all memory, or for all that is free if that is less.
    """
    allowed, free = memory_bytes()
    if wanted_bytes is None:
        return min(int(allowed * DEFAULT_STORE_FRACTION), free)
    if wanted_bytes > allowed:
        what = f"store_bytes={wanted_bytes}: there are {allowed} bytes of memory"
        logger.warning("%s in this machine or its control group; the object store is bounded by that", what)
    return min(wanted_bytes, allowed)


def raise_descriptor_limit() -> None:
    """Raise the limit of descriptors, of this process and its children, to the highest that the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
