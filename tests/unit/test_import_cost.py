"""`import actorrt` is cheap, since every process and every command pays for it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

MOST_S = 0.150
HEAVY = ("torch", "gymnasium", "pyarrow", "matplotlib", "pandas")
PROGRAM = """
import json, sys, time
import numpy, zmq
before = time.process_time()
import actorrt
took_s = time.process_time() - before
print(json.dumps({"took_s": took_s, "modules": sorted(sys.modules)}))
"""


def imported(program: str = PROGRAM) -> Any:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=30)
    return json.loads(done.stdout)


def test_import_takes_little_more_than_that_of_numpy_and_zmq() -> None:
    # Processor time: the machine may be busy with other things, and the import is not the less cheap for it.
    took_s = statistics.median(imported()["took_s"] for _ in range(5))
    assert took_s < MOST_S


def test_import_brings_in_nothing_heavy() -> None:
    assert [module for module in HEAVY if module in imported()["modules"]] == []


def test_daemon_does_without_numpy_until_nodes_exchange_objects() -> None:
    modules = imported("import json, sys, actorrt.node.daemon.daemon; print(json.dumps(sorted(sys.modules)))")
    assert [module for module in ("numpy", *HEAVY) if module in modules] == []


def test_import_of_the_learning_library_brings_in_neither_torch_nor_gymnasium() -> None:
    modules = imported(PROGRAM.replace("import actorrt\n", "from actorrt import rl\n"))["modules"]
    assert [module for module in ("torch", "gymnasium") if module in modules] == []
