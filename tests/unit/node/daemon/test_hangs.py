"""The silence of a worker: its cause (stopped, blocked or busy), the warnings, and when the worker is replaced."""

from __future__ import annotations

import pytest

from actorrt.node.daemon.hangs import Dump, Finding, HangWatch, Recovered, Replace, SilenceCause, Warn


def looked(watch: HangWatch, at: float, state: str = "S", cpu_s: float = 0.0) -> list[Finding]:
    """Look at a worker that has been silent since the beginning."""
    return watch.looked(at, at, state, cpu_s)


def test_worker_that_answers_is_left_alone() -> None:
    watch = HangWatch(None, 0.0)
    assert looked(watch, 4.9) == []
    assert watch.answered(5.0, 0.0) == []


@pytest.mark.parametrize(
    ("state", "cpu_s", "silence"),
    [
        ("S", 0.1, SilenceCause.BLOCKED),
        ("D", 0.1, SilenceCause.BLOCKED),
        ("S", 4.0, SilenceCause.BUSY),
        ("R", 0.1, SilenceCause.BUSY),
    ],
)
def test_silence_of_five_seconds_is_warned_of_once_with_its_cause(
    state: str, cpu_s: float, silence: SilenceCause
) -> None:
    watch = HangWatch(None, 0.0)
    assert looked(watch, 4.9, state, cpu_s) == []
    stack = [Dump()] if silence is SilenceCause.BLOCKED else []
    assert looked(watch, 5.0, state, cpu_s) == [*stack, Warn(silence, 5.0)]
    assert looked(watch, 6.0, state, cpu_s) == []


def test_stack_of_a_busy_worker_is_asked_for_where_it_may_be_replaced_or_blocks_later() -> None:
    assert Dump() in looked(HangWatch(4.0, 0.0), 2.0, state="R")
    watch = HangWatch(None, 0.0)
    looked(watch, 5.0, state="R")
    assert looked(watch, 20.0, state="S", cpu_s=5.0) == [Dump()]


def test_stopped_process_is_warned_of_after_a_second_and_not_asked_for_a_stack() -> None:
    watch = HangWatch(None, 0.0)
    assert looked(watch, 0.9, state="T") == []
    assert looked(watch, 1.0, state="T") == [Warn(SilenceCause.STOPPED, 1.0)]
    assert looked(watch, 60.0, state="T") == []


def test_stack_is_asked_for_at_half_the_limit_and_the_process_replaced_at_the_limit() -> None:
    watch = HangWatch(2.0, 0.0)
    assert looked(watch, 0.9) == []
    assert looked(watch, 1.0) == [Dump()]
    assert looked(watch, 2.0) == [Replace(SilenceCause.BLOCKED, 2.0)]
    assert looked(watch, 2.5) == []


def test_process_that_is_found_at_its_limit_gets_a_look_of_time_for_its_stack() -> None:
    watch = HangWatch(0.4, 0.0)
    assert looked(watch, 0.5) == [Dump()]
    assert looked(watch, 0.6) == [Replace(SilenceCause.BLOCKED, 0.6)]


def test_stopped_process_is_replaced_without_a_stack() -> None:
    assert looked(HangWatch(0.4, 0.0), 0.5, state="T") == [Replace(SilenceCause.STOPPED, 0.5)]


def test_busy_worker_is_replaced_too_where_there_is_a_limit() -> None:
    watch = HangWatch(4.0, 0.0)
    looked(watch, 2.0, cpu_s=2.0)
    assert looked(watch, 4.0, cpu_s=4.0) == [Replace(SilenceCause.BUSY, 4.0)]


def test_worker_without_a_limit_is_never_replaced() -> None:
    watch = HangWatch(None, 0.0)
    assert not any(isinstance(f, Replace) for at in (1e6, 1e6 + 1) for f in looked(watch, at))


def test_answer_after_a_warning_is_said_and_the_count_begins_anew() -> None:
    watch = HangWatch(None, 0.0)
    looked(watch, 5.0)
    assert watch.answered(7.0, 0.0) == [Recovered(5.0)]
    assert watch.looked(11.9, 4.9, "S", 0.0) == []
    assert watch.looked(12.0, 5.0, "S", 0.0) == [Dump(), Warn(SilenceCause.BLOCKED, 5.0)]


def test_time_in_which_the_watcher_was_held_up_is_no_silence() -> None:
    assert HangWatch(2.0, 0.0).looked(60.0, 0.5, "S", 0.0) == []


@pytest.mark.parametrize(("limit_s", "look_s"), [(None, 0.5), (10.0, 0.5), (1.0, 0.25)])
def test_looks_are_close_enough_for_the_limit(limit_s: float | None, look_s: float) -> None:
    assert HangWatch(limit_s, 0.0).next_look_s == look_s
