"""Silence of a worker: stopped, blocked or busy; what is said of it, and when it is replaced."""

from __future__ import annotations

import pytest

from actorrt.node.daemon.hangs import Dump, Finding, Recovered, Replace, Silence, Vigil, Warn


def looked(vigil: Vigil, at: float, state: str = "S", cpu_s: float = 0.0) -> list[Finding]:
    """Look at a worker that has been silent since the beginning."""
    return vigil.looked(at, at, state, cpu_s)


def test_worker_that_answers_is_left_alone() -> None:
    vigil = Vigil(None, 0.0)
    assert looked(vigil, 4.9) == []
    assert vigil.answered(5.0, 0.0) == []


@pytest.mark.parametrize(
    ("state", "cpu_s", "silence"),
    [("S", 0.1, Silence.BLOCKED), ("D", 0.1, Silence.BLOCKED), ("S", 4.0, Silence.BUSY), ("R", 0.1, Silence.BUSY)],
)
def test_silence_of_five_seconds_is_warned_of_once_with_its_cause(state: str, cpu_s: float, silence: Silence) -> None:
    vigil = Vigil(None, 0.0)
    assert looked(vigil, 4.9, state, cpu_s) == []
    stack = [Dump()] if silence is Silence.BLOCKED else []
    assert looked(vigil, 5.0, state, cpu_s) == [*stack, Warn(silence, 5.0)]
    assert looked(vigil, 6.0, state, cpu_s) == []


def test_stack_of_a_busy_worker_is_asked_for_where_it_may_be_replaced_or_blocks_later() -> None:
    assert Dump() in looked(Vigil(4.0, 0.0), 2.0, state="R")
    vigil = Vigil(None, 0.0)
    looked(vigil, 5.0, state="R")
    assert looked(vigil, 20.0, state="S", cpu_s=5.0) == [Dump()]


def test_stopped_process_is_warned_of_after_a_second_and_not_asked_for_a_stack() -> None:
    vigil = Vigil(None, 0.0)
    assert looked(vigil, 0.9, state="T") == []
    assert looked(vigil, 1.0, state="T") == [Warn(Silence.STOPPED, 1.0)]
    assert looked(vigil, 60.0, state="T") == []


def test_stack_is_asked_for_at_half_the_limit_and_the_process_replaced_at_the_limit() -> None:
    vigil = Vigil(2.0, 0.0)
    assert looked(vigil, 0.9) == []
    assert looked(vigil, 1.0) == [Dump()]
    assert looked(vigil, 2.0) == [Replace(Silence.BLOCKED, 2.0)]
    assert looked(vigil, 2.5) == []


def test_process_that_is_found_at_its_limit_gets_a_look_of_time_for_its_stack() -> None:
    vigil = Vigil(0.4, 0.0)
    assert looked(vigil, 0.5) == [Dump()]
    assert looked(vigil, 0.6) == [Replace(Silence.BLOCKED, 0.6)]


def test_stopped_process_is_replaced_without_a_stack() -> None:
    assert looked(Vigil(0.4, 0.0), 0.5, state="T") == [Replace(Silence.STOPPED, 0.5)]


def test_busy_worker_is_replaced_too_where_there_is_a_limit() -> None:
    vigil = Vigil(4.0, 0.0)
    looked(vigil, 2.0, cpu_s=2.0)
    assert looked(vigil, 4.0, cpu_s=4.0) == [Replace(Silence.BUSY, 4.0)]


def test_worker_without_a_limit_is_never_replaced() -> None:
    vigil = Vigil(None, 0.0)
    assert not any(isinstance(f, Replace) for at in (1e6, 1e6 + 1) for f in looked(vigil, at))


def test_answer_after_a_warning_is_said_and_the_count_begins_anew() -> None:
    vigil = Vigil(None, 0.0)
    looked(vigil, 5.0)
    assert vigil.answered(7.0, 0.0) == [Recovered(5.0)]
    assert vigil.looked(11.9, 4.9, "S", 0.0) == []
    assert vigil.looked(12.0, 5.0, "S", 0.0) == [Dump(), Warn(Silence.BLOCKED, 5.0)]


def test_time_in_which_the_watcher_was_held_up_is_no_silence() -> None:
    assert Vigil(2.0, 0.0).looked(60.0, 0.5, "S", 0.0) == []


@pytest.mark.parametrize(("limit_s", "look_s"), [(None, 0.5), (10.0, 0.5), (1.0, 0.25)])
def test_looks_are_close_enough_for_the_limit(limit_s: float | None, look_s: float) -> None:
    assert Vigil(limit_s, 0.0).next_look_s == look_s
