"""The page of A3C trains by actors, which a script of one file starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from actorrt import rl


def test_page_of_a3c_trains_with_two_simulators(tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    with page.open("w") as file:
        rl.source("a3c", file)
    page.write_text(page.read_text().replace("steps=20_000", "steps=2_000"))
    ended = subprocess.run([sys.executable, page], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    *_, last = ended.stdout.splitlines()
    steps, return_mean = (float(last.split()[i].replace(",", "")) for i in (0, 3))
    assert steps >= 2_000
    assert return_mean >= 8.0
