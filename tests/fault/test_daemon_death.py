"""The death of the daemon ends all processes of its node."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROCESSES = ROOT / "tests/integration/processes"


def running(pids):
    """Return the processes that run; a zombie has ended and is only not reaped yet."""
    states = {}
    for pid in pids:
        try:
            states[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [pid for pid, state in states.items() if state not in "ZX"]


def wait_until_none_runs(pids, within_s):
    deadline = time.monotonic() + within_s
    while (left := running(pids)) and time.monotonic() < deadline:
        os.sched_yield()
    return left


def test_death_of_the_daemon_ends_its_zygote_its_workers_and_their_processes():
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{PROCESSES}"}
    command = [sys.executable, PROCESSES / "daemon.py", "wait_to_be_killed"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as daemon:
        pids = json.loads(daemon.stdout.readline())
        assert running(pids) == pids
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(timeout=5)
    assert wait_until_none_runs(pids, within_s=5) == []
