"""Ends of a driver of every kind: its daemon, zygote and workers end with it and leave nothing."""

from __future__ import annotations

import signal

import pytest

from tests.running import Script, descendants_of, own_directory, wait_until_none_runs

PLAIN = """
import os, sys, time
import actorrt as art

class Own(art.Actor):
    def pid(self):
        return os.getpid()

art.init(cpus=2)
light = Own.spawn().result(10)
own = Own.options(cpus=1).spawn().result(10)
print("ready", light.pid().result(10), own.pid().result(10), flush=True)
{end}
"""

ASYNC = """
import asyncio, os, sys
import actorrt as art

class Own(art.Actor):
    def pid(self):
        return os.getpid()

async def main():
    light, own = await Own.spawn(), await Own.options(cpus=1).spawn()
    print("ready", await light.pid(), await own.pid(), flush=True)
    {end}

{run}
"""
IN_RUN = "art.run(main, cpus=2)"
IN_RUNTIME = """
async def outer():
    async with art.Runtime(cpus=2):
        await main()

asyncio.run(outer())
"""

STYLES = {
    "init": PLAIN.format(end="import threading; threading.Event().wait()"),
    "init-result": PLAIN.format(end="art.monitor(own).result()"),
    "run": ASYNC.format(end="await asyncio.Event().wait()", run=IN_RUN),
    "runtime": ASYNC.format(end="await asyncio.Event().wait()", run=IN_RUNTIME),
}


@pytest.fixture
def directory():
    with own_directory() as path:
        yield path


def started(script):
    """Wait until the script is ready, and return its processes: the daemon, the zygote and the workers."""
    word, *workers = script.line().split()
    assert word == "ready"
    pids = descendants_of(script.pid)
    assert {int(pid) for pid in workers} <= set(pids)
    assert len(pids) >= 4
    return pids


@pytest.mark.parametrize("code", STYLES.values(), ids=STYLES)
def test_ctrl_c_ends_the_script_and_all_its_processes(code, tmp_path, directory):
    with Script(code, tmp_path, directory) as script:
        pids = started(script)
        script.interrupt()
        script.finish()
    assert script.process.returncode != 0
    assert "KeyboardInterrupt" in script.stderr
    wait_until_none_runs(pids, within_s=5)


@pytest.mark.parametrize("code", STYLES.values(), ids=STYLES)
def test_sigterm_ends_the_script_and_all_its_processes(code, tmp_path, directory):
    with Script(code, tmp_path, directory) as script:
        pids = started(script)
        script.send(signal.SIGTERM)
        script.finish()
        wait_until_none_runs(pids, within_s=5)
    assert script.process.returncode != 0


@pytest.mark.parametrize("code", STYLES.values(), ids=STYLES)
def test_sigkill_of_the_script_ends_all_its_processes(code, tmp_path, directory):
    with Script(code, tmp_path, directory) as script:
        pids = started(script)
        script.send(signal.SIGKILL)
        wait_until_none_runs(pids, within_s=5)


@pytest.mark.parametrize(
    ("end", "status"),
    [("sys.exit(3)", 3), ("raise ValueError('mine')", 1), ("pass", 0), ("os._exit(4)", 4), ("art.shutdown()", 0)],
)
def test_script_that_ends_by_itself_leaves_nothing(end, status, tmp_path, directory):
    with Script(PLAIN.format(end=end), tmp_path, directory) as script:
        script.finish()
    assert script.process.returncode == status
    assert ("ValueError: mine" in script.stderr) == (status == 1)


@pytest.mark.parametrize("run", [IN_RUN, IN_RUNTIME], ids=["run", "runtime"])
@pytest.mark.parametrize(("end", "status"), [("sys.exit(3)", 3), ("raise ValueError('mine')", 1), ("pass", 0)])
def test_async_script_that_ends_by_itself_leaves_nothing(run, end, status, tmp_path, directory):
    with Script(ASYNC.format(end=end, run=run), tmp_path, directory) as script:
        script.finish()
    assert script.process.returncode == status
    assert ("ValueError: mine" in script.stderr) == (status == 1)


def test_driver_that_forked_a_child_ends_without_waiting_for_it(tmp_path, directory):
    end = "import subprocess; child = subprocess.Popen(['sleep', '0.2']); print('forked')"
    with Script(PLAIN.format(end=end), tmp_path, directory) as script:
        script.finish()
    assert script.process.returncode == 0


def test_sigkill_while_actors_start_leaves_nothing(tmp_path, directory):
    code = """
    import os
    import actorrt as art

    class Slow(art.Actor):
        async def on_start(self):
            import asyncio
            await asyncio.sleep(30)

    art.init(cpus=2)
    starts = [Slow.options(cpus=0.1).spawn() for _ in range(6)]
    print("ready", flush=True)
    starts[0].result()
    """
    with Script(code, tmp_path, directory) as script:
        assert script.line() == "ready"
        pids = descendants_of(script.pid)
        script.send(signal.SIGKILL)
        wait_until_none_runs(pids, within_s=5)


def test_ctrl_c_while_the_node_starts_leaves_nothing(tmp_path, directory):
    code = """
    print("ready", flush=True)
    import actorrt as art
    art.init(cpus=2)
    art.shutdown()
    import threading
    threading.Event().wait()
    """
    with Script(code, tmp_path, directory) as script:
        assert script.line() == "ready"
        pids = descendants_of(script.pid)
        while not pids:
            pids = descendants_of(script.pid)
        script.interrupt()
        script.finish()
    wait_until_none_runs(pids, within_s=5)
    assert [word for word in ("Task was destroyed", "ERROR", "Broken pipe") if word in script.stderr] == []
    assert script.stderr.rstrip().endswith("KeyboardInterrupt")


def test_ctrl_c_ends_a_script_in_local_mode(tmp_path, directory):
    code = """
    import asyncio
    import actorrt as art

    class Waiting(art.Actor):
        async def wait(self):
            await asyncio.Event().wait()

    art.init(mode="local")
    waiting = Waiting.options(shutdown_s=0.1).spawn().result(10)
    print("ready", flush=True)
    waiting.wait().result()
    """
    with Script(code, tmp_path, directory) as script:
        assert script.line() == "ready"
        script.interrupt()
        script.finish()
    assert "KeyboardInterrupt" in script.stderr
    assert script.process.returncode in (1, 130, -signal.SIGINT)


def test_two_inits_in_two_processes_start_two_nodes(tmp_path, directory):
    code = PLAIN.format(end="art.shutdown()")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with Script(code, tmp_path / "a", directory) as one, Script(code, tmp_path / "b", directory) as two:
        one.finish()
        two.finish()
    assert (one.process.returncode, two.process.returncode) == (0, 0)
