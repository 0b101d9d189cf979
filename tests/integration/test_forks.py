"""Forked children of a process that has a runtime: the operations that they may use, and the errors of the others."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Script, descendants_of, own_directory, run_script, wait_until_none_runs

REFUSAL = (
    "this process was forked from a process that uses actorrt, and can't use the runtime of that process: "
    "make it an actor, start it with"
)


@pytest.fixture
def directory() -> Iterator[Path]:
    with own_directory() as path:
        yield path


def complaints(script: Script) -> list[str]:
    """Return the lines of the script on stderr, except the notices about waiting, which a busy machine causes."""
    return [line for line in script.stderr.splitlines() if not line.startswith("actorrt: waiting for")]


PREPARED = """
import multiprocessing, os, sys
import numpy as np
import actorrt as art

class Counter(art.Actor):
    def __init__(self):
        self.n = 0
    def add(self, by=1):
        self.n += by
        return self.n
    async def wait(self):
        import asyncio
        await asyncio.Event().wait()
    def count(self):
        yield from range(3)

fork = multiprocessing.get_context("fork")

def say(what, act):
    try:
        answer = act()
    except art.RuntimeStateError as error:
        answer = str(error)
    print(f"{what}: {answer}", flush=True)

def in_child(*uses):
    child = fork.Process(target=lambda: [say(name, use) for name, use in uses])
    child.start()
    child.join()
    assert child.exitcode == 0, child.exitcode
"""

USES = {
    "ask": "lambda: counter.add()",
    "ask with an array": "lambda: counter.add(np.zeros(100_000))",
    "tell": "lambda: counter.add.tell()",
    "stream": "lambda: list(counter.count())",
    "pending reply": "lambda: waiting.result()",
    "pending reply, within a time": "lambda: waiting.result(5)",
    "gather": "lambda: art.gather(waiting).result()",
    "wait": "lambda: art.wait([waiting]).result()",
    "as_completed": "lambda: list(art.as_completed([waiting]))",
    "awaited reply": "lambda: __import__('asyncio').run(awaited())",
    "cancel": "lambda: waiting.cancel()",
    "spawn": "lambda: Counter.spawn()",
    "spawn_many": "lambda: Counter.spawn_many(2)",
    "lookup": "lambda: art.lookup('x')",
    "monitor": "lambda: art.monitor(counter)",
    "stop": "lambda: counter.stop()",
    "alive": "lambda: counter.is_alive()",
    "put": "lambda: art.put(1)",
    "get": "lambda: stored.get()",
    "status": "lambda: runtime.status()",
    "init": "lambda: art.init(cpus=1)",
    "init with other options": "lambda: art.init(mode='local')",
    "run": "lambda: art.run(awaited)",
}


@pytest.mark.parametrize("options", ["cpus=1", "mode='local'"])
def test_every_operation_of_a_forked_child_raises_at_once_and_the_parent_still_works(
    options: str, tmp_path: Path, directory: Path
) -> None:
    uses = ", ".join(f"({name!r}, {use})" for name, use in USES.items())
    code = PREPARED + textwrap.dedent(f"""
    runtime = art.init({options})
    counter = Counter.spawn().result(20)
    waiting = Counter.options(shutdown_s=0.1).spawn().result(20).wait()
    stored = art.put("x")

    async def awaited():
        await waiting

    in_child({uses})
    print(counter.add().result(20), stored.get(), Counter.spawn().result(20).add(2).result(20))
    """)
    script = run_script(code, tmp_path, directory)
    assert (script.process.returncode, complaints(script)) == (0, [])
    *refusals, last = script.output.splitlines()
    assert [line.split(":")[0] for line in refusals if REFUSAL in line] == list(USES), script.output
    assert last == "1 x 2"


def test_forked_child_shuts_nothing_down_and_exits_without_an_error(tmp_path: Path, directory: Path) -> None:
    code = PREPARED + textwrap.dedent("""
    art.init(cpus=1)
    counter = Counter.spawn().result(20)
    for end in (art.shutdown, sys.exit):
        pid = os.fork()
        if pid == 0:
            end()
            sys.exit(0)  # runs the exit handlers
        print(os.waitpid(pid, 0)[1], flush=True)
    print(counter.add().result(20))
    """)
    script = run_script(code, tmp_path, directory)
    assert (script.process.returncode, complaints(script)) == (0, [])
    assert script.output.split() == ["0", "0", "1"]


def test_multiprocessing_pool_that_does_not_use_the_runtime_works_while_it_runs(
    tmp_path: Path, directory: Path
) -> None:
    code = PREPARED + textwrap.dedent("""
    art.init(cpus=1)
    counter = Counter.spawn().result(20)
    with fork.Pool(2) as pool:
        print(pool.map(abs, [-1, -2, -3]), counter.add().result(20))
    """)
    script = run_script(code, tmp_path, directory)
    assert (script.process.returncode, complaints(script)) == (0, [])
    assert script.output == "[1, 2, 3] 1\n"


def test_child_forked_before_or_after_the_runtime_may_start_its_own_runtime(tmp_path: Path, directory: Path) -> None:
    code = PREPARED + textwrap.dedent("""
    def own():
        art.init(cpus=1)
        answer = Counter.spawn().result(20).add().result(20)
        art.shutdown()
        return answer

    in_child(("before", own))
    own()
    in_child(("after", own))
    """)
    script = run_script(code, tmp_path, directory)
    assert (script.process.returncode, complaints(script)) == (0, [])
    assert script.output.split() == ["before:", "1", "after:", "1"]


def test_node_ends_with_its_script_even_if_a_forked_child_still_runs(tmp_path: Path, directory: Path) -> None:
    code = PREPARED + textwrap.dedent("""
    art.init(cpus=1)
    child = os.fork()
    if child == 0:
        import threading
        threading.Event().wait(3600)
    print(child, flush=True)
    import threading
    threading.Event().wait(3600)
    """)
    with Script(code, tmp_path, directory) as script:
        child = int(script.line())
        others = [pid for pid in descendants_of(script.pid) if pid != child]
        try:
            script.send(signal.SIGKILL)
            wait_until_none_runs(others, within_s=5)
        finally:
            os.kill(child, signal.SIGKILL)


def test_operations_of_a_child_that_an_actor_forks_raise_too(tmp_path: Path, directory: Path) -> None:
    code = PREPARED + textwrap.dedent("""
    class Forker(art.Actor):
        def use(self):
            in_child(("put", lambda: art.put(1)))
            return "goes on"

    art.init(cpus=1)
    print(Forker.spawn().result(20).use().result(20))
    """)
    script = run_script(code, tmp_path, directory)
    assert script.process.returncode == 0, script.stderr
    assert "goes on" in script.output
    assert REFUSAL in script.output
