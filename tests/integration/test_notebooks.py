"""The notebooks of the documentation run from top to bottom in a kernel, and print their saved output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")

from tests.running import ROOT  # noqa: E402

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def printed(notebook: Any) -> list[str]:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.text for output in outputs if output.output_type == "stream" and output.name == "stdout"]


def pictures(notebook: Any) -> list[str]:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return ["".join(output.data["text/html"]) for output in outputs if "text/html" in output.get("data", {})]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_shows_its_saved_output(path: Path, tmp_path: Path) -> None:
    places = {name: str(tmp_path / name) for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR")}
    command = [sys.executable, "scripts/execute_notebooks.py", str(path), "--to", str(tmp_path / "executed.ipynb")]
    environment = {**os.environ, **places, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    shown, executed = (nbformat.read(each, as_version=4) for each in (path, tmp_path / "executed.ipynb"))
    assert printed(executed) == printed(shown)
    (picture,) = pictures(executed)  # the cell that started the run draws it; the cell that waits for it does not
    assert " · ended<br>" in picture
    assert "<polyline" in picture
    assert "simulators 2/2 alive, 0 restarted" in picture
