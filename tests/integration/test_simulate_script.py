"""`scripts/simulate` in a terminal: Ctrl-C lets the seeds that run end, and says what was found so far."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
CTRL_C: Final = b"\x03"


class Terminal:
    """A process in a terminal of its own."""

    def __init__(self, *command: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:  # the child
            os.chdir(ROOT)
            os.execv(command[0], command)
        self.printed = b""

    def press(self, key: bytes) -> None:
        os.write(self._fd, key)

    def read_until(self, text: bytes | None) -> None:
        """Read until a text is there, or to the end."""
        while text is None or text not in self.printed:
            try:
                more = os.read(self._fd, 65_536)
            except OSError:  # the process has ended, and its side of the terminal with it
                more = b""
            if not more:
                assert text is None, f"{text!r} is not in {self.printed!r}"
                return
            self.printed += more

    def close(self) -> int:
        """Return the status of the process, which has ended."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)


@pytest.mark.timeout(180)  # a seed takes seconds where all processors are busy
def test_ctrl_c_in_a_terminal_ends_the_search_and_says_what_was_found() -> None:
    terminal = Terminal(sys.executable, "scripts/simulate", "--seeds", "0:1000", "--jobs", "2")
    terminal.read_until(b"1 of 1000 seeds")
    terminal.press(CTRL_C)
    terminal.read_until(None)
    assert terminal.close() == 130
    printed = terminal.printed.decode()
    assert "interrupted: " in printed
    assert "callbacks; failed: none" in printed
    assert "Traceback" not in printed


@pytest.mark.timeout(180)
def test_ctrl_c_while_one_seed_runs_shows_what_has_happened() -> None:
    terminal = Terminal(sys.executable, "-u", "-c", ONE_SEED)
    terminal.read_until(b"runs")
    terminal.press(CTRL_C)
    terminal.read_until(None)
    assert terminal.close() == 1
    printed = terminal.printed.decode()
    assert "interrupted" in printed
    assert "process 2 is node" in printed
    assert "Traceback" not in printed


ONE_SEED: Final = """
import runpy, sys
from actorrt.testing import World
World.run = lambda self, *args, run=World.run, **kwargs: (print("runs", flush=True), run(self, *args, **kwargs))[1]
sys.argv = ["scripts/simulate", "--seed", "0", "--trace"]
runpy.run_path("scripts/simulate", run_name="__main__")
"""
