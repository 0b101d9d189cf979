"""Workers as processes, with processes that are not made: what they are forked with, and what is said of their ends."""

from __future__ import annotations

import asyncio
import os
import signal as signals
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from actorrt.actors.cells import crash_notes
from actorrt.errors import ActorStartError
from actorrt.ids import PeerAddress
from actorrt.node.daemon.process_workers import CRASH_NOTES_SUFFIX, ProcessWorkers
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.processes.process_watch import ProcessExit
from actorrt.protocol.nodes import JobSetting
from actorrt.protocol.processes import CallInHand
from actorrt.reasons import ExitKind, ExitReason
from tests.unit.node.fakes import IDS

SETTING = JobSetting(namespace="ns", log_level=30, sys_path=["/code"], cwd="/home", env_vars={"A": "1", "B": "1"})
NODE = PeerAddress(IDS.peer(), "unix:///node")
JOB = Job(IDS.job(), PeerAddress(IDS.peer(), "unix:///driver"), SETTING)


class Process:
    """One that was forked: it ends when the test says so."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.is_running = True
        self.signals: list[int] = []

    def kill(self, signal: int = signals.SIGKILL) -> None:
        self.signals.append(signal)


class Processes:
    """A `ProcessFactory` without processes."""

    def __init__(self) -> None:
        self.configs: list[dict[str, Any]] = []
        self.preloaded: list[Any] = []
        self.prepared: list[Any] = []
        self.preloaded_to_fork: Sequence[str] = ()
        self.on_exit: Callable[[ProcessExit], None] | None = None
        self.fork_error: Exception | None = None
        self.watch_error: Exception | None = None
        self.while_forking: Callable[[], None] = lambda: None
        self.output: tuple[int, int] = (-1, -1)

    def preload(self, modules: Any, sys_path: Any) -> None:
        self.preloaded.append((modules, sys_path))

    def prepare(self, modules: Any, sys_path: Any) -> None:
        self.prepared.append((modules, sys_path))

    async def fork(self, config: dict[str, Any], stdout_fd: int, stderr_fd: int, preload: Sequence[str] = ()) -> int:
        self.configs.append(config)
        self.preloaded_to_fork = preload
        self.while_forking()
        if self.fork_error is not None:
            raise self.fork_error
        self.output = os.dup(stdout_fd), os.dup(stderr_fd)
        return 4711

    def watch(self, pid: int, on_exit: Callable[[ProcessExit], None]) -> Process:
        if self.watch_error is not None:
            self.close_output()
            raise self.watch_error
        self.on_exit = on_exit
        return Process(pid)

    def close_output(self) -> None:
        for fd in self.output:
            os.close(fd)

    def end(self, text: bytes = b"", **how: Any) -> None:
        """Have the process print, and end."""
        os.write(self.output[1], text)
        self.close_output()
        assert self.on_exit is not None
        self.on_exit(ProcessExit(4711, **how))


class Node:
    """The factory, and what it says."""

    def __init__(self, directory: Path, *, may_preload: bool = True) -> None:
        self.processes = Processes()
        self.exits: list[tuple[Worker, ExitReason]] = []
        self.output: list[Any] = []
        self.factory = ProcessWorkers(
            self.processes,  # type: ignore[arg-type]
            directory,
            "/store",
            lambda worker, reason: self.exits.append((worker, reason)),
            lambda job, pid, lines: self.output.append((job, pid, [tuple(line) for line in lines])),
            may_preload=may_preload,
        )
        self.factory.node = NODE

    def worker(self, **env_vars: str) -> Worker:
        return Worker(self.factory.new_peer_address(IDS), WorkerKind.OWN, JOB, "sim", env_vars)


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_worker_is_forked_with_all_that_it_needs_to_find_its_node(node: Node, tmp_path: Path) -> None:
    worker = node.worker(B="2")
    await node.factory.launch(worker)
    socket = f"{tmp_path}/{worker.peer.hex()}"
    assert node.processes.configs == [
        {
            "peer": worker.peer,
            "address": f"unix://{socket}",
            "crash_notes": socket + CRASH_NOTES_SUFFIX,
            "node": tuple(NODE),
            "store": "/store",
            "job": JOB.job_id,
            "label": "sim",
            "namespace": "ns",
            "log_level": 30,
            "sys_path": ["/code"],
            "cwd": "/home",
            "env_vars": {"A": "1", "B": "2"},
            "serves_tasks": False,
            "is_light": False,
            "code": None,
        }
    ]
    assert (worker.pid, worker.process.signals) == (4711, [])
    node.processes.end(exit_status=0)


@pytest.mark.parametrize(
    "error", [OSError(24, "no descriptors"), ValueError("too large"), ActorStartError("no zygote")]
)
@pytest.mark.parametrize("call", ["fork_error", "watch_error"])
async def test_launch_that_fails_names_the_worker_and_leaves_no_pipe(node: Node, error: Exception, call: str) -> None:
    setattr(node.processes, call, error)
    with pytest.raises(ActorStartError) as caught:
        await node.factory.launch(node.worker())
    if isinstance(error, ActorStartError):
        assert caught.value is error
    else:
        assert str(caught.value) == f"sim got no process: {error}"
    assert node.exits == []


async def test_worker_that_is_dismissed_while_it_is_forked_is_killed_at_once(node: Node) -> None:
    worker = node.worker()

    def dismiss() -> None:
        worker.is_leaving = True

    node.processes.while_forking = dismiss
    await node.factory.launch(worker)
    assert worker.process.signals == [signals.SIGKILL]
    node.processes.end(signal=int(signals.SIGKILL), was_killed_by_us=True)
    assert node.exits == [(worker, ExitReason(ExitKind.KILLED, signal=9))]


async def test_end_of_a_crashed_worker_is_told_with_its_last_lines_and_its_socket_is_removed(node: Node) -> None:
    worker = node.worker()
    await node.factory.launch(worker)
    socket = Path(worker.peer_address.address.removeprefix("unix://"))
    socket.touch()
    node.processes.end(b"first\nlast\n", signal=int(signals.SIGSEGV))
    reason = ExitReason(ExitKind.CRASHED, "its last line was 'last'", "first\nlast", signal=11)
    assert node.exits == [(worker, reason)]
    assert node.output == [(JOB.job_id, 4711, [("sim", "stderr", "first"), ("sim", "stderr", "last")])]
    assert not socket.exists()


async def test_worker_that_was_told_to_leave_is_not_blamed_for_its_last_line(node: Node) -> None:
    worker = node.worker()
    await node.factory.launch(worker)
    worker.is_leaving = True
    node.processes.end(b"goodbye\n", exit_status=0)
    assert node.exits == [(worker, ExitReason(ExitKind.CRASHED, exit_status=0))]


async def test_worker_that_hung_ended_for_that_and_its_stack_is_the_traceback(node: Node) -> None:
    worker = node.worker()
    await node.factory.launch(worker)
    worker.hang = "it gave no sign of life for 3.0 s"
    node.processes.end(b"in spin\n", signal=int(signals.SIGKILL), was_killed_by_us=True)
    assert node.exits == [(worker, ExitReason(ExitKind.CRASHED, worker.hang, "in spin", signal=9))]


async def test_notes_on_the_calls_in_hand_are_taken_over(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    in_hand = [CallInHand(IDS.peer(), 3)]
    taken: list[str] = []

    def take(path: str) -> tuple[list[Any], int]:
        taken.append(path)
        return in_hand, 2

    monkeypatch.setattr(crash_notes, "take", take)
    worker = node.worker()
    await node.factory.launch(worker)
    node.processes.end(exit_status=1)
    assert (worker.in_hand, worker.begun_count) == (in_hand, 2)
    assert taken == [worker.peer_address.address.removeprefix("unix://") + CRASH_NOTES_SUFFIX]


async def test_modules_are_preloaded_only_where_one_job_has_the_zygote_to_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    alone, shared = Node(tmp_path), Node(tmp_path, may_preload=False)
    for node in (alone, shared):
        node.factory.preload(["gymnasium", "json"], JOB)
    assert (alone.processes.preloaded, shared.processes.preloaded) == ([(["gymnasium", "json"], ["/code"])], [])
    alone.factory.preload(["torch"], JOB, apart=True)
    assert (alone.processes.prepared, len(alone.processes.preloaded)) == ([(["torch"], ["/code"])], 1)
    for node, expected in ((alone, ("torch",)), (shared, ())):
        worker = node.worker()
        worker.preload = ("torch",)
        await node.factory.launch(worker)
        assert node.processes.preloaded_to_fork == expected
        node.processes.end(exit_status=0)
    assert caplog.messages == ["workers import gymnasium, json themselves: this node serves other jobs, too"]


async def test_kill_reaches_a_process_and_does_without_one(node: Node) -> None:
    worker = node.worker()
    node.factory.kill(worker)
    await node.factory.launch(worker)
    node.factory.kill(worker)
    assert worker.process.signals == [signals.SIGKILL]
    node.processes.end(signal=9, was_killed_by_us=True)
    await asyncio.sleep(0)
