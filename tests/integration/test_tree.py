"""The commands `actorrt tree` and `actorrt ps` with a running node."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import actorrt as art
from tests.integration.cast import Faulty, Parent


class Inner(art.Supervisor):
    def children(self):
        yield art.Child(Parent, 1, id="own", isolation="process")


class Top(art.Supervisor):
    def children(self):
        yield art.Child(Inner, id="inner")
        yield art.Child(Faulty, id="faulty")


async def test_tree_shows_every_actor_below_its_parent(node, node_runtime):
    top = await Top.spawn()
    faulty = await top.child("faulty")
    with pytest.raises(art.ActorUnavailableError):
        await faulty.exit()
    assert await faulty.incarnation() == 2
    command = [sys.executable, "-m", "actorrt.cli", "tree", f"--address={node.url}"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True, timeout=20)
    tree = done.stdout.splitlines()
    (at,) = [number for number, line in enumerate(tree) if "Top-" in line]
    assert [line.strip(" │├└─").partition(" ")[0].partition("-")[0] for line in tree[at : at + 5]] == [
        *("Top", "inner", "own", "Counter", "faulty"),
    ]
    assert tree[at + 4].split()[3:5] == ["running", "1"]
    assert tree[at + 4].endswith("error: SystemExit: 3")


async def test_tree_without_a_node_is_an_error_of_one_line(tmp_path):
    command = [sys.executable, "-m", "actorrt.cli", "tree", f"--address=unix://{tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False, timeout=20)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


async def test_ps_shows_every_process_with_its_memory(node, node_runtime):
    top = await Top.spawn()
    inner = await top.child("inner")
    own = await inner.child("own")
    command = [sys.executable, "-m", "actorrt.cli", "ps", f"--address={node.url}"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True, timeout=20)
    processes = done.stdout.partition("\n\n")[0].splitlines()
    assert processes[0].split() == ["PID", "KIND", "JOB", "ACTORS", "CPU", "MEMORY", "WORKER"]
    rows = {row[0]: row[1:] for row in map(str.split, processes[1:])}
    kind, _, _, seconds, _, megabytes, unit, _ = rows[str(await own.pid())]
    assert (kind, unit) == ("own", "MiB")
    assert 0 <= float(seconds) < 60
    assert 5 < int(megabytes) < 500
    assert sorted(row[0] for row in rows.values()) == ["own", "shared", "supervisors"]
