"""What the allocator keeps when memory is freed."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import sys

import numpy as np

from actorrt.rl.foundation.memory import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(12_000_000, np.float32)  # 48 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""


def page_faults(how):
    environment = {"PYTHONPATH": ":".join(sys.path), "NUMPY_MADVISE_HUGEPAGE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, timeout=60, env=environment
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc takes these settings")
def test_freed_memory_is_used_again_without_page_faults():
    assert page_faults("kept") < 1_000 < page_faults("returned")
