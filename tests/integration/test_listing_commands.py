"""Commands that list the contents of a node: how they find the node, and that they do not disturb it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import actorrt as art
from actorrt.node.daemon.node_directory import find_nodes
from actorrt.node.inspect import inquiry
from actorrt.node.inspect.node_choice import inspected_node
from actorrt.protocol.nodes import AskTree
from tests.integration.cast import Counter
from tests.running import Node, Script, own_directory, runtime_directory

COMMANDS = {"status": "actors: 1", "ps": "counter", "tree": "counter", "mem": "object store:"}
IDLE = """
import signal, threading
import actorrt as art
end = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: end.set())
art.init(cpus=1)
print("ready", flush=True)
end.wait(3600)
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    with own_directory() as path, runtime_directory(path):
        yield path


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "actorrt.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def test_every_listing_command_finds_the_node_of_the_only_script_and_disturbs_nothing(directory: Path) -> None:
    runtime = art.init(cpus=1)
    counter = Counter.options(name="counter").spawn().result(20)
    ref = art.put(b"x" * 100_000)
    for command, wanted in COMMANDS.items():
        done = run_command(command)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert wanted in done.stdout
    assert len(runtime.status().result(10)["jobs"]) == 1
    assert (counter.add().result(10), ref.get()) == (1, b"x" * 100_000)
    assert run_command("down").stdout == "no node runs\n"
    (node,) = find_nodes()
    art.shutdown()
    assert run_command("status", f"--address={node.url}").returncode == 1


def test_listing_one_of_several_scripts_needs_its_address(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with Script(IDLE, tmp_path / "a", directory) as one, Script(IDLE, tmp_path / "b", directory) as two:
        assert one.line() == two.line() == "ready"
        done = run_command("status")
        nodes = {node.owner_pid: node.url for node in find_nodes()}
        assert nodes.keys() == {one.pid, two.pid}
        assert (done.returncode, done.stdout) == (2, "")
        assert "2 scripts have a node: choose one with --address" in done.stderr
        for pid, url in nodes.items():
            assert f"{url}  of a script (process {pid}: " in done.stderr
            assert run_command("status", f"--address={url}").stdout.startswith(f"node {url} ")
        for script in (one, two):
            script.send(signal.SIGTERM)
            script.finish()


async def test_listing_of_a_frozen_node_times_out(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inquiry, "NODE_ANSWER_TIMEOUT_S", 0.2)
    node = Node("--cpus=1", directory=directory)
    os.kill(node.pid, signal.SIGSTOP)
    try:
        with pytest.raises(art.PeerUnreachableError, match=r"did not answer within 0\.2 s: it is stopped"):
            await inquiry.inquire(inspected_node(None), AskTree(siblings_count=1))
    finally:
        os.kill(node.pid, signal.SIGCONT)
    assert node.end() == 0
