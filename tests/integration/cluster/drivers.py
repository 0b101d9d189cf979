"""Drivers in processes of their own, on the machines of a test."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.integration.cluster.machines import Machine


class Script:
    """A driver in a process of its own, on a machine.

    Args:
        machine: where it runs.
        code: what it runs; the parts are joined.
        arguments: its arguments, in `sys.argv`.
        folder: where it starts; None: where the tests run.
        variables: further variables of its environment.
    """

    def __init__(
        self,
        machine: Machine,
        *code: str,
        arguments: tuple[str, ...] = (),
        folder: Path | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        command = [*machine.prefix, sys.executable, "-c", "".join(map(textwrap.dedent, code)), *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command,
            env={**machine.environment, **variables},
            cwd=folder,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )

    def line(self, typed: str = "") -> str:
        """Return the next line that it prints, after it has read `typed`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(typed)
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1])
        return line.strip()

    def end(self, typed: str = "") -> str:
        """Return what it prints, after it has read `typed`, until its end, which must be a success."""
        out, errors = self.process.communicate(typed, timeout=60)
        assert self.process.returncode == 0, errors
        return out
