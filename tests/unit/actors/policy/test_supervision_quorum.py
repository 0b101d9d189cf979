"""A pool that is healthy while a quorum of its children runs."""

from __future__ import annotations

import pytest

from actorrt.actors.policy.childspec import Strategy
from actorrt.actors.policy.instructions import (
    Forget,
    GiveUp,
    RetryAfter,
    StartOne,
)
from actorrt.actors.policy.options import RestartType
from actorrt.actors.policy.supervision import Supervision
from actorrt.reasons import NORMAL, SHUTDOWN, ExitKind, ExitReason
from tests.unit.actors.policy.supervising import CRASHED, HEALTHY, cut, given_up, running, settle, specs, states


def pool(
    text: str, quorum: int, restart: RestartType = RestartType.PERMANENT, max_restarts: int | None = 5
) -> Supervision:
    return running(specs(text, restart), Strategy.QUORUM, max_restarts, quorum=quorum)


def test_quorum_above_it_a_failed_child_alone_is_restarted() -> None:
    supervision = pool("abc", 1)
    assert supervision.child_exited("b", CRASHED, 1.0) == [StartOne("b")]


def test_quorum_of_just_enough_that_run_is_a_quorum() -> None:
    supervision = pool("abc", 2)
    assert supervision.child_exited("a", CRASHED, 1.0) == [StartOne("a")]


def test_quorum_of_too_few_that_run_gives_up_after_stopping_them() -> None:
    supervision = pool("abc", 2)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    done = settle(supervision, supervision.child_exited("b", CRASHED, 1.0), 1.0)
    detail = "1 of 3 children run, and quorum is 2; the last that failed was 'b', which ended with crashed (SIGKILL)"
    reason = ExitReason(ExitKind.INTENSITY, detail)
    assert done == [Forget("b", reason), cut("c"), Forget("c"), cut("a"), Forget("a"), GiveUp(reason)]


def test_quorum_counts_a_child_again_once_it_runs_again() -> None:
    supervision = pool("abc", 2)
    supervision.child_exited("a", CRASHED, 1.0)
    supervision.child_started("a", 1.0)
    assert supervision.child_exited("b", CRASHED, 1.0, **HEALTHY) == [StartOne("b")]


def test_quorum_more_failures_than_max_restarts_slow_down_and_do_not_give_up() -> None:
    supervision = pool("abc", 1, max_restarts=1)
    assert supervision.child_exited("a", CRASHED, 1.0, **HEALTHY) == [StartOne("a")]
    supervision.child_started("a", 1.0)
    assert supervision.child_exited("a", CRASHED, 1.0, **HEALTHY) == [RetryAfter("a", 10.0)]
    assert supervision.retry_due("a") == [StartOne("a")]


def test_quorum_is_not_judged_when_a_child_is_stopped_on_request() -> None:
    supervision = pool("ab", 2)
    supervision.stop_child_requested("a")
    assert supervision.child_exited("a", SHUTDOWN, 1.0) == [Forget("a")]
    assert states(supervision) == {"b": "running"}


def test_quorum_is_not_judged_when_a_child_ends_normally() -> None:
    supervision = pool("ab", 2, RestartType.TRANSIENT)
    assert supervision.child_exited("a", NORMAL, 1.0) == [Forget("a")]


@pytest.mark.parametrize("restart", RestartType)
def test_quorum_is_lost_by_the_failure_of_a_child_of_any_restart_type(restart: RestartType) -> None:
    supervision = pool("ab", 2, restart)
    done = settle(supervision, supervision.child_exited("a", CRASHED, 1.0), 1.0)
    assert done[1:3] == [cut("b"), Forget("b")]
    assert given_up(done).kind is ExitKind.INTENSITY


def test_quorum_of_temporary_children_shrinks_to_it_and_no_further() -> None:
    supervision = pool("abc", 2, RestartType.TEMPORARY)
    assert supervision.child_exited("a", CRASHED, 1.0) == [Forget("a")]
    done = settle(supervision, supervision.child_exited("b", CRASHED, 1.0), 1.0)
    assert done[1:3] == [cut("c"), Forget("c")]
    assert given_up(done).kind is ExitKind.INTENSITY


def test_quorum_is_not_judged_while_the_first_children_start() -> None:
    supervision = Supervision(lambda: 0.0, strategy=Strategy.QUORUM, quorum=2)
    supervision.start_requested(specs("ab"))
    supervision.child_started("a", 0.0)
    assert supervision.child_exited("a", CRASHED, 0.0) == [StartOne("a")]


def test_quorum_larger_than_the_pool_is_refused() -> None:
    supervision = Supervision(lambda: 0.0, strategy=Strategy.QUORUM, quorum=3)
    with pytest.raises(ValueError, match="quorum=3 with 2 children"):
        supervision.start_requested(specs("ab"))


def test_quorum_without_its_strategy_is_refused() -> None:
    with pytest.raises(ValueError, match="quorum=2 with strategy='one_for_one'"):
        Supervision(lambda: 0.0, quorum=2)


def test_strategy_quorum_without_a_quorum_is_refused() -> None:
    with pytest.raises(ValueError, match="strategy='quorum' without a quorum"):
        Supervision(lambda: 0.0, strategy=Strategy.QUORUM)


def test_quorum_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="quorum=0: give a whole number of at least 1"):
        Supervision(lambda: 0.0, strategy=Strategy.QUORUM, quorum=0)
