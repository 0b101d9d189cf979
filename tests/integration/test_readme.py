"""The example of the README runs as printed, and prints the output that the README shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)


def test_example_runs_as_printed(tmp_path: Path) -> None:
    (example,), (output,) = blocks("python"), blocks("text")
    (tmp_path / "example.py").write_text(example)
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    messages = [line for line in done.stderr.splitlines() if not line.startswith("actorrt: waiting for ")]
    assert (done.stdout, messages, done.returncode) == (output, [], 0)


def test_example_has_about_15_lines() -> None:
    (example,) = blocks("python")
    assert len([line for line in example.splitlines() if line.strip()]) <= 15
