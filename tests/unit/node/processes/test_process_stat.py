"""The kernel's report about a process."""

from __future__ import annotations

import os
import subprocess
import sys

from actorrt.node.processes.process_stat import resident_bytes, stat_of


def test_running_process_has_a_state_a_parent_processor_time_and_memory() -> None:
    stat = stat_of(os.getpid())
    assert stat is not None
    assert (stat.state in "RS", stat.parent_pid) == (True, os.getppid())
    assert 0 <= stat.cpu_s <= sum(os.times()[:2]) + 0.1
    memory = resident_bytes(os.getpid())
    assert memory is not None
    assert memory > 1_000_000


def test_process_that_has_ended_is_a_zombie_until_it_is_reaped_and_then_unknown() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        stat = stat_of(process.pid)
        assert stat is not None
        assert (stat.state, stat.parent_pid) == ("Z", os.getpid())
        process.wait()
        assert (stat_of(process.pid), resident_bytes(process.pid)) == (None, None)
