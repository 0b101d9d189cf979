"""A run whose loop is a stand-in: its metrics, and what is left of its directory's lock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actorrt.rl.records.run_directory import DirectoryLock
from actorrt.rl.runs import run as module
from actorrt.rl.runs.callbacks import Callback, Callbacks
from actorrt.rl.runs.run import Run
from tests.unit.rl.runs.running import make_plan


@pytest.fixture(autouse=True)
def no_runtime(monkeypatch):
    """Let runs begin without a node."""
    monkeypatch.setattr(module.art, "init", lambda: None)
    monkeypatch.setattr(module.art, "preload", lambda *modules, apart=False: None)


class FakeLoop:
    """A loop that works until it is told to end, or raises."""

    error: Exception | None = None

    def __init__(self, *arguments: Any) -> None:
        pass

    async def run(self, should_end):
        if self.error is not None:
            raise self.error
        while not should_end():
            await asyncio.sleep(0)

    def hurry(self):
        pass


class FailingLoop(FakeLoop):
    error = OSError("the disk is full")


def make_run(directory, loop=FakeLoop, *callbacks):
    return Run(make_plan(), str(directory), loop, lambda run: Callbacks(run, callbacks))


def test_metrics_have_the_columns_of_the_last_row(tmp_path):
    run = make_run(tmp_path)
    assert run.metrics.num_rows == 0
    run._record.rows += [{"steps": 4, "share_0": 1.0}, {"steps": 8, "share_0": 0.5, "share_1": 1.0}]
    assert run.metrics.to_pydict() == {"steps": [4, 8], "share_0": [1.0, 0.5], "share_1": [None, 1.0]}


def test_second_run_in_a_directory_is_refused_until_the_first_has_ended(tmp_path):
    first = make_run(tmp_path).start()
    with pytest.raises(ValueError, match="is that of a run which is under way"):
        make_run(tmp_path).start()
    first.stop()
    first.wait(10)
    second = make_run(tmp_path).start()
    second.stop()
    assert second.wait(10).state == "paused"


@pytest.mark.parametrize("loop", [FailingLoop, FakeLoop])
def test_run_that_fails_to_start_or_later_leaves_its_directory_free(loop, tmp_path, monkeypatch):
    if loop is FakeLoop:
        monkeypatch.setattr(module.art, "init", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make_run(tmp_path, loop).start()
    else:
        with pytest.raises(OSError, match="the disk is full"):
            make_run(tmp_path, loop).start().wait(10)
    DirectoryLock(str(tmp_path)).release()


def test_run_that_was_killed_before_its_thread_began_has_paused(tmp_path):
    run = make_run(tmp_path)
    run.kill()
    assert run.start().wait(10).state == "paused"


def test_run_whose_callback_fails_at_the_start_has_failed_and_is_told_so(tmp_path):
    class Bad(Callback):
        def on_start(self, run):
            raise LookupError("no account")

    ended = []
    good = type("Good", (Callback,), {"on_end": lambda self, run: ended.append(run)})()
    run = make_run(tmp_path, FakeLoop, good, Bad()).start()
    with pytest.raises(LookupError, match="no account"):
        run.wait(10)
    assert (run.state, ended) == ("failed", [run])
