"""The last program of docs/rl.md, an algorithm from scratch, runs and prints the output that the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.running import ROOT, run_script


def test_algorithm_of_the_page_runs_and_prints_the_shown_output(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "rl.md").read_text()
    *_, code = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (printed,) = re.findall(r"^```text\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    script = run_script(code, tmp_path)
    assert script.output == printed, script.stderr
