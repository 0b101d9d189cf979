"""Commands speak of the whole cluster, by way of one node; one that is stopped is shown, and holds nobody up."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence

import pytest

from tests.integration.cluster.drivers import Script
from tests.integration.cluster.machines import Machine, machines_in_a_short_place

ACTORS = """
    import sys
    import actorrt as art

    class Keeps(art.Actor):
        def __init__(self):
            self.ref = art.put(b"x" * 3_000_000)

        async def child(self):
            self.below = await Keeps.options(name="below", cpus=1).spawn()

    runtime = art.init(address="auto")
    here = Keeps.options(name="here", cpus=1).spawn().result(30)
    there = Keeps.options(name="there", cpus=1, placement=art.node(sys.argv[1])).spawn().result(30)
    there.child().result(30)
"""
WAITS = """
    print("up", flush=True)
    sys.stdin.readline()
"""
LISTINGS = ("status", "nodes", "ps", "tree", "mem")
WITHIN_S = 6.0  # of which 0.8 s is the wait for the stopped node; the rest is the start of Python on a busy machine


@pytest.fixture
def pair() -> Iterator[Sequence[Machine]]:
    with machines_in_a_short_place("a", "b") as machines:
        first, second = machines
        first.start("--listen=127.0.0.1")
        second.start(f"--join={first.token()}")
        yield machines


def test_actors_of_one_job_are_listed_with_the_nodes_where_they_run(pair: Sequence[Machine]) -> None:
    first, second = pair
    a, b = (machine.node()[:8] for machine in pair)
    script = Script(first, ACTORS, WAITS, arguments=(second.node(),))
    assert script.line() == "up"
    for machine in pair:
        ps = machine.command("ps")
        assert ps.returncode == 0, ps.stderr
        actors = {line.split()[-2]: line.split()[0] for line in ps.stdout.partition("\nNODE")[2].splitlines()[1:]}
        assert actors == {"here": a, "there": b, "below": b}, ps.stdout
        guests = [line for line in ps.stdout.splitlines() if "own (guest)" in line]
        assert [line.split()[0] for line in guests] == [b], ps.stdout
        tree = machine.command("tree").stdout
        assert tree.splitlines()[0].startswith("2 nodes, seen from node ")
        below = next(line for line in tree.splitlines() if "below" in line)
        assert below.startswith("   └─ below"), tree  # below its parent, whose home is another node
        assert b in below
        status = machine.command("status").stdout
        assert status.splitlines()[-1].split() == ["all", "4", "3", "0", "0", "0", "0", "2", "3", "3"], status
        mem = machine.command("mem").stdout
        assert sorted(line.split()[0] for line in mem.splitlines() if " sealed " in line) == sorted([a, b, b]), mem
    script.process.communicate()


def test_one_node_alone_is_shown_when_it_is_named(pair: Sequence[Machine]) -> None:
    first, second = pair
    other = second.node()[:6]
    for command in LISTINGS:
        if command != "nodes":
            shown = first.command(command, f"--node={other}")
            assert (shown.returncode, shown.stderr) == (0, ""), command
            assert first.node()[:8] not in shown.stdout.partition("\n")[2], shown.stdout
    wrong = first.command("status", "--node=zz")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    ids = ", ".join(sorted(machine.node()[:8] for machine in pair))
    assert wrong.stderr == f"actorrt status: 0 nodes have an id that begins with 'zz'; there are {ids}\n"


def test_every_listing_is_one_json_object_that_names_the_nodes(pair: Sequence[Machine]) -> None:
    first, _ = pair
    ids = sorted(machine.node() for machine in pair)
    for command in LISTINGS:
        shown = first.command(command, "--json")
        assert (shown.returncode, shown.stderr) == (0, ""), command
        (line,) = shown.stdout.splitlines()
        named = sorted(one["node"] for one in json.loads(line)["nodes"])
        assert named == (ids if command == "nodes" else [node[:8] for node in ids]), command


def test_a_stopped_node_is_a_row_that_says_so_and_an_exit_status(pair: Sequence[Machine]) -> None:
    stopped, asked = pair
    other = stopped.node()[:8]
    os.kill(stopped.pid, signal.SIGSTOP)  # it has the control store, so nobody can write it dead meanwhile
    try:
        for command in LISTINGS:
            begun = time.monotonic()
            shown = asked.command(command)
            assert time.monotonic() - begun < WITHIN_S, command
            why = f"node {other} did not answer within 0.8 s: it is stopped, cut off or overloaded"
            told = f"node {other} is missing: {why}"
            assert (shown.returncode, shown.stdout.splitlines()[-1]) == (1, told), command
            data = json.loads(asked.command(command, "--json").stdout)
            (missing,) = [one for one in data["nodes"] if one["node"].startswith(other)]
            assert "did not answer" in missing["why"], command
    finally:
        os.kill(stopped.pid, signal.SIGCONT)


def test_the_status_of_a_runtime_has_the_actors_of_all_nodes_a_page_at_a_time(pair: Sequence[Machine]) -> None:
    first, second = pair
    code = """
        pages, after, seen = 0, None, []
        while True:
            page = runtime.status(after=after, count=2).result(30)
            seen += [(row["label"], row["node"]) for row in page["actors"]]
            workers = len(page["workers"]) if not pages else workers + len(page["workers"])
            pages, after = pages + 1, page["next"]
            if after is None:
                break
        print(sorted(seen), pages, workers, page["totals"], len(page["jobs"]), page["cpus"], page["silent"])
    """
    a, b = (machine.node()[:8] for machine in pair)
    out = Script(first, ACTORS, code, arguments=(second.node(),)).end()
    actors = [("below", b), ("here", a), ("there", b)]
    assert out == f"{actors} 3 3 {{'jobs': 1, 'workers': 3, 'actors': 3}} 1 4 []\n"
