"""The package is compiled before it is measured, even if Python is told to write no bytecode."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import actorrt

SOURCES = sorted(Path(actorrt.__file__).parent.rglob("*.py"))
PROGRAM = """
import sys
from importlib.util import cache_from_source
from pathlib import Path
from actorrt.bench.runner import compile_package
sources = sys.argv[1:]
before = [source for source in sources if Path(cache_from_source(source)).exists()]
assert compile_package()
print(len(before), len([source for source in sources if Path(cache_from_source(source)).exists()]))
"""


def test_every_module_is_compiled_even_where_python_writes_no_bytecode(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM, *map(str, SOURCES)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["0", str(len(SOURCES))]
