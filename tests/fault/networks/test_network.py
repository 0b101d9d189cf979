"""The tests' own network: what its faults do to connections, and that nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.fault.networks.network import Host, network, remove_left
from tests.running import is_running, wait_until

CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), 0.3)
except OSError as error:
    print(type(error).__name__)
"""
MAKE_AND_WAIT = """
import subprocess, sys
from tests.fault.networks.network import network
with network("x") as (_, hosts):
    child = subprocess.Popen([*hosts["x"].prefix, "sleep", "600"])
    print(hosts["x"].namespace, child.pid, flush=True)
    sys.stdin.read()
"""


def connecting(one: Host, other: Host) -> str:
    """Try to connect to a port where nothing listens; return the error."""
    command = [*one.prefix, sys.executable, "-c", CONNECT, other.address]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def namespaces() -> set[str]:
    return {*os.listdir("/run/netns")}


def test_packets_are_dropped_in_one_direction_and_flow_again_after_that() -> None:
    with network("a", "b") as (made, hosts):
        a, b = hosts.values()
        assert connecting(a, b) == "ConnectionRefusedError"
        made.close(a, b)
        assert (connecting(a, b), connecting(b, a)) == ("TimeoutError", "ConnectionRefusedError")
        made.cut(a, b)
        assert connecting(b, a) == "TimeoutError"  # answers are dropped
        made.heal()
        assert connecting(a, b) == "ConnectionRefusedError"
        names = {a.namespace, b.namespace}
        assert names <= namespaces()
    assert not names & namespaces()


def test_what_a_killed_run_leaves_is_removed_by_the_next_one() -> None:
    command = [sys.executable, "-c", MAKE_AND_WAIT]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, "PYTHONPATH": "."}) as run:
        assert run.stdout is not None
        name, pid = run.stdout.readline().split()
        remove_left()
        assert name in namespaces()  # its run lives
        assert is_running(int(pid))
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(run.pid), "the end of the run")
    remove_left()
    assert name not in namespaces()
    assert not is_running(int(pid))


def test_processes_that_a_test_leaves_on_a_host_end_with_the_network() -> None:
    with network("a") as (_, hosts):
        child = subprocess.Popen([*hosts["a"].prefix, "sleep", "600"])
    assert child.wait(10) == -signal.SIGKILL
