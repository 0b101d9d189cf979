"""Runs a function of a test module in other processes with other seeds of hashes, where sets have other orders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

HASH_SEEDS: Final = ("1", "77")


def lines_of_two_processes(module: str, call: str) -> list[list[str]]:
    """Return the lines that `call`, made in a module, prints in two processes, which run at the same time.

    Raises:
        AssertionError: a process failed.
    """
    running = [_begin(module, call, hash_seed) for hash_seed in HASH_SEEDS]
    printed = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], f"{call} of {module} failed"
    return [lines.split() for lines in printed]


def _begin(module: str, call: str, hash_seed: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"import {module} as module; module.{call}"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
