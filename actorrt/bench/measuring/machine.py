"""Describes the machine of a measurement, without which a figure means nothing."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from actorrt.config import VERSION

_PACKAGES = ("pyzmq", "uvloop", "msgpack", "numpy", "pyarrow")


def describe_machine() -> dict[str, Any]:
    """Return the processor, usable CPUs, memory, kernel, Python, packages and the present load."""
    return {
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "actorrt": VERSION,
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "load": os.getloadavg()[0],
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
