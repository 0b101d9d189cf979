"""Restarts, a test for each cell: restart type and exit reason, strategy and which child failed."""

from __future__ import annotations

import pytest

from actorrt.actors.policy.childspec import Strategy
from actorrt.actors.policy.instructions import (
    Forget,
    GiveUp,
    RetryAfter,
    StartOne,
    StartSeveral,
    StopOne,
)
from actorrt.actors.policy.options import RestartType
from actorrt.reasons import KILLED, NORMAL, SHUTDOWN, ExitKind
from tests.unit.actors.policy.supervising import (
    CRASHED,
    ERROR,
    HEALTHY,
    REASONS,
    cut,
    recalled,
    running,
    settle,
    specs,
    states,
)

OUTCOMES = {  # supervisor.erl, do_restart: permanent always, transient unless it ended as it should, temporary never
    ExitKind.NORMAL: ("starts-again", "ends", "is-forgotten"),
    ExitKind.SHUTDOWN: ("starts-again", "ends", "is-forgotten"),
    ExitKind.KILLED: ("starts-again", "starts-again", "is-forgotten"),
    ExitKind.ERROR: ("starts-again", "starts-again", "is-forgotten"),
    ExitKind.CRASHED: ("starts-again", "starts-again", "is-forgotten"),
    ExitKind.OUT_OF_MEMORY: ("starts-again", "starts-again", "is-forgotten"),
    ExitKind.NODE_LOST: ("starts-again", "starts-again", "is-forgotten"),
    ExitKind.INTENSITY: ("starts-again", "starts-again", "is-forgotten"),
}
RESTARTS = (RestartType.PERMANENT, RestartType.TRANSIENT, RestartType.TEMPORARY)
CELLS = [
    pytest.param(restart, kind, outcome, id=f"{restart}-{kind}-{outcome}")
    for kind, outcomes in OUTCOMES.items()
    for restart, outcome in zip(RESTARTS, outcomes, strict=True)
]


def test_every_exit_reason_has_its_cells() -> None:
    assert OUTCOMES.keys() == set(ExitKind)


@pytest.mark.parametrize(("restart", "kind", "outcome"), CELLS)
def test_child_that_exits_by_itself(restart: RestartType, kind: ExitKind, outcome: str) -> None:
    supervision = running(specs("a", restart))
    expected, state = {
        "starts-again": ([StartOne("a")], {"a": "starting"}),
        "ends": ([Forget("a")], {"a": "ended"}),
        "is-forgotten": ([Forget("a")], {}),
    }[outcome]
    assert supervision.child_exited("a", REASONS[kind], 1.0) == expected
    assert states(supervision) == state


@pytest.mark.parametrize(("restart", "kind", "outcome"), CELLS)
def test_failure_is_counted_where_the_child_starts_again(restart: RestartType, kind: ExitKind, outcome: str) -> None:
    supervision = running(specs("a", restart), max_restarts=0)
    done = supervision.child_exited("a", REASONS[kind], 1.0)
    assert any(isinstance(i, GiveUp) for i in done) == (outcome == "starts-again")


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("restart", RESTARTS)
@pytest.mark.parametrize("kind", [ExitKind.SHUTDOWN, ExitKind.KILLED])
def test_child_that_somebody_ordered_to_end_is_removed(
    strategy: Strategy, restart: RestartType, kind: ExitKind
) -> None:
    supervision = running([*specs("a", restart), *specs("b")], strategy, max_restarts=0)
    assert supervision.child_exited("a", REASONS[kind], 1.0, is_administrative=True) == [Forget("a")]
    assert states(supervision) == {"b": "running"}


@pytest.mark.parametrize(
    ("strategy", "failed", "stopped", "started"),
    [
        (Strategy.ONE_FOR_ONE, "a", "", "a"),
        (Strategy.ONE_FOR_ONE, "b", "", "b"),
        (Strategy.ONE_FOR_ONE, "c", "", "c"),
        (Strategy.ONE_FOR_ALL, "a", "cb", "abc"),
        (Strategy.ONE_FOR_ALL, "b", "ca", "abc"),
        (Strategy.ONE_FOR_ALL, "c", "ba", "abc"),
        (Strategy.REST_FOR_ONE, "a", "cb", "abc"),
        (Strategy.REST_FOR_ONE, "b", "c", "bc"),
        (Strategy.REST_FOR_ONE, "c", "", "c"),
        (Strategy.QUORUM, "a", "", "a"),
        (Strategy.QUORUM, "b", "", "b"),
        (Strategy.QUORUM, "c", "", "c"),
    ],
)
def test_failure_stops_and_starts(strategy: Strategy, failed: str, stopped: str, started: str) -> None:
    supervision = running(specs("abc"), strategy)
    done = settle(supervision, supervision.child_exited(failed, CRASHED, 1.0), 1.0)
    assert done == [*map(recalled, stopped), *map(StartOne, started)]
    assert states(supervision) == dict.fromkeys("abc", "running")


def test_group_is_stopped_and_started_by_one_instruction_each() -> None:
    supervision = running(specs("abcd"), Strategy.ONE_FOR_ALL)
    assert supervision.child_exited("b", CRASHED, 1.0) == [recalled("d", "c", "a")]
    assert supervision.child_exited("d", SHUTDOWN, 1.0) == []
    assert supervision.child_exited("c", SHUTDOWN, 1.0) == []
    assert supervision.child_exited("a", SHUTDOWN, 1.0) == [StartSeveral(("a", "b", "c", "d"))]


def test_failed_start_in_turn_lines_those_behind_it_up_again() -> None:
    supervision = running(specs("abc"), Strategy.ONE_FOR_ALL)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    supervision.child_exited("c", SHUTDOWN, 1.0)
    assert supervision.child_exited("b", SHUTDOWN, 1.0) == [StartSeveral(("a", "b", "c"))]
    assert supervision.child_started("a", 1.0) == []
    assert supervision.start_not_reached("c") == []
    assert supervision.child_start_failed("b", ERROR, 1.0) == [RetryAfter("b", 0.1), recalled("a")]
    assert supervision.child_exited("a", SHUTDOWN, 1.0) == []
    assert supervision.retry_due("b") == [StartSeveral(("a", "b", "c"))]


def test_child_in_turn_that_is_to_stop_lets_the_others_start() -> None:
    supervision = running(specs("abc"), Strategy.ONE_FOR_ALL)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    supervision.child_exited("c", SHUTDOWN, 1.0)
    supervision.child_exited("b", SHUTDOWN, 1.0)
    assert supervision.stop_child_requested("b") == [StopOne("b")]
    assert supervision.child_started("a", 1.0) == []
    assert supervision.child_start_failed("b", ERROR, 1.0) == [Forget("b")]
    assert supervision.child_started("c", 1.0) == []
    assert states(supervision) == {"a": "running", "c": "running"}


def test_child_in_turn_that_is_to_stop_and_was_not_reached_is_removed() -> None:
    supervision = running(specs("abc"), Strategy.ONE_FOR_ALL)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    supervision.child_exited("c", SHUTDOWN, 1.0)
    supervision.child_exited("b", SHUTDOWN, 1.0)
    supervision.stop_child_requested("c")
    assert supervision.start_not_reached("c") == [Forget("c")]
    assert supervision.start_not_reached("b") == []
    assert supervision.child_start_failed("a", ERROR, 1.0) == [RetryAfter("a", 0.1)]
    assert supervision.retry_due("a") == [StartSeveral(("a", "b"))]


def test_child_that_had_ended_and_starts_with_its_group_is_a_new_actor_and_starts_apart() -> None:
    supervision = running([*specs("a"), *specs("t", RestartType.TRANSIENT), *specs("b")], Strategy.ONE_FOR_ALL)
    supervision.child_exited("t", NORMAL, 1.0)
    assert supervision.child_exited("a", CRASHED, 1.0) == [recalled("b")]
    assert supervision.child_exited("b", SHUTDOWN, 1.0) == [StartOne("a")]
    assert supervision.child_started("a", 1.0) == [StartOne("t")]
    assert supervision.child_started("t", 1.0) == [StartOne("b")]


def test_group_starts_only_after_the_last_of_it_has_stopped() -> None:
    supervision = running(specs("abc"), Strategy.ONE_FOR_ALL)
    assert supervision.child_exited("b", CRASHED, 1.0) == [recalled("c", "a")]
    assert supervision.child_exited("a", CRASHED, 1.0) == []
    assert supervision.child_exited("c", SHUTDOWN, 1.0) == [StartSeveral(("a", "b", "c"))]


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_temporary_child_that_a_sibling_stopped_is_not_started_again(strategy: Strategy) -> None:
    supervision = running([*specs("a"), *specs("t", RestartType.TEMPORARY), *specs("c")], strategy)
    done = settle(supervision, supervision.child_exited("a", CRASHED, 1.0), 1.0)
    assert done == [recalled("c"), cut("t"), Forget("t"), StartOne("a"), StartOne("c")]


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_transient_child_that_a_sibling_stopped_is_started_again(strategy: Strategy) -> None:
    supervision = running([*specs("a"), *specs("t", RestartType.TRANSIENT)], strategy)
    done = settle(supervision, supervision.child_exited("a", CRASHED, 1.0), 1.0)
    assert done == [recalled("t"), StartOne("a"), StartOne("t")]


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_transient_child_that_had_ended_normally_starts_again_with_its_group(strategy: Strategy) -> None:
    supervision = running([*specs("a"), *specs("t", RestartType.TRANSIENT)], strategy)
    supervision.child_exited("t", NORMAL, 1.0)
    assert settle(supervision, supervision.child_exited("a", CRASHED, 2.0), 2.0) == [StartOne("a"), StartOne("t")]


def test_child_that_dies_before_its_turn_to_stop_is_neither_stopped_nor_counted() -> None:
    supervision = running(specs("abc"), Strategy.ONE_FOR_ALL, max_restarts=1)
    supervision.child_exited("b", CRASHED, 1.0)
    assert supervision.child_exited("a", CRASHED, 1.0) == []
    assert supervision.child_exited("c", KILLED, 1.0) == [StartSeveral(("a", "b", "c"))]
    assert [child.restart_count for child in supervision.children()] == [1, 1, 1]


def test_failure_during_a_group_restart_begins_it_anew() -> None:
    supervision = running(specs("abc"), Strategy.ONE_FOR_ALL)
    supervision.child_exited("a", CRASHED, 1.0)
    supervision.child_exited("c", SHUTDOWN, 1.0)
    assert supervision.child_exited("b", SHUTDOWN, 1.0) == [StartSeveral(("a", "b", "c"))]
    assert supervision.child_started("a", 1.0) == []
    assert supervision.child_exited("a", CRASHED, 1.0, **HEALTHY) == [recalled("c")]
    assert supervision.child_start_failed("c", ERROR, 1.0) == [recalled("b")]
    assert supervision.child_started("b", 1.0) == []
    assert supervision.child_exited("b", SHUTDOWN, 1.0) == [StartSeveral(("a", "b", "c"))]
