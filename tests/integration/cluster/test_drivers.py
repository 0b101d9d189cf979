"""Scripts that drive a cluster from a machine without a node: `art.init(address=TOKEN)`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.cluster.machines import Machine, machines_in_a_short_place
from tests.integration.cluster.test_cluster_commands import wait_for_states

CLASSES = """
import glob, json, os
import actorrt as art

class Counter(art.Actor):
    def __init__(self):
        self.number = 0

    def add(self, by):
        self.number += by
        return self.number

    def pid(self):
        return os.getpid()

def shown(work):
    try:
        return work()
    except Exception as error:
        return f"{type(error).__name__} {error}"

def daemon_pid():
    (path,) = glob.glob(os.environ["ACTORRT_RUNTIME_DIR"] + "/*/node.json")
    return json.load(open(path))["pid"]
"""


@pytest.fixture
def machines() -> Iterator[Sequence[Machine]]:
    """Two machines with nodes of one cluster, and one without a node, on which scripts run."""
    with machines_in_a_short_place("a", "b", "c") as (first, second, third):
        first.start("--listen=127.0.0.1")
        second.start(f"--join={first.token()}")
        wait_for_states(first, ["alive"] * 2)
        yield first, second, third


class Script:
    """A script that carries out the statements it is given, and prints what they print."""

    def __init__(self, machine: Machine, **environment: str) -> None:
        loop = "import sys\nfor statements in sys.stdin:\n    exec(statements)\n    print('.', flush=True)\n"
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLASSES + loop],
            env={**machine.environment, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def do(self, statements: str) -> list[str]:
        """Carry out statements; return the lines that they print."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{statements}\n")
        self.process.stdin.flush()
        lines: list[str] = []
        while (line := self.process.stdout.readline()) != ".\n":
            assert line, self._errors()
            lines.append(line.rstrip("\n"))
        return lines

    def _errors(self) -> str:
        return self.process.communicate(timeout=30)[1]

    def end(self) -> str:
        """Let the script end; return what it wrote to standard error."""
        _, errors = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, errors
        return errors


@contextmanager
def script(machine: Machine, **environment: str) -> Iterator[Script]:
    running = Script(machine, **environment)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_end(pids: Sequence[int], within_s: float) -> None:
    end = time.monotonic() + within_s
    while left := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < end, left
        time.sleep(0.05)  # polling interval: nobody tells the end of a process of others


def test_a_script_without_a_node_drives_the_cluster_and_leaves_nothing_behind(machines: Sequence[Machine]) -> None:
    first, second, third = machines
    with script(third) as driver:
        driver.do(f"art.init(address={first.token()!r})")
        nodes = driver.do("for n in art.nodes().result(): print(n.id[:8], n.state, n.cpus, n.free['cpus'])")
        assert sorted(line.split()[1:] for line in nodes) == [["alive", "2.0", "2.0"]] * 2
        driver.do("counter = Counter.options(name='c', cpus=1, placement='spread').spawn().result()")
        driver.do("other = Counter.options(cpus=1, placement='spread').spawn().result()")
        driver.do("light = Counter.spawn().result()")
        assert driver.do("print(counter.add(2).result(), other.add(3).result(), light.add(4).result())") == ["2 3 4"]
        assert driver.do("print(art.lookup('c').result().add(1).result())") == ["3"]
        pids = [int(pid) for pid in driver.do("for c in (counter, other, light): print(c.pid().result())")]
        assert [state for state in (first.command("nodes", "--all").stdout).split() if state == "alive"] == [
            "alive"
        ] * 2
        driver.do("art.shutdown()")
        wait_for_end(pids, within_s=2.0)
        driver.end()
    assert list(third.runtime.glob("*")) == []
    assert [jobs_of(machine) for machine in (first, second)] == [0, 0]


def jobs_of(machine: Machine) -> int:
    """Return how many jobs the node of a machine knows."""
    with script(machine) as asking:
        asking.do("art.init(address='auto')")
        (count,) = asking.do("print(len(art.init(address='auto').status().result()['jobs']))")
        asking.do("art.shutdown()")
        asking.end()
    return int(count) - 1  # without the one that asks


def test_what_a_killed_driver_started_ends_on_all_nodes(machines: Sequence[Machine]) -> None:
    first, _, third = machines
    with script(third) as driver:
        driver.do(f"art.init(address={first.token()!r})")
        driver.do("cs = [Counter.options(cpus=1, placement='spread').spawn().result() for _ in range(2)]")
        pids = [int(pid) for pid in driver.do("for c in cs: print(c.pid().result())")]
        driver.process.kill()
        wait_for_end(pids, within_s=5.0)


def test_what_a_driver_started_ends_when_its_machine_is_gone(machines: Sequence[Machine]) -> None:
    """The script and its node are killed at once: nothing listens there any more, and its entry node finds out."""
    first, _, third = machines
    with script(third) as driver:
        driver.do(f"art.init(address={first.token()!r})")
        driver.do("cs = [Counter.options(cpus=1, placement='spread').spawn().result() for _ in range(2)]")
        pids = [int(pid) for pid in driver.do("for c in cs: print(c.pid().result())")]
        (daemon,) = driver.do("print(daemon_pid())")
        os.kill(int(daemon), signal.SIGKILL)
        driver.process.kill()
        wait_for_end(pids, within_s=12.0)
    third.command("status")  # removes what the killed node leaves


def test_a_driver_goes_on_by_another_node_when_its_entry_node_is_gone(machines: Sequence[Machine]) -> None:
    first, second, third = machines
    with script(third) as driver:
        driver.do(f"art.init(address={second.token()!r})")
        own = first.command("nodes").stdout.splitlines()
        driver.do(f"ids = {[line.split()[0] for line in own[1:]]!r}")
        driver.do("cs = [Counter.options(cpus=1, placement=art.node(i)).spawn().result() for i in ids]")
        second.kill()
        states = "print(sorted(n.state for n in art.nodes().result()))"
        end = time.monotonic() + 20.0
        while driver.do(states) != ["['alive']"]:
            assert time.monotonic() < end
            time.sleep(0.2)  # polling interval, since nodes() shows one moment
        found = driver.do("for c in cs: print(shown(lambda: c.add(1).result()))")
        assert sorted(line.split()[0] for line in found) == ["1", "ActorDiedError"]
        driver.do("named = Counter.options(name='later').spawn().result()")
        assert driver.do("print(art.lookup('later').result().add(7).result())") == ["7"]
        driver.do("art.shutdown()")
        driver.end()


def test_the_environment_names_the_cluster(machines: Sequence[Machine]) -> None:
    first, _, third = machines
    with script(third, ACTORRT_TOKEN=first.token()) as driver:
        driver.do("art.init()")
        assert driver.do("print(len(art.nodes().result()))") == ["2"]
        driver.do("art.shutdown()")
        driver.end()


def test_a_machine_with_a_node_of_the_cluster_uses_it(machines: Sequence[Machine]) -> None:
    first, second, _ = machines
    with script(second) as driver:
        driver.do(f"runtime = art.init(address={first.token('--uses=1')!r})")
        assert driver.do("print(len(art.nodes().result()))") == ["2"]
        assert len([*second.runtime.glob("*/node.json")]) == 1
        driver.do("art.shutdown()")
        driver.end()


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ("address='art1.nonsense'", "AuthenticationError", "token"),
        ("address=PLACE", "AuthenticationError", "run `actorrt token` on the machine"),
        ("address='tcp://127.0.0.1:1'", "PeerUnreachableError", "no node listens there"),
        ("address='tcp://127.0.0.1:1', token=TOKEN", "PeerUnreachableError", "127.0.0.1:1 can't be reached"),
        ("address=USED", "AuthenticationError", "used up"),
        ("address='unix:///x', token=TOKEN", "ValueError", "token= is for a node of a cluster"),
        ("address=TOKEN, cpus=2", "ValueError", "leave out cpus"),
    ],
)
def test_what_can_not_be_driven_is_refused_in_one_line(options: str, kind: str, text: str, tmp_path: Path) -> None:
    with machines_in_a_short_place("a", "c") as (first, third):
        first.start("--listen=127.0.0.1")
        used = first.token("--uses=1")
        with script(third) as other:
            other.do(f"art.init(address={used!r})")
            other.do("art.shutdown()")
            other.end()
        with script(third) as driver:
            driver.do(f"TOKEN, USED = {first.token()!r}, {used!r}")
            driver.do("from actorrt.cluster.joining.join import read_token")
            driver.do("PLACE = 'tcp://' + read_token(TOKEN).addresses[0]")
            (shown,) = driver.do(f"print(shown(lambda: art.init({options})))")
            assert shown.startswith(kind)
            assert text in shown
            driver.end()
        assert list(third.runtime.glob("*")) == []
