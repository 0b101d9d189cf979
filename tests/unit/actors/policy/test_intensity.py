"""The sliding window of failures: what it counts, and when it is over its bound."""

from __future__ import annotations

from actorrt.actors.policy.intensity import RestartWindow


def test_window_admits_as_many_failures_as_it_may_hold_and_no_more() -> None:
    window = RestartWindow(2, 10.0)
    assert [window.admits(now) for now in (1.0, 2.0, 3.0)] == [True, True, False]
    assert len(window) == 3


def test_window_that_may_hold_none_refuses_the_first_failure() -> None:
    assert RestartWindow(0, 10.0).admits(1.0) is False


def test_window_without_bound_admits_everything_and_counts_nothing() -> None:
    window = RestartWindow(None, 10.0)
    assert [window.admits(1.0) for _ in range(100)] == [True] * 100
    assert len(window) == 0


def test_failure_at_the_end_of_the_window_counts_and_one_before_it_does_not() -> None:
    assert [RestartWindow(1, 10.0).admits(now) for now in (1.0,)] == [True]
    at_end, beyond = RestartWindow(1, 10.0), RestartWindow(1, 10.0)
    at_end.admits(1.0)
    beyond.admits(1.0)
    assert (at_end.admits(11.0), beyond.admits(11.001)) == (False, True)
    assert (len(at_end), len(beyond)) == (2, 1)


def test_failures_of_one_cause_count_once_while_the_first_is_in_the_window() -> None:
    window = RestartWindow(1, 10.0)
    assert [window.admits(now, "node") for now in (1.0, 5.0, 11.0)] == [True, True, True]
    assert len(window) == 1
    assert window.admits(11.5, "node") is True  # the first has left the window: this one is counted
    assert window.admits(11.6, "worker") is False


def test_failures_without_a_cause_count_each() -> None:
    window = RestartWindow(1, 10.0)
    assert [window.admits(1.0, None), window.admits(1.0, None)] == [True, False]
