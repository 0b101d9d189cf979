"""How often is too often: the sliding window; and how long failed restarts wait."""

from __future__ import annotations

import pytest

from actorrt.actors.policy.backoff import Backoff
from actorrt.actors.policy.childspec import ChildSpec, Strategy
from actorrt.actors.policy.instructions import (
    Forget,
    GiveUp,
    RetryAfter,
    StartOne,
    StartSeveral,
)
from actorrt.actors.policy.options import RestartType
from actorrt.reasons import NORMAL, SHUTDOWN, ExitKind, ExitReason
from tests.unit.actors.policy.supervising import (
    CRASHED,
    ERROR,
    HEALTHY,
    cut,
    given_up,
    recalled,
    running,
    settle,
    specs,
    states,
)


@pytest.mark.parametrize("max_restarts", [0, 1, 3])
def test_one_failure_more_than_max_restarts_within_the_period_gives_up(max_restarts: int) -> None:
    supervision = running(specs("ab"), max_restarts=max_restarts)
    for _ in range(max_restarts):
        assert supervision.child_exited("a", CRASHED, 1.0, **HEALTHY) == [StartOne("a")]
        supervision.child_started("a", 1.0)
    detail = (
        f"{max_restarts + 1} failures within 30 s, and max_restarts is {max_restarts}; "
        "the last was 'a', which ended with crashed (SIGKILL)"
    )
    reason = ExitReason(ExitKind.INTENSITY, detail)
    assert supervision.child_exited("a", CRASHED, 31.0, **HEALTHY) == [Forget("a", reason), cut("b")]
    assert supervision.child_exited("b", SHUTDOWN, 31.0) == [Forget("b"), GiveUp(reason)]


def test_all_that_wait_to_start_again_when_their_supervisor_gives_up_end_with_its_reason() -> None:
    supervision = running(specs("abc"), max_restarts=2)
    supervision.child_exited("a", CRASHED, 1.0)
    supervision.child_start_failed("a", ERROR, 1.0, cause="x")
    done = settle(supervision, supervision.child_exited("b", CRASHED, 1.0), 1.0)
    reason = given_up(done)
    assert done == [Forget("b", reason), Forget("a", reason), cut("c"), Forget("c"), GiveUp(reason)]


def test_failure_older_than_the_period_no_longer_counts() -> None:
    supervision = running(specs("a"), max_restarts=1)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    supervision.child_started("a", 1.0)
    assert supervision.child_exited("a", CRASHED, 31.001, **HEALTHY) == [StartOne("a")]


def test_window_slides_rather_than_starting_over() -> None:
    supervision = running(specs("a"), max_restarts=2)
    for now in (0.0, 20.0, 40.0, 60.0):
        assert supervision.child_exited("a", CRASHED, now, **HEALTHY) == [StartOne("a")]
        supervision.child_started("a", now)
    assert given_up(supervision.child_exited("a", CRASHED, 61.0, **HEALTHY)).kind is ExitKind.INTENSITY


def test_children_share_the_window_of_their_supervisor() -> None:
    supervision = running(specs("ab"), max_restarts=1)
    supervision.child_exited("a", CRASHED, 1.0)
    done = settle(supervision, supervision.child_exited("b", CRASHED, 1.0), 1.0)
    assert given_up(done).kind is ExitKind.INTENSITY


def test_normal_exit_of_a_transient_child_is_not_counted() -> None:
    supervision = running([*specs("t", RestartType.TRANSIENT), *specs("a")], max_restarts=0)
    assert supervision.child_exited("t", NORMAL, 1.0) == [Forget("t")]


def test_crash_of_a_temporary_child_is_not_counted() -> None:
    supervision = running([*specs("t", RestartType.TEMPORARY), *specs("a")], max_restarts=0)
    assert supervision.child_exited("t", CRASHED, 1.0) == [Forget("t")]


def test_failures_of_one_cause_count_once() -> None:
    supervision = running(specs("abcd"), max_restarts=1)
    for id in "abcd":
        assert supervision.child_exited(id, ExitReason(ExitKind.NODE_LOST), 1.0, cause=b"node-1") == [StartOne(id)]


def test_failures_of_two_causes_count_twice() -> None:
    supervision = running(specs("abcd"), max_restarts=1)
    supervision.child_exited("a", CRASHED, 1.0, cause=b"node-1")
    done = settle(supervision, supervision.child_exited("b", CRASHED, 1.0, cause=b"node-2"), 1.0)
    assert given_up(done).kind is ExitKind.INTENSITY


def test_supervisor_without_max_restarts_never_gives_up() -> None:
    supervision = running(specs("a"), max_restarts=None)
    for _ in range(1000):
        assert supervision.child_exited("a", CRASHED, 1.0, **HEALTHY) == [StartOne("a")]
        supervision.child_started("a", 1.0)


def test_failed_restart_counts_and_is_retried_as_an_event() -> None:
    supervision = running(specs("a"), max_restarts=2)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    assert supervision.child_start_failed("a", ERROR, 1.0) == [RetryAfter("a", 0.1)]
    assert states(supervision) == {"a": "backing_off"}
    assert supervision.retry_due("a") == [StartOne("a")]
    assert given_up(supervision.child_start_failed("a", ERROR, 1.2)).kind is ExitKind.INTENSITY


def test_failed_restarts_wait_longer_each_time_up_to_the_cap() -> None:
    supervision = running([ChildSpec("a", backoff=Backoff(first_s=1, max_s=5, jitter=0))], max_restarts=None)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    delays = []
    for _ in range(5):
        (retry,) = supervision.child_start_failed("a", ERROR, 1.0)
        assert isinstance(retry, RetryAfter)
        delays.append(retry.delay_s)
        assert supervision.retry_due("a") == [StartOne("a")]
    assert delays == [1, 2, 4, 5, 5]


def test_repeated_death_before_the_first_message_backs_off() -> None:
    supervision = running(specs("a"))
    assert supervision.child_exited("a", CRASHED, 1.0) == [StartOne("a")]
    supervision.child_started("a", 1.0)
    assert supervision.child_exited("a", CRASHED, 1.1) == [RetryAfter("a", 0.1)]


def test_incarnation_that_handled_a_message_is_followed_at_once() -> None:
    supervision = running(specs("a"))
    for _ in range(5):
        assert supervision.child_exited("a", CRASHED, 1.0, **HEALTHY) == [StartOne("a")]
        supervision.child_started("a", 1.0)


def test_supervisor_answers_others_while_a_child_backs_off() -> None:
    supervision = running(specs("ab"))
    supervision.child_exited("a", CRASHED, 1.0)
    supervision.child_start_failed("a", ERROR, 1.0)
    assert supervision.child_exited("b", CRASHED, 1.0) == [StartOne("b")]
    assert supervision.child_added(ChildSpec("c")) == [StartOne("c")]


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_group_backs_off_as_a_whole(strategy: Strategy) -> None:
    supervision = running(specs("ab"), strategy)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    supervision.child_exited("b", SHUTDOWN, 1.0)
    supervision.start_not_reached("b")
    assert supervision.child_start_failed("a", ERROR, 1.0) == [RetryAfter("a", 0.1)]
    assert states(supervision) == {"a": "backing_off", "b": "waiting"}
    assert supervision.retry_due("a") == [StartSeveral(("a", "b"))]


def test_failed_restart_in_one_for_all_stops_those_that_had_started() -> None:
    supervision = running(specs("ab"), Strategy.ONE_FOR_ALL)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    supervision.child_exited("b", SHUTDOWN, 1.0)
    supervision.child_started("a", 1.0)
    assert supervision.child_start_failed("b", ERROR, 1.0) == [RetryAfter("b", 0.1), recalled("a")]
    assert supervision.retry_due("b") == []
    assert supervision.child_exited("a", SHUTDOWN, 1.0) == [StartSeveral(("a", "b"))]


def test_retry_of_a_child_that_is_gone_has_no_effect() -> None:
    assert running(specs("a")).retry_due("b") == []
