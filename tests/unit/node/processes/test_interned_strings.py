"""After the zygote has grown the table of interned strings, the imports of a worker do not fill it."""

from __future__ import annotations

import subprocess
import sys

MEASURE = """
import sys, tracemalloc
import numpy, pyarrow
from actorrt.node.processes.zygote import LEAST_TABLE_BYTES, grow_table_of_interned_strings

def peak_of_interning(count, name):
    strings = [f"{name} {number}" for number in range(count)]
    tracemalloc.start()
    for string in strings:
        sys.intern(string)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, strings

kept = []
for offset in range(0, 3_000, 1_000):  # tables that are nearly full, and others
    kept.append(peak_of_interning(offset, f"filler {offset}"))
    grow_table_of_interned_strings()
    peak, strings = peak_of_interning(5_000, f"import {offset}")
    kept.append(strings)
    print(peak < LEAST_TABLE_BYTES)
"""


def test_imports_of_thousands_of_names_allocate_no_new_table():
    ended = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["True"] * 3, ended.stderr
