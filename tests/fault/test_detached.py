"""Detached actors survive their driver with their whole trees, and their workers end with them."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

import actorrt as art
from tests.running import Node, Script, is_running, own_directory, runtime_directory, wait_until_none_runs

TREE = """
import os, signal, sys, time
import actorrt as art

class Leaf(art.Actor):
    def __init__(self):
        self.seen = 0
    def see(self):
        self.seen += 1
        return self.seen
    def where(self):
        return os.getpid(), self.context.incarnation

class Inner(art.Supervisor):
    def children(self):
        yield art.Child(Leaf, id="own", name="own", isolation="process")
        yield art.Child(Leaf, id="light", name="light")

class Outer(art.Supervisor):
    def children(self):
        yield art.Child(Inner, id="inner")

class Parent(Leaf):
    async def on_start(self):
        await Leaf.options(name="below-own", isolation="process").spawn()
        await Leaf.options(name="below-light").spawn()

art.init(address="auto")
Outer.options(name="outer", detached=True).spawn().result(10)
Parent.options(name="parent", detached=True).spawn().result(10)
Leaf.options(name="alone", detached=True, isolation="process", restart="permanent").spawn().result(10)
Leaf.options(name="attached").spawn().result(10)
names = ["own", "light", "below-own", "below-light", "parent", "alone"]
for name in names:
    art.lookup(name).result(10).see().result(10)
print("ready", *(art.lookup(name).result(10).where().result(10)[0] for name in names), flush=True)
{end}
"""
NAMES = ["own", "light", "below-own", "below-light", "parent", "alone"]
ENDS = {
    "shutdown": "started = time.monotonic(); art.shutdown(); print(time.monotonic() - started, flush=True)",
    "exit": "sys.exit(0)",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.fixture(scope="module")
def node():
    with own_directory() as directory, runtime_directory(directory):
        node = Node("--cpus=4", "--store-bytes=67108864", directory=directory)
        yield node
        assert node.end() == 0


@pytest.fixture(params=ENDS)
async def left_behind(request, node, tmp_path):
    """A runtime that connects to the node after the end of the tree's driver, and the pids of its actors by name."""
    directory = os.environ["ACTORRT_RUNTIME_DIR"]
    with Script(TREE.format(end=ENDS[request.param]), tmp_path, directory) as script:
        word, *pids = script.line().split()
        assert word == "ready"
        rest = script.finish()
    if request.param == "shutdown":
        assert float(rest) < 10
    async with art.Runtime(address=node.url) as runtime:
        while len((await runtime.status())["jobs"]) > 1:  # until only detached actors are left of the other job
            await asyncio.sleep(0)
        yield runtime, dict(zip(NAMES, map(int, pids), strict=True))


async def end_tree(runtime, pids):
    """Stop the top actors, and check that every worker of the job ends."""
    workers = [worker["pid"] for worker in (await runtime.status())["workers"]]
    for name in ("outer", "parent", "alone"):
        await (await art.lookup(name)).stop()
    wait_until_none_runs([*workers, *pids], within_s=10)
    assert (await runtime.status())["actors"] == []


async def test_detached_trees_survive_their_driver_with_their_state(left_behind):
    runtime, pids = left_behind
    with pytest.raises(art.NameNotFoundError):
        await art.lookup("attached")
    for name in NAMES:
        ref = await art.lookup(name)
        assert await ref.where() == (pids[name], 1), name
        assert await ref.see() == 2, name
    await end_tree(runtime, pids.values())


async def test_detached_children_and_actors_are_restarted_after_the_driver_has_ended(left_behind):
    runtime, pids = left_behind
    for pid in {pids["own"], pids["light"], pids["alone"]}:
        os.kill(pid, signal.SIGKILL)
    again = []
    for name in ("own", "light", "alone"):
        ref = await art.lookup(name, timeout_s=10)
        pid, incarnation = await ref.where.options(retries=5)()
        assert (incarnation, is_running(pid)) == (2, True), name
        again.append(pid)
    await end_tree(runtime, again)
