"""A zygote's answers, over a socket, in a process that forks nothing; and what a new worker does before its `main`."""

from __future__ import annotations

import errno
import gc
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actorrt.node.processes import after_fork, channel, zygote
from actorrt.node.processes.zygote import Zygote, preload


class Daemon:
    """The daemon's end of a zygote's channel."""

    def __init__(self) -> None:
        self.end, self.theirs = channel.open_pair()
        self.killed: list[set[int]] = []
        self.threads: list[str] | OSError = ["main"]
        self.fork_error: OSError | None = None

    def send(self, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        channel.send(self.end, channel.pack(message), fds)

    def serve(self) -> list[dict[str, Any]]:
        """Have a zygote serve all that was sent; return its answers."""
        self.end.shutdown(socket.SHUT_WR)
        Zygote(self.theirs, os.getpid()).serve()
        self.theirs.shutdown(socket.SHUT_WR)
        answers = []
        while (received := channel.receive(self.end)) is not None:
            answers.append(received[0])
        return answers


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    daemon = Daemon()

    def thread_names() -> list[str]:
        if isinstance(daemon.threads, OSError):
            raise daemon.threads
        return daemon.threads

    def fork() -> int:
        assert daemon.fork_error is not None, "nothing is forked here"
        raise daemon.fork_error

    monkeypatch.setattr(zygote, "thread_names", thread_names)
    monkeypatch.setattr(zygote, "kill_sessions", lambda ids: daemon.killed.append(set(ids)))
    monkeypatch.setattr(os, "fork", fork)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    yield daemon
    daemon.end.close()
    daemon.theirs.close()


def output_fds() -> tuple[int, int]:
    return 1, 2


def test_zygote_says_that_it_is_ready_and_kills_the_sessions_it_knows_at_the_end(daemon: Daemon) -> None:
    daemon.send({"kind": "keep", "pids": [5, 6, 7]})
    daemon.send({"kind": "forget", "pid": 6})
    assert daemon.serve() == [{"kind": "ready"}]
    assert daemon.killed == [{5, 7}]


@pytest.mark.parametrize(
    ("threads", "fds", "why"),
    [
        (["main", "loader"], output_fds(), "the zygote has 2 threads (main, loader); a fork would copy their locks"),
        (["main"], (), "the zygote has no descriptors left for the worker's output"),
        (OSError(errno.EMFILE, "no files"), output_fds(), "the zygote can't count its threads: [Errno 24] no files"),
        (["main"], output_fds(), "fork failed: [Errno 11] no process"),
    ],
)
def test_fork_that_can_not_be_is_refused_in_words(daemon: Daemon, threads: Any, fds: tuple[int, ...], why: str) -> None:
    daemon.threads, daemon.fork_error = threads, OSError(errno.EAGAIN, "no process")
    daemon.send({"kind": "fork", "id": 3, "config": {}}, fds)
    assert daemon.serve() == [{"kind": "ready"}, {"kind": "refused", "id": 3, "message": why}]
    assert daemon.killed == [set()]


def test_module_that_is_there_is_preloaded_and_one_that_is_not_is_told_of(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "found_by_zygote.py").write_text("import sys; sys.path.append('/left by the module')")
    before = sys.path[:]
    for module in ("found_by_zygote", "not_there_at_all"):
        daemon.send({"kind": "preload", "module": module, "sys_path": [str(tmp_path)]})
    answers = daemon.serve()
    problem = "ModuleNotFoundError: No module named 'not_there_at_all'"
    assert answers[1:] == [
        {"kind": "preloaded", "module": "found_by_zygote", "problem": None, "is_end": False},
        {"kind": "preloaded", "module": "not_there_at_all", "problem": problem, "is_end": False},
    ]
    assert sys.path == before
    assert sys.modules.pop("found_by_zygote")


@pytest.mark.parametrize(
    ("threads", "words"),
    [
        (["main", "pool", "pool"], "it starts threads (pool, pool), whose locks a fork would copy"),
        (OSError(errno.EMFILE, "no files"), "the zygote can't tell whether it starts threads: [Errno 24] no files"),
    ],
)
def test_zygote_that_a_module_brought_threads_ends_and_leaves_its_sessions_alone(
    daemon: Daemon, threads: Any, words: str
) -> None:
    daemon.threads = threads
    daemon.send({"kind": "keep", "pids": [5]})
    daemon.send({"kind": "preload", "module": "json", "sys_path": sys.path})
    daemon.send({"kind": "fork", "id": 1, "config": {}})
    assert daemon.serve()[1:] == [{"kind": "preloaded", "module": "json", "problem": words, "is_end": True}]
    assert daemon.killed == []


def test_collector_runs_on_after_a_preload_that_fails() -> None:
    with pytest.raises(ModuleNotFoundError):
        preload(["not_there_at_all"])
    assert gc.isenabled()


# After the fork


@pytest.mark.parametrize(
    ("code", "status", "told"), [(None, 0, ""), (0, 0, ""), (7, 7, ""), ("no more", 1, "no more\n")]
)
def test_exit_status_is_the_code_of_system_exit(
    code: object, status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert after_fork._status_of(SystemExit(code)) == status
    assert capsys.readouterr().err == told


def test_entry_is_the_workers_main_unless_the_request_names_another() -> None:
    from actorrt.node.worker import main

    assert after_fork._entry({}) is main.main
    assert after_fork._entry({"entry": "json:dumps"}).__name__ == "dumps"


def test_worker_whose_daemon_ended_meanwhile_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(after_fork, "set_parent_death_signal", lambda _: done.append("death signal"))
    for daemon_pid, is_adopted in ((os.getppid(), True), (os.getppid() + 1, False)):
        read_fd, write_fd = os.pipe()
        os.close(write_fd)  # as readable as the pidfd of a process that has ended
        if is_adopted:
            after_fork.be_adopted(read_fd, daemon_pid)
        else:
            with pytest.raises(SystemExit, match="the node daemon ended while this process was being forked"):
                after_fork.be_adopted(read_fd, daemon_pid)
    assert done == ["death signal"] * 2


def test_worker_draws_other_numbers_than_its_zygote(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    np.random.seed(7)
    first = np.random.random(4).tolist()
    np.random.seed(7)
    after_fork._draw_seeds()
    assert np.random.random(4).tolist() != first
    monkeypatch.delitem(sys.modules, "numpy.random")
    after_fork._draw_seeds()
