"""Silence of a worker: stopped, blocked or busy; what is said of it, and when it is replaced."""

from __future__ import annotations

import pytest

from actorrt.node.hangs import Dump, Recovered, Replace, Silence, Vigil, Warn


def test_worker_that_answers_is_left_alone() -> None:
    vigil = Vigil(None, 0.0)
    assert vigil.looked(4.9, False, 0.0) == []
    assert vigil.answered(5.0, 0.0) == []


@pytest.mark.parametrize(
    ("is_stopped", "cpu_s", "silence"),
    [(True, 0.0, Silence.STOPPED), (False, 0.1, Silence.BLOCKED), (False, 4.0, Silence.BUSY)],
)
def test_silence_of_five_seconds_is_warned_of_once_with_its_cause(
    is_stopped: bool, cpu_s: float, silence: Silence
) -> None:
    vigil = Vigil(None, 0.0)
    findings = vigil.looked(5.0, is_stopped, cpu_s)
    assert findings[-1] == Warn(silence, 5.0)
    assert vigil.looked(6.0, is_stopped, cpu_s) == []


def test_stack_is_asked_for_before_the_warning() -> None:
    assert Vigil(None, 0.0).looked(5.0, False, 0.0) == [Dump(), Warn(Silence.BLOCKED, 5.0)]


def test_stopped_process_is_not_asked_for_a_stack() -> None:
    assert Vigil(None, 0.0).looked(5.0, True, 0.0) == [Warn(Silence.STOPPED, 5.0)]


def test_stack_is_asked_for_at_half_the_limit_and_the_process_replaced_at_the_limit() -> None:
    vigil = Vigil(2.0, 0.0)
    assert vigil.looked(0.9, False, 0.0) == []
    assert vigil.looked(1.0, False, 0.0) == [Dump()]
    assert vigil.looked(2.0, False, 0.0) == [Replace(Silence.BLOCKED, 2.0)]
    assert vigil.looked(2.5, False, 0.0) == []


def test_busy_worker_is_replaced_too_where_there_is_a_limit() -> None:
    assert Vigil(6.0, 0.0).looked(6.0, False, 6.0)[-1] == Replace(Silence.BUSY, 6.0)


def test_worker_without_a_limit_is_never_replaced() -> None:
    assert not any(isinstance(f, Replace) for f in Vigil(None, 0.0).looked(1e6, False, 0.0))


def test_answer_after_a_warning_is_said_and_the_count_begins_anew() -> None:
    vigil = Vigil(None, 0.0)
    vigil.looked(5.0, False, 0.0)
    assert vigil.answered(7.0, 0.0) == [Recovered(7.0)]
    assert vigil.looked(11.9, False, 0.0) == []
    assert vigil.looked(12.0, False, 0.0) == [Dump(), Warn(Silence.BLOCKED, 5.0)]


def test_silence_while_the_watcher_was_held_up_proves_nothing() -> None:
    vigil = Vigil(2.0, 0.0)
    vigil.paused(10.0)
    assert vigil.looked(10.5, False, 0.0) == []


@pytest.mark.parametrize(("limit_s", "look_s"), [(None, 1.0), (10.0, 1.0), (2.0, 0.5)])
def test_looks_are_close_enough_for_the_limit(limit_s: float | None, look_s: float) -> None:
    assert Vigil(limit_s, 0.0).next_look_s == look_s
