"""Built-in networks of moderate size learn on NumPy: no process of such a run imports torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from actorrt import rl
if __name__ == "__main__":
    for kind in ({kinds}):
        made = kind("CartPole-v1", hidden=(8, 8), directory=kind.__name__, backend="{backend}")
        run = made.start(steps=512, stop_return=1e9).wait()
        assert run.steps >= 512 and run.best is not None
    print("torch" in sys.modules)
"""


def train(directory: Path, kinds: str, backend: str) -> subprocess.CompletedProcess[str]:
    """Run a training in which any process that imports torch fails."""
    (directory / "torch").mkdir()
    (directory / "torch" / "__init__.py").write_text("raise RuntimeError('torch was imported')")
    program = directory / "train.py"
    program.write_text(PROGRAM.format(kinds=kinds, backend=backend))
    places = os.pathsep.join([str(directory), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": places}
    command = [sys.executable, str(program)]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=100)


@pytest.mark.timeout(120)
def test_no_process_imports_torch(tmp_path: Path) -> None:
    done = train(tmp_path, "rl.PPO, rl.A2C, rl.APPO, rl.IMPALA, rl.A3C", "auto")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "False\n"


@pytest.mark.timeout(120)
def test_learner_imports_torch_with_backend_torch(tmp_path: Path) -> None:
    done = train(tmp_path, "rl.PPO,", "torch")
    assert done.returncode == 1
    assert "torch was imported" in done.stderr
