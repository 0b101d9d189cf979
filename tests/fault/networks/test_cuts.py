"""Nodes that can't reach each other for a while, of a cluster of three in which `a` has the control store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fault.networks.clusters import HostedCluster, hosted_cluster

CALLS_FOR_A_WHILE = """
    echo = on(sys.argv[1])
    print(echo.add().result(30), flush=True)
    sys.stdin.readline()
    end = time.monotonic() + float(sys.argv[2])
    slowest_s, count = 0.0, 1
    while time.monotonic() < end:
        start = time.monotonic()
        count += 1
        assert echo.add().result(10) == count
        slowest_s = max(slowest_s, time.monotonic() - start)
    print(count > 100, slowest_s, flush=True)
"""
CUT_S = 6.0
"""Longer than it takes to write a silent node dead, on a machine that is busy with other tests."""
SLOW_S = 2.0
ALIVE = {"a": "alive", "b": "alive", "c": "alive"}


@pytest.fixture(scope="module")
def three() -> Iterator[HostedCluster]:
    with hosted_cluster(*ALIVE) as cluster:
        yield cluster


@pytest.fixture
def cluster(three: HostedCluster) -> Iterator[HostedCluster]:
    """A whole cluster of three."""
    yield three
    three.repair()


@contextmanager
def calls_go_on(cluster: HostedCluster, caller: str, called: str, seconds: float) -> Iterator[None]:
    """Call an actor of another node again and again from the end of the block on; no call may fail or wait for long."""
    script = cluster.script(caller, CALLS_FOR_A_WHILE, cluster.node(called), str(seconds))
    assert script.line() == "1"
    yield
    goes_on, slowest_s = script.end("go\n").split()
    assert (goes_on, float(slowest_s) < SLOW_S) == ("True", True)


def test_a_one_way_cut_kills_nobody_soon_and_calls_over_the_third_node_go_on(cluster: HostedCluster) -> None:
    with calls_go_on(cluster, "c", "b", CUT_S):
        cluster.network.cut(cluster.hosts["a"], cluster.hosts["b"])
    assert [cluster.view(name) for name in ALIVE] == [ALIVE] * 3


def test_while_the_node_with_the_store_is_silent_the_others_go_on(cluster: HostedCluster) -> None:
    with calls_go_on(cluster, "c", "b", CUT_S):
        cluster.network.silence(cluster.hosts["a"])
    assert [cluster.view(name) for name in ALIVE] == [ALIVE] * 3
