"""How children and their supervisor end: by order, with its stop, and with significant children."""

from __future__ import annotations

import pytest

from actorrt.actors.policy.childspec import AutoShutdown, Strategy
from actorrt.actors.policy.instructions import (
    Forget,
    GiveUp,
    StartOne,
    StopOne,
    Stopped,
    StopSeveral,
)
from actorrt.actors.policy.options import RestartType
from actorrt.actors.policy.supervision import Supervision
from actorrt.reasons import KILLED, NORMAL, SHUTDOWN, ExitKind, ExitReason
from tests.unit.actors.policy.supervising import CRASHED, ERROR, recalled, running, settle, significant, specs


@pytest.mark.parametrize("restart", RestartType)
@pytest.mark.parametrize("kill", [False, True])
def test_child_stopped_on_request_is_not_restarted(restart: RestartType, kill: bool) -> None:
    supervision = running(specs("a", restart))
    assert supervision.stop_child_requested("a", kill=kill) == [StopOne("a", kill)]
    assert supervision.child_exited("a", KILLED if kill else SHUTDOWN, 1.0) == [Forget("a")]


def test_exit_that_somebody_asked_the_actor_for_is_not_restarted() -> None:
    supervision = running(specs("a"), max_restarts=0)
    assert supervision.child_exited("a", KILLED, 1.0, is_administrative=True) == [Forget("a")]


def test_removed_child_stays_away_when_its_group_restarts() -> None:
    supervision = running(specs("ab"), Strategy.ONE_FOR_ALL)
    settle(supervision, supervision.stop_child_requested("b"), 1.0)
    assert settle(supervision, supervision.child_exited("a", CRASHED, 1.0), 1.0) == [StartOne("a")]


def test_stop_of_a_child_that_its_group_stops_already_removes_it() -> None:
    supervision = running(specs("ab"), Strategy.ONE_FOR_ALL)
    assert supervision.child_exited("a", CRASHED, 1.0) == [recalled("b")]
    assert supervision.stop_child_requested("b") == []
    assert supervision.child_exited("b", SHUTDOWN, 1.0) == [Forget("b"), StartOne("a")]


def test_stop_asked_again_with_kill_becomes_a_kill() -> None:
    supervision = running(specs("a"))
    supervision.stop_child_requested("a")
    assert supervision.stop_child_requested("a") == []
    assert supervision.stop_child_requested("a", kill=True) == [StopOne("a", kill=True)]


def test_child_that_backs_off_is_removed_on_request() -> None:
    supervision = running(specs("a"))
    supervision.child_exited("a", CRASHED, 1.0)
    supervision.child_start_failed("a", ERROR, 1.0)
    assert supervision.stop_child_requested("a") == [Forget("a")]
    assert supervision.retry_due("a") == []


def test_start_under_way_that_is_stopped_ends_the_sequence_at_the_next_child() -> None:
    supervision = Supervision(lambda: 0.0)
    supervision.start_requested(specs("ab"))
    assert supervision.stop_child_requested("a") == [StopOne("a")]
    assert supervision.child_started("a", 0.0) == []
    assert supervision.child_exited("a", SHUTDOWN, 0.0) == [Forget("a"), StartOne("b")]


def test_stop_ends_children_in_reverse_order_one_after_the_other() -> None:
    supervision = running(specs("abc"))
    assert supervision.stop_requested() == [StopSeveral(("c", "b", "a"))]
    assert supervision.child_exited("c", SHUTDOWN, 1.0) == [Forget("c")]
    assert supervision.child_exited("b", CRASHED, 1.0) == [Forget("b")]
    assert supervision.child_exited("a", SHUTDOWN, 1.0) == [Forget("a"), Stopped()]


def test_stop_asked_twice_happens_once() -> None:
    supervision = running(specs("a"))
    supervision.stop_requested()
    assert supervision.stop_requested() == []
    supervision.child_exited("a", SHUTDOWN, 1.0)
    assert supervision.stop_requested() == []


def test_stop_ends_a_start_under_way() -> None:
    supervision = Supervision(lambda: 0.0)
    supervision.start_requested(specs("ab"))
    assert supervision.stop_requested() == [Forget("b"), StopOne("a")]
    assert supervision.child_start_failed("a", ERROR, 0.0) == [Forget("a"), Stopped()]


def test_stop_ends_a_back_off() -> None:
    supervision = running(specs("a"))
    supervision.child_exited("a", CRASHED, 1.0)
    supervision.child_start_failed("a", ERROR, 1.0)
    assert supervision.stop_requested() == [Forget("a"), Stopped()]
    assert supervision.retry_due("a") == []


def test_stop_during_a_group_restart_lets_no_child_start_again() -> None:
    supervision = running(specs("abc"), Strategy.ONE_FOR_ALL)
    assert supervision.child_exited("a", CRASHED, 1.0) == [recalled("c", "b")]
    assert supervision.stop_requested() == [Forget("a")]
    assert supervision.child_exited("c", SHUTDOWN, 1.0) == [Forget("c")]
    assert supervision.child_exited("b", SHUTDOWN, 1.0) == [Forget("b"), Stopped()]


SIGNIFICANT_ENDS = [
    (AutoShutdown.NEVER, "first", "goes-on"),
    (AutoShutdown.NEVER, "last", "goes-on"),
    (AutoShutdown.ANY_SIGNIFICANT, "first", "ends"),
    (AutoShutdown.ANY_SIGNIFICANT, "last", "ends"),
    (AutoShutdown.ALL_SIGNIFICANT, "first", "goes-on"),
    (AutoShutdown.ALL_SIGNIFICANT, "last", "ends"),
]


@pytest.mark.parametrize("restart", [RestartType.TRANSIENT, RestartType.TEMPORARY])
@pytest.mark.parametrize(("auto_shutdown", "which", "outcome"), SIGNIFICANT_ENDS)
def test_supervisor_when_a_significant_child_ends_by_itself(
    restart: RestartType, auto_shutdown: AutoShutdown, which: str, outcome: str
) -> None:
    children = significant("st", restart) if which == "first" else significant("s", restart)
    supervision = running([*children, *specs("a")], auto_shutdown=auto_shutdown)
    done = settle(supervision, supervision.child_exited("s", NORMAL, 1.0), 1.0)
    assert isinstance(done[-1], GiveUp) == (outcome == "ends")


def test_any_significant_child_that_ends_by_itself_ends_its_supervisor() -> None:
    supervision = running([*specs("a"), *significant("st")], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    done = settle(supervision, supervision.child_exited("s", NORMAL, 1.0), 1.0)
    reason = ExitReason(ExitKind.SHUTDOWN, "significant child 's' ended: normal")
    assert done == [Forget("s"), StopOne("t"), Forget("t"), StopOne("a"), Forget("a"), GiveUp(reason)]


def test_all_significant_children_must_end_where_the_supervisor_says_so() -> None:
    supervision = running([*specs("a"), *significant("st")], auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    assert supervision.child_exited("s", NORMAL, 1.0) == [Forget("s")]
    assert supervision.child_exited("t", NORMAL, 1.0) == [Forget("t"), StopOne("a")]


def test_significant_child_that_is_restarted_does_not_end_its_supervisor() -> None:
    supervision = running([*specs("a"), *significant("s")], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    assert supervision.child_exited("s", CRASHED, 1.0) == [StartOne("s")]


def test_significant_child_stopped_on_request_does_not_end_its_supervisor() -> None:
    supervision = running([*specs("a"), *significant("s")], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    supervision.stop_child_requested("s")
    assert supervision.child_exited("s", SHUTDOWN, 1.0) == [Forget("s")]


def test_significant_child_ends_nothing_where_auto_shutdown_is_never() -> None:
    supervision = running([*specs("a"), *significant("s")])
    assert supervision.child_exited("s", NORMAL, 1.0) == [Forget("s")]
