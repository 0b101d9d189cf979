"""Runs a function of a test module in other processes: with other seeds of hashes, or in a copy of this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

HASH_SEEDS: Final = ("1", "77")
_ROOT: Final = Path(__file__).parents[1]


def lines_with_hash_seeds(module: str, call: str) -> list[list[str]]:
    """Return the lines that `call`, made in a module, prints in two processes, in which sets have other orders.

    Raises:
        AssertionError: a process failed.
    """
    return _lines([_begin(module, call, _ROOT, hash_seed) for hash_seed in HASH_SEEDS])


def lines_in_a_copy(module: str, call: str, folder: Path) -> list[str]:
    """Return the lines that `call`, made in a module, prints if this checkout lies in another folder.

    Raises:
        AssertionError: the process failed.
    """
    for part in ("actorrt", "tests"):
        shutil.copytree(_ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return _lines([_begin(module, call, folder, HASH_SEEDS[0])])[0]


def _begin(module: str, call: str, folder: Path, hash_seed: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"import {module} as module; module.{call}"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )


def _lines(running: list[subprocess.Popen[str]]) -> list[list[str]]:
    printed = [process.communicate()[0].split() for process in running]
    assert [process.returncode for process in running] == [0] * len(running), f"a process failed: {running[0].args}"
    return printed
