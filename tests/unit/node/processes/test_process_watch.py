"""How a process ended, as a reason."""

import asyncio
import signal
import subprocess

import pytest

from actorrt.node.processes import process_watch
from actorrt.node.processes.process_watch import ProcessExit, watch_exit
from actorrt.reasons import ExitKind, ExitReason

CASES = [
    (ProcessExit(1, exit_status=3), ExitReason(ExitKind.CRASHED, exit_status=3)),
    (ProcessExit(1, exit_status=0), ExitReason(ExitKind.CRASHED, exit_status=0)),
    (ProcessExit(1, signal=signal.SIGSEGV), ExitReason(ExitKind.CRASHED, signal=signal.SIGSEGV)),
    (ProcessExit(1, signal=signal.SIGKILL), ExitReason(ExitKind.CRASHED, signal=signal.SIGKILL)),
    (ProcessExit(1, signal=signal.SIGKILL, was_killed_by_us=True), ExitReason(ExitKind.KILLED, signal=signal.SIGKILL)),
    (ProcessExit(1, exit_status=1, was_killed_by_us=True), ExitReason(ExitKind.CRASHED, exit_status=1)),
    (
        ProcessExit(1, signal=signal.SIGKILL, is_oom_suspected=True),
        ExitReason(ExitKind.OUT_OF_MEMORY, signal=signal.SIGKILL),
    ),
    (ProcessExit(1), ExitReason(ExitKind.CRASHED)),
]


@pytest.mark.parametrize(("ended", "reason"), CASES)
def test_exit_becomes_the_reason_its_actors_end_with(ended, reason):
    assert ended.to_reason() == reason


def test_last_lines_go_into_the_reason():
    reason = ProcessExit(1, signal=signal.SIGSEGV).to_reason("worker-3", "Fatal Python error")
    assert str(reason) == "crashed (SIGSEGV): worker-3"
    assert reason.traceback == "Fatal Python error"


@pytest.mark.parametrize(
    ("counts", "is_suspected"),
    [([0], False), ([1], True), ([1, 1], True), ([1, 1, 1], False), ([1, 1, 2], True)],
    ids=["none", "since-it-started", "before-the-last-look", "outlived", "another-one-since"],
)
async def test_kill_for_want_of_memory_is_suspected_while_the_process_has_not_outlived_it(
    monkeypatch, tmp_path, counts, is_suspected
):
    """`counts`: what the kernel says at each look, the last when the process has ended."""
    vmstat = tmp_path / "vmstat"
    monkeypatch.setattr(process_watch, "_VMSTAT", vmstat)
    vmstat.write_text("oom_kill 0\n")
    ended = asyncio.get_running_loop().create_future()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        watch = watch_exit(asyncio.get_running_loop(), process.pid, ended.set_result)
        for count in counts[:-1]:
            watch.outlived(count)
        vmstat.write_text(f"nr_free_pages 7\noom_kill {counts[-1]}\n")
        process.send_signal(signal.SIGKILL)
        how = await ended
        process.returncode = -signal.SIGKILL  # the watch has reaped it
    assert how == ProcessExit(process.pid, signal=signal.SIGKILL, is_oom_suspected=is_suspected)
