"""Nodes that are lost for good: callers are told, and the cluster agrees that they are dead.

The figures in the assertions are the promised ones, and what a machine that is busy with other tests may add.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.fault.networks.clusters import HostedCluster, hosted_cluster

CALL = """
    echo = on(sys.argv[1])
    print(echo.say("ready").result(30), flush=True)
    call = echo.wait_for_ever()
    try:
        call.result(60)
    except art.ActorDiedError as error:
        print(error.reason.kind, flush=True)
"""
DEAD_S = 4.5
BUSY_S = 2.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[HostedCluster]:
    """Four nodes, of which each test ends another one for good."""
    with hosted_cluster("a", "b", "c", "d") as cluster:
        yield cluster


def test_callers_are_told_when_a_node_is_killed_and_its_host_resets(cluster: HostedCluster) -> None:
    script = cluster.script("a", CALL, cluster.node("b"))
    assert script.line() == "ready"
    start = time.monotonic()
    cluster.machines["b"].kill()
    assert script.line() == "node_lost"
    took_s = time.monotonic() - start
    print(f"callers told after {took_s:.2f} s")
    script.end()
    assert took_s < DEAD_S + BUSY_S


def test_a_silent_node_is_written_dead_and_its_callers_are_told(cluster: HostedCluster) -> None:
    script = cluster.script("a", CALL, cluster.node("c"))
    assert script.line() == "ready"
    start = time.monotonic()
    cluster.network.silence(cluster.hosts["c"])
    for name in ("a", "d"):
        cluster.wait_for(name, {"c": "dead"})
    dead_s = time.monotonic() - start
    assert script.line() == "node_lost"
    print(f"written dead after {dead_s:.2f} s, callers told after {time.monotonic() - start:.2f} s")
    script.end()
    assert dead_s < DEAD_S + BUSY_S
    cluster.machines["c"].kill()
