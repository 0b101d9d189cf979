"""Two hundred thousand mutated frames, in a process of their own, so that its memory can be measured."""

from __future__ import annotations

import subprocess
import sys


def test_mutated_frames_neither_crash_nor_hang_nor_grow_nor_harm_another_peer() -> None:
    command = [sys.executable, "-m", "tests.fuzzing", "--frames", "200000", "--seconds", "50"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("200,000 frames, ")
