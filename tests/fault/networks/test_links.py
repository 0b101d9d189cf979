"""What lies on the way between two nodes: forwarded ports, a slow link, delays and stalls, strangers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.fault.networks.clusters import HostedCluster, Program, members_known_by, prepared_cluster
from tests.fault.networks.network import Host

LOW, HIGH = 7400, 7409
ENTRY = 7500
"""The port of the gate that is forwarded to the TLS port, which is the lowest one."""
SLOW_BITS = 80_000_000
ARRAY_BYTES = 16 << 20
SLOWEST_S = 1.5
TRIES = ("text", "zeros", "noise", "tls", "zeromq", "key")
DELAY_S = 0.05


@pytest.fixture(scope="module")
def gate() -> Iterator[tuple[HostedCluster, Program]]:
    """Nodes on `a` and `b`. Only by the ports of `gate`, which a proxy forwards to `b`, are connections to it made."""
    with prepared_cluster("a", "b", others=("gate", "stranger")) as cluster:
        a, b, gate = (cluster.hosts[name] for name in ("a", "b", "gate"))
        cluster.network.close(a, b)
        entry = Program(gate, "proxy", gate.address, b.address, *map(str, (ENTRY, ENTRY, LOW - ENTRY)))
        proxy = Program(gate, "proxy", gate.address, b.address, *map(str, (LOW + 1, HIGH, 0)))
        assert entry.line() == proxy.line() == "up"
        listen = f"--listen={b.address}:{LOW}"
        cluster.start({"b": (listen, f"--advertise={gate.address}:{ENTRY}", f"--ports={LOW + 1}-{HIGH}")})
        yield cluster, proxy
        for machine in reversed(cluster.machines.values()):
            assert machine.stop() == 0  # before the proxy
        assert entry.end() == proxy.end() == []


@pytest.fixture
def cluster(gate: tuple[HostedCluster, Program]) -> HostedCluster:
    return gate[0]


@pytest.fixture
def proxy(gate: tuple[HostedCluster, Program]) -> Iterator[Program]:
    yield gate[1]
    assert [gate[1].line("delay 0"), gate[1].line("go")] == ["done"] * 2


def ports_of(host: Host) -> list[int]:
    """Return the TCP ports at which processes of a host listen."""
    shown = subprocess.run([*host.prefix, "ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    return sorted({int(line.split()[3].rpartition(":")[2]) for line in shown.splitlines()})


CALL_BOTH_WAYS = """
    echo = on(sys.argv[1])
    print(echo.say(1).result(30), echo.ones(1_000_000).result(30).sum())
"""


def test_a_node_is_reached_by_the_address_that_it_advertises_and_its_processes_by_ports_of_its_range(
    cluster: HostedCluster,
) -> None:
    for caller, called in (("a", "b"), ("b", "a")):
        assert cluster.script(caller, CALL_BOTH_WAYS, cluster.node(called)).end() == "1 1000000\n"
    ports = ports_of(cluster.hosts["b"])
    assert ports[0] == LOW
    assert set(ports) <= {*range(LOW, HIGH + 1)}
    (known,) = [one for one in members_known_by(cluster.machines["a"]) if one.node.hex() == cluster.node("b")]
    gate = cluster.hosts["gate"].address
    assert [place.partition("://")[2].partition(":")[0] for place in known.addresses] == [gate] * len(known.addresses)
    assert f"tls://{gate}:{ENTRY}" in known.addresses


CALL_BESIDE_A_PULL = """
    echo, other = on(sys.argv[1]), on(sys.argv[1])
    assert echo.say(1).result(30) == other.say(1).result(30) == 1
    start = time.monotonic()
    large = other.ones(int(sys.argv[2]))
    slowest_s, count = 0.0, 0
    while not large.done():
        asked = time.monotonic()
        echo.say(count).result(30)
        slowest_s, count = max(slowest_s, time.monotonic() - asked), count + 1
    print(large.result(0).sum(), time.monotonic() - start, count, slowest_s)
"""


def test_calls_go_on_beside_a_large_pull_over_a_slow_link(cluster: HostedCluster) -> None:
    cluster.network.slow_down(cluster.hosts["b"], SLOW_BITS)
    script = cluster.script("a", CALL_BESIDE_A_PULL, cluster.node("b"), str(ARRAY_BYTES))
    total, took_s, count, slowest_s = map(float, script.end().split())
    print(f"{took_s:.2f} s for the pull, {count:.0f} calls beside it, the slowest took {slowest_s:.3f} s")
    assert total == ARRAY_BYTES
    assert took_s > ARRAY_BYTES * 8 / SLOW_BITS * 0.9
    assert slowest_s < SLOWEST_S


CALL_AND_WAIT = """
    echo = on(sys.argv[1])
    assert echo.add().result(30) == 1
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.monotonic()
    calls = [echo.add() for _ in range(10)]
    print("called", flush=True)
    print([call.result(60) for call in calls] == list(range(2, 12)), time.monotonic() - start)
"""


def test_a_delay_costs_calls_its_time_and_nothing_more(cluster: HostedCluster, proxy: Program) -> None:
    script = cluster.script("a", CALL_AND_WAIT, cluster.node("b"))
    assert script.line() == "ready"
    assert proxy.line(f"delay {DELAY_S}") == "done"
    right, took_s = script.end("go\n").splitlines()[-1].split()
    assert right == "True"
    assert DELAY_S <= float(took_s) < 2 * DELAY_S + SLOWEST_S  # answers have a connection of their own


def test_calls_wait_while_a_connection_stalls_and_arrive_once_and_in_order_after_it(
    cluster: HostedCluster, proxy: Program
) -> None:
    script = cluster.script("a", CALL_AND_WAIT, cluster.node("b"))
    assert script.line() == "ready"
    assert proxy.line("stall") == "done"
    assert script.line("go\n") == "called"
    assert [proxy.line("held"), proxy.line("go")] == ["done"] * 2
    assert script.end().startswith("True ")


def test_garbage_on_each_port_and_a_wrong_key_are_refused_and_logged_once(cluster: HostedCluster) -> None:
    a = cluster.hosts["a"]
    script = cluster.script("b", CALL_AND_WAIT, cluster.node("a"))
    assert script.line() == "ready"
    (known,) = [one for one in members_known_by(cluster.machines["b"]) if one.node.hex() == cluster.node("a")]
    key = next(place for place in known.addresses if place.startswith("tcp://")).partition("#")[2]
    ports = ports_of(a)
    assert len(ports) >= 3  # of the daemon, of the actor, and for TLS
    stranger = Program(cluster.hosts["stranger"], "stranger", a.address, key, *map(str, ports))
    assert sorted(stranger.end()) == sorted(f"{port} {kind} closed" for port in ports for kind in TRIES)
    assert script.end("go\n").splitlines()[-1].startswith("True ")
    lines = cluster.machines["a"].log.read_text().splitlines()
    warnings = [line.partition(" WARNING ")[2] for line in lines if " INFO " not in line]
    refused = f"refused {cluster.hosts['stranger'].address}: "
    assert [line.startswith(refused) for line in warnings] == [True] * len(warnings)
    assert len({*warnings}) == len(warnings) == 2  # one about plain text, one about what only begins as TLS does
