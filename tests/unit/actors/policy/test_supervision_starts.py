"""First starts, one after the other, and children that are added later."""

from __future__ import annotations

import pytest

from actorrt.actors.policy.childspec import ChildSpec, Strategy
from actorrt.actors.policy.instructions import (
    Forget,
    GiveUp,
    Ready,
    StartOne,
)
from actorrt.actors.policy.options import RestartType
from actorrt.actors.policy.supervision import Supervision
from actorrt.errors import RuntimeStateError
from actorrt.reasons import NORMAL, SHUTDOWN
from tests.unit.actors.policy.supervising import CRASHED, ERROR, cut, running, settle, specs, states


def test_children_start_one_after_the_other_in_order() -> None:
    supervision = Supervision(lambda: 0.0)
    assert supervision.start_requested(specs("abc")) == [StartOne("a")]
    assert supervision.child_started("a", 0.0) == [StartOne("b")]
    assert supervision.child_started("b", 0.0) == [StartOne("c")]
    assert supervision.child_started("c", 0.0) == [Ready()]


def test_supervisor_without_children_is_ready_at_once() -> None:
    assert Supervision(lambda: 0.0).start_requested([]) == [Ready()]


def test_first_start_failure_stops_the_started_in_reverse_and_gives_up() -> None:
    supervision = Supervision(lambda: 0.0)
    supervision.start_requested(specs("abcd"))
    supervision.child_started("a", 0.0)
    supervision.child_started("b", 0.0)
    assert supervision.child_start_failed("c", ERROR, 0.0) == [Forget("d"), Forget("c"), cut("b", "a")]
    assert supervision.child_exited("b", SHUTDOWN, 0.0) == [Forget("b")]
    assert supervision.child_exited("a", SHUTDOWN, 0.0) == [Forget("a"), GiveUp(ERROR)]


def test_exit_of_a_child_that_is_starting_is_a_start_failure() -> None:
    supervision = Supervision(lambda: 0.0)
    supervision.start_requested(specs("a"))
    assert supervision.child_exited("a", CRASHED, 0.0) == [Forget("a"), GiveUp(CRASHED)]


def test_child_that_crashes_while_others_start_is_restarted() -> None:
    supervision = Supervision(lambda: 0.0)
    supervision.start_requested(specs("ab"))
    supervision.child_started("a", 0.0)
    assert supervision.child_exited("a", CRASHED, 0.0) == [StartOne("a")]
    assert supervision.child_started("b", 0.0) == [Ready()]


def test_child_added_starts_at_once() -> None:
    assert running(specs("a")).child_added(ChildSpec("b")) == [StartOne("b")]


def test_child_added_whose_first_start_fails_is_forgotten_and_not_counted() -> None:
    supervision = running(specs("a"), max_restarts=0)
    supervision.child_added(ChildSpec("b"))
    assert supervision.child_start_failed("b", ERROR, 1.0) == [Forget("b")]
    assert states(supervision) == {"a": "running"}


@pytest.mark.parametrize("strategy", Strategy)
def test_first_start_failure_of_an_added_child_lets_the_next_one_start(strategy: Strategy) -> None:
    supervision = running(specs("a"), strategy)
    done = [*supervision.child_added(ChildSpec("b")), *supervision.child_added(ChildSpec("c"))]
    assert [*done, *supervision.child_start_failed("b", ERROR, 1.0)].count(StartOne("c")) == 1
    supervision.child_started("c", 1.0)
    assert states(supervision) == {"a": "running", "c": "running"}


def test_child_added_during_a_group_restart_starts_last() -> None:
    supervision = running(specs("ab"), Strategy.ONE_FOR_ALL)
    supervision.child_exited("a", CRASHED, 1.0)
    assert supervision.child_added(ChildSpec("c")) == []
    done = settle(supervision, supervision.child_exited("b", SHUTDOWN, 1.0), 1.0)
    assert done == [StartOne("a"), StartOne("b"), StartOne("c")]


def test_id_of_a_live_child_is_refused() -> None:
    with pytest.raises(ValueError, match="child id 'a' is taken: stop that child first, or give another id="):
        running(specs("a")).child_added(ChildSpec("a"))


def test_id_of_a_child_that_has_ended_can_be_taken() -> None:
    supervision = running(specs("a", RestartType.TRANSIENT))
    supervision.child_exited("a", NORMAL, 1.0)
    assert supervision.child_added(ChildSpec("a")) == [StartOne("a")]


def test_child_added_to_a_supervisor_that_ends_is_refused() -> None:
    supervision = running(specs("a"))
    supervision.stop_requested()
    with pytest.raises(RuntimeStateError, match="child 'b' was not started: its supervisor is ending"):
        supervision.child_added(ChildSpec("b"))
