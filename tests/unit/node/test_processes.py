"""How a process ended, as a reason."""

import signal

import pytest

from actorrt.node.processes import ProcessExit
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
