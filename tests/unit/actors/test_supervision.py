"""The decisions of a supervisor, one test for each cell of OTP's matrices, and ours where we differ."""

from __future__ import annotations

import pytest

from actorrt.actors.backoff import Backoff
from actorrt.actors.childspec import AutoShutdown, ChildSpec, Strategy
from actorrt.actors.instructions import ChildState, Forget, GiveUp, Instruction, Ready, RetryAfter, Start, Stop, Stopped
from actorrt.actors.options import RestartType
from actorrt.actors.supervision import Supervision
from actorrt.errors import RuntimeStateError
from actorrt.reasons import KILLED, NORMAL, SHUTDOWN, ExitKind, ExitReason

CRASHED = ExitReason(ExitKind.CRASHED, signal=9)
ERROR = ExitReason(ExitKind.ERROR, "ValueError: broken")
REASONS = {reason.kind: reason for reason in (NORMAL, SHUTDOWN, KILLED, CRASHED, ERROR)} | {
    kind: ExitReason(kind) for kind in (ExitKind.OUT_OF_MEMORY, ExitKind.NODE_LOST, ExitKind.INTENSITY)
}
HEALTHY = {"had_handled_message": True}


def specs(text: str, restart: RestartType = RestartType.PERMANENT) -> list[ChildSpec]:
    return [ChildSpec(id, restart) for id in text]


def running(
    children: list[ChildSpec],
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    max_restarts: int | None = 5,
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
) -> Supervision:
    """Make a supervision of which all children run since time 0."""
    supervision = Supervision(
        lambda: 0.0,
        strategy=strategy,
        max_restarts=max_restarts,
        auto_shutdown=auto_shutdown,
        quorum=1 if strategy is Strategy.QUORUM else None,
    )
    supervision.start_requested(children)
    for child in children:
        supervision.child_started(child.id, 0.0)
    return supervision


def states(supervision: Supervision) -> dict[str, str]:
    return {child.id: child.state.value for child in supervision.children()}


def settle(supervision: Supervision, instructions: list[Instruction], now: float) -> list[Instruction]:
    """Carry everything out at once, and return all that was to be done, in order."""
    done: list[Instruction] = []
    queue = list(instructions)
    while queue:
        instruction = queue.pop(0)
        done.append(instruction)
        match instruction:
            case Start(id):
                queue += supervision.child_started(id, now)
            case Stop(id):
                queue += supervision.child_exited(id, SHUTDOWN, now)
            case RetryAfter(id):
                queue += supervision.retry_due(id)
    return done


# Starting


def test_children_start_one_after_the_other_in_order() -> None:
    supervision = Supervision(lambda: 0.0)
    assert supervision.start_requested(specs("abc")) == [Start("a")]
    assert supervision.child_started("a", 0.0) == [Start("b")]
    assert supervision.child_started("b", 0.0) == [Start("c")]
    assert supervision.child_started("c", 0.0) == [Ready()]


def test_supervisor_without_children_is_ready_at_once() -> None:
    assert Supervision(lambda: 0.0).start_requested([]) == [Ready()]


def test_first_start_failure_stops_the_started_in_reverse_and_gives_up() -> None:
    supervision = Supervision(lambda: 0.0)
    supervision.start_requested(specs("abcd"))
    supervision.child_started("a", 0.0)
    supervision.child_started("b", 0.0)
    assert supervision.child_start_failed("c", ERROR, 0.0) == [Forget("d"), Forget("c"), Stop("b")]
    assert supervision.child_exited("b", SHUTDOWN, 0.0) == [Forget("b"), Stop("a")]
    assert supervision.child_exited("a", SHUTDOWN, 0.0) == [Forget("a"), GiveUp(ERROR)]


def test_exit_of_a_child_that_is_starting_is_a_start_failure() -> None:
    supervision = Supervision(lambda: 0.0)
    supervision.start_requested(specs("a"))
    assert supervision.child_exited("a", CRASHED, 0.0) == [Forget("a"), GiveUp(CRASHED)]


def test_child_that_crashes_while_others_start_is_restarted() -> None:
    supervision = Supervision(lambda: 0.0)
    supervision.start_requested(specs("ab"))
    supervision.child_started("a", 0.0)
    assert supervision.child_exited("a", CRASHED, 0.0) == [Start("a")]
    assert supervision.child_started("b", 0.0) == [Ready()]


# Restart type x exit reason (supervisor.erl, do_restart)


@pytest.mark.parametrize("kind", ExitKind)
def test_permanent_child_is_restarted_after(kind: ExitKind) -> None:
    supervision = running(specs("a"))
    assert supervision.child_exited("a", REASONS[kind], 1.0) == [Start("a")]


@pytest.mark.parametrize("kind", [ExitKind.NORMAL, ExitKind.SHUTDOWN])
def test_transient_child_is_not_restarted_after(kind: ExitKind) -> None:
    supervision = running(specs("a", RestartType.TRANSIENT))
    assert supervision.child_exited("a", REASONS[kind], 1.0) == [Forget("a")]
    assert states(supervision) == {"a": "ended"}


@pytest.mark.parametrize("kind", [kind for kind in ExitKind if kind not in (ExitKind.NORMAL, ExitKind.SHUTDOWN)])
def test_transient_child_is_restarted_after(kind: ExitKind) -> None:
    supervision = running(specs("a", RestartType.TRANSIENT))
    assert supervision.child_exited("a", REASONS[kind], 1.0) == [Start("a")]


@pytest.mark.parametrize("kind", ExitKind)
def test_temporary_child_is_never_restarted_after(kind: ExitKind) -> None:
    supervision = running(specs("a", RestartType.TEMPORARY))
    assert supervision.child_exited("a", REASONS[kind], 1.0) == [Forget("a")]
    assert states(supervision) == {}


# Strategy x which child failed


@pytest.mark.parametrize(
    ("strategy", "failed", "expected"),
    [
        (Strategy.ONE_FOR_ONE, "a", [Start("a")]),
        (Strategy.ONE_FOR_ONE, "b", [Start("b")]),
        (Strategy.ONE_FOR_ONE, "c", [Start("c")]),
        (Strategy.ONE_FOR_ALL, "a", [Stop("c"), Stop("b"), Start("a"), Start("b"), Start("c")]),
        (Strategy.ONE_FOR_ALL, "b", [Stop("c"), Stop("a"), Start("a"), Start("b"), Start("c")]),
        (Strategy.ONE_FOR_ALL, "c", [Stop("b"), Stop("a"), Start("a"), Start("b"), Start("c")]),
        (Strategy.REST_FOR_ONE, "a", [Stop("c"), Stop("b"), Start("a"), Start("b"), Start("c")]),
        (Strategy.REST_FOR_ONE, "b", [Stop("c"), Start("b"), Start("c")]),
        (Strategy.REST_FOR_ONE, "c", [Start("c")]),
    ],
)
def test_failure_restarts_the_group_of_the_strategy(
    strategy: Strategy, failed: str, expected: list[Instruction]
) -> None:
    supervision = running(specs("abc"), strategy)
    assert settle(supervision, supervision.child_exited(failed, CRASHED, 1.0), 1.0) == expected
    assert states(supervision) == dict.fromkeys("abc", "running")


def test_group_starts_only_after_the_last_of_it_has_stopped() -> None:
    supervision = running(specs("abc"), Strategy.ONE_FOR_ALL)
    assert supervision.child_exited("b", CRASHED, 1.0) == [Stop("c")]
    assert supervision.child_exited("c", SHUTDOWN, 1.0) == [Stop("a")]
    assert supervision.child_exited("a", SHUTDOWN, 1.0) == [Start("a")]
    assert supervision.child_started("a", 1.0) == [Start("b")]


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_temporary_child_that_a_sibling_stopped_is_not_started_again(strategy: Strategy) -> None:
    supervision = running([*specs("a"), *specs("t", RestartType.TEMPORARY), *specs("c")], strategy)
    done = settle(supervision, supervision.child_exited("a", CRASHED, 1.0), 1.0)
    assert done == [Stop("c"), Stop("t"), Forget("t"), Start("a"), Start("c")]


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_transient_child_that_a_sibling_stopped_is_started_again(strategy: Strategy) -> None:
    supervision = running([*specs("a"), *specs("t", RestartType.TRANSIENT)], strategy)
    done = settle(supervision, supervision.child_exited("a", CRASHED, 1.0), 1.0)
    assert done == [Stop("t"), Start("a"), Start("t")]


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_transient_child_that_had_ended_normally_starts_again_with_its_group(strategy: Strategy) -> None:
    supervision = running([*specs("a"), *specs("t", RestartType.TRANSIENT)], strategy)
    supervision.child_exited("t", NORMAL, 1.0)
    assert settle(supervision, supervision.child_exited("a", CRASHED, 2.0), 2.0) == [Start("a"), Start("t")]


def test_child_that_dies_before_its_turn_to_stop_is_neither_stopped_nor_counted() -> None:
    supervision = running(specs("abc"), Strategy.ONE_FOR_ALL, max_restarts=1)
    assert supervision.child_exited("b", CRASHED, 1.0) == [Stop("c")]
    assert supervision.child_exited("a", CRASHED, 1.0) == []
    assert supervision.child_exited("c", KILLED, 1.0) == [Start("a")]


def test_failure_during_a_group_restart_begins_it_anew() -> None:
    supervision = running(specs("abc"), Strategy.ONE_FOR_ALL)
    assert supervision.child_exited("a", CRASHED, 1.0) == [Stop("c")]
    supervision.child_exited("c", SHUTDOWN, 1.0)
    assert supervision.child_exited("b", SHUTDOWN, 1.0) == [Start("a")]
    assert supervision.child_started("a", 1.0) == [Start("b")]
    assert supervision.child_exited("a", CRASHED, 1.0, **HEALTHY) == [Stop("b")]
    assert supervision.child_started("b", 1.0) == []
    assert supervision.child_exited("b", SHUTDOWN, 1.0) == [Start("a")]


# Intensity: a sliding window


@pytest.mark.parametrize("max_restarts", [0, 1, 3])
def test_one_failure_more_than_max_restarts_within_the_period_gives_up(max_restarts: int) -> None:
    supervision = running(specs("ab"), max_restarts=max_restarts)
    for _ in range(max_restarts):
        assert supervision.child_exited("a", CRASHED, 1.0, **HEALTHY) == [Start("a")]
        supervision.child_started("a", 1.0)
    assert supervision.child_exited("a", CRASHED, 31.0, **HEALTHY) == [Forget("a"), Stop("b")]
    (forget, give_up) = supervision.child_exited("b", SHUTDOWN, 31.0)
    assert forget == Forget("b")
    assert isinstance(give_up, GiveUp)
    assert give_up.reason.kind is ExitKind.INTENSITY
    assert give_up.reason.detail == (
        f"{max_restarts + 1} failures within 30 s, and max_restarts is {max_restarts}; "
        "the last was 'a', which ended with crashed (SIGKILL)"
    )


def test_failure_older_than_the_period_no_longer_counts() -> None:
    supervision = running(specs("a"), max_restarts=1)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    supervision.child_started("a", 1.0)
    assert supervision.child_exited("a", CRASHED, 31.001, **HEALTHY) == [Start("a")]


def test_window_slides_rather_than_starting_over() -> None:
    supervision = running(specs("a"), max_restarts=2)
    for now in (0.0, 20.0, 40.0, 60.0):
        assert supervision.child_exited("a", CRASHED, now, **HEALTHY) == [Start("a")]
        supervision.child_started("a", now)
    assert supervision.child_exited("a", CRASHED, 61.0, **HEALTHY)[0] == Forget("a")


def test_children_share_the_window_of_their_supervisor() -> None:
    supervision = running(specs("ab"), max_restarts=1)
    supervision.child_exited("a", CRASHED, 1.0)
    assert supervision.child_exited("b", CRASHED, 1.0) == [Forget("b"), Stop("a")]


def test_normal_exit_of_a_transient_child_is_not_counted() -> None:
    supervision = running([*specs("t", RestartType.TRANSIENT), *specs("a")], max_restarts=0)
    assert supervision.child_exited("t", NORMAL, 1.0) == [Forget("t")]


def test_crash_of_a_temporary_child_is_not_counted() -> None:
    supervision = running([*specs("t", RestartType.TEMPORARY), *specs("a")], max_restarts=0)
    assert supervision.child_exited("t", CRASHED, 1.0) == [Forget("t")]


def test_failures_of_one_cause_count_once() -> None:
    supervision = running(specs("abcd"), max_restarts=1)
    for id in "abcd":
        assert supervision.child_exited(id, ExitReason(ExitKind.NODE_LOST), 1.0, cause=b"node-1") == [Start(id)]


def test_failures_of_two_causes_count_twice() -> None:
    supervision = running(specs("abcd"), max_restarts=1)
    supervision.child_exited("a", CRASHED, 1.0, cause=b"node-1")
    assert supervision.child_exited("b", CRASHED, 1.0, cause=b"node-2")[0] == Forget("b")


def test_supervisor_without_max_restarts_never_gives_up() -> None:
    supervision = running(specs("a"), max_restarts=None)
    for _ in range(1000):
        assert supervision.child_exited("a", CRASHED, 1.0, **HEALTHY) == [Start("a")]
        supervision.child_started("a", 1.0)


# Failed restarts and back-off


def test_failed_restart_counts_and_is_retried_as_an_event() -> None:
    supervision = running(specs("a"), max_restarts=2)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    assert supervision.child_start_failed("a", ERROR, 1.0) == [RetryAfter("a", 0.1)]
    assert states(supervision) == {"a": "backing_off"}
    assert supervision.retry_due("a") == [Start("a")]
    assert supervision.child_start_failed("a", ERROR, 1.2)[0] == Forget("a")


def test_failed_restarts_wait_longer_each_time_up_to_the_cap() -> None:
    supervision = running([ChildSpec("a", backoff=Backoff(first_s=1, max_s=5, jitter=0))], max_restarts=None)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    delays = []
    for _ in range(5):
        (retry,) = supervision.child_start_failed("a", ERROR, 1.0)
        assert isinstance(retry, RetryAfter)
        delays.append(retry.delay_s)
        assert supervision.retry_due("a") == [Start("a")]
    assert delays == [1, 2, 4, 5, 5]


def test_repeated_death_before_the_first_message_backs_off() -> None:
    supervision = running(specs("a"))
    assert supervision.child_exited("a", CRASHED, 1.0) == [Start("a")]
    supervision.child_started("a", 1.0)
    assert supervision.child_exited("a", CRASHED, 1.1) == [RetryAfter("a", 0.1)]


def test_incarnation_that_handled_a_message_is_followed_at_once() -> None:
    supervision = running(specs("a"))
    for _ in range(5):
        assert supervision.child_exited("a", CRASHED, 1.0, **HEALTHY) == [Start("a")]
        supervision.child_started("a", 1.0)


def test_supervisor_answers_others_while_a_child_backs_off() -> None:
    supervision = running(specs("ab"))
    supervision.child_exited("a", CRASHED, 1.0)
    supervision.child_start_failed("a", ERROR, 1.0)
    assert supervision.child_exited("b", CRASHED, 1.0) == [Start("b")]
    assert supervision.child_added(ChildSpec("c")) == [Start("c")]


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_group_backs_off_as_a_whole(strategy: Strategy) -> None:
    supervision = running(specs("ab"), strategy)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    supervision.child_exited("b", SHUTDOWN, 1.0)
    assert supervision.child_start_failed("a", ERROR, 1.0) == [RetryAfter("a", 0.1)]
    assert states(supervision) == {"a": "backing_off", "b": "waiting"}
    assert supervision.retry_due("a") == [Start("a")]


def test_failed_restart_in_one_for_all_stops_those_that_had_started() -> None:
    supervision = running(specs("ab"), Strategy.ONE_FOR_ALL)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    supervision.child_exited("b", SHUTDOWN, 1.0)
    supervision.child_started("a", 1.0)
    assert supervision.child_start_failed("b", ERROR, 1.0) == [RetryAfter("b", 0.1), Stop("a")]
    assert supervision.retry_due("b") == []
    assert supervision.child_exited("a", SHUTDOWN, 1.0) == [Start("a")]


def test_retry_of_a_child_that_is_gone_has_no_effect() -> None:
    assert running(specs("a")).retry_due("b") == []


# Administrative stops


@pytest.mark.parametrize("restart", RestartType)
@pytest.mark.parametrize("kill", [False, True])
def test_child_stopped_on_request_is_not_restarted(restart: RestartType, kill: bool) -> None:
    supervision = running(specs("a", restart))
    assert supervision.stop_child_requested("a", kill=kill) == [Stop("a", kill)]
    assert supervision.child_exited("a", KILLED if kill else SHUTDOWN, 1.0) == [Forget("a")]


def test_exit_that_somebody_asked_the_actor_for_is_not_restarted() -> None:
    supervision = running(specs("a"), max_restarts=0)
    assert supervision.child_exited("a", KILLED, 1.0, is_administrative=True) == [Forget("a")]


def test_removed_child_stays_away_when_its_group_restarts() -> None:
    supervision = running(specs("ab"), Strategy.ONE_FOR_ALL)
    settle(supervision, supervision.stop_child_requested("b"), 1.0)
    assert settle(supervision, supervision.child_exited("a", CRASHED, 1.0), 1.0) == [Start("a")]


def test_stop_of_a_child_that_its_group_stops_already_removes_it() -> None:
    supervision = running(specs("ab"), Strategy.ONE_FOR_ALL)
    assert supervision.child_exited("a", CRASHED, 1.0) == [Stop("b")]
    assert supervision.stop_child_requested("b") == []
    assert supervision.child_exited("b", SHUTDOWN, 1.0) == [Forget("b"), Start("a")]


def test_stop_asked_again_with_kill_becomes_a_kill() -> None:
    supervision = running(specs("a"))
    supervision.stop_child_requested("a")
    assert supervision.stop_child_requested("a") == []
    assert supervision.stop_child_requested("a", kill=True) == [Stop("a", kill=True)]


def test_child_that_backs_off_is_removed_on_request() -> None:
    supervision = running(specs("a"))
    supervision.child_exited("a", CRASHED, 1.0)
    supervision.child_start_failed("a", ERROR, 1.0)
    assert supervision.stop_child_requested("a") == [Forget("a")]
    assert supervision.retry_due("a") == []


def test_start_under_way_that_is_stopped_ends_the_sequence_at_the_next_child() -> None:
    supervision = Supervision(lambda: 0.0)
    supervision.start_requested(specs("ab"))
    assert supervision.stop_child_requested("a") == [Stop("a")]
    assert supervision.child_started("a", 0.0) == []
    assert supervision.child_exited("a", SHUTDOWN, 0.0) == [Forget("a"), Start("b")]


# Dynamic children


def test_child_added_starts_at_once() -> None:
    assert running(specs("a")).child_added(ChildSpec("b")) == [Start("b")]


def test_child_added_whose_first_start_fails_is_forgotten_and_not_counted() -> None:
    supervision = running(specs("a"), max_restarts=0)
    supervision.child_added(ChildSpec("b"))
    assert supervision.child_start_failed("b", ERROR, 1.0) == [Forget("b")]
    assert states(supervision) == {"a": "running"}


@pytest.mark.parametrize("strategy", Strategy)
def test_first_start_failure_of_an_added_child_lets_the_next_one_start(strategy: Strategy) -> None:
    supervision = running(specs("a"), strategy)
    done = [*supervision.child_added(ChildSpec("b")), *supervision.child_added(ChildSpec("c"))]
    assert [*done, *supervision.child_start_failed("b", ERROR, 1.0)].count(Start("c")) == 1
    supervision.child_started("c", 1.0)
    assert states(supervision) == {"a": "running", "c": "running"}


def test_child_added_during_a_group_restart_starts_last() -> None:
    supervision = running(specs("ab"), Strategy.ONE_FOR_ALL)
    supervision.child_exited("a", CRASHED, 1.0)
    assert supervision.child_added(ChildSpec("c")) == []
    done = settle(supervision, supervision.child_exited("b", SHUTDOWN, 1.0), 1.0)
    assert done == [Start("a"), Start("b"), Start("c")]


def test_id_of_a_live_child_is_refused() -> None:
    with pytest.raises(ValueError, match="child id 'a' is taken: stop that child first, or give another id="):
        running(specs("a")).child_added(ChildSpec("a"))


def test_id_of_a_child_that_has_ended_can_be_taken() -> None:
    supervision = running(specs("a", RestartType.TRANSIENT))
    supervision.child_exited("a", NORMAL, 1.0)
    assert supervision.child_added(ChildSpec("a")) == [Start("a")]


def test_child_added_to_a_supervisor_that_ends_is_refused() -> None:
    supervision = running(specs("a"))
    supervision.stop_requested()
    with pytest.raises(RuntimeStateError, match="child 'b' was not started: its supervisor is ending"):
        supervision.child_added(ChildSpec("b"))


# The end


def test_stop_ends_children_in_reverse_order_one_after_the_other() -> None:
    supervision = running(specs("abc"))
    assert supervision.stop_requested() == [Stop("c")]
    assert supervision.child_exited("c", SHUTDOWN, 1.0) == [Forget("c"), Stop("b")]
    assert supervision.child_exited("b", CRASHED, 1.0) == [Forget("b"), Stop("a")]
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
    assert supervision.stop_requested() == [Forget("b"), Stop("a")]
    assert supervision.child_start_failed("a", ERROR, 0.0) == [Forget("a"), Stopped()]


def test_stop_ends_a_back_off() -> None:
    supervision = running(specs("a"))
    supervision.child_exited("a", CRASHED, 1.0)
    supervision.child_start_failed("a", ERROR, 1.0)
    assert supervision.stop_requested() == [Forget("a"), Stopped()]
    assert supervision.retry_due("a") == []


def test_stop_during_a_group_restart_lets_no_child_start_again() -> None:
    supervision = running(specs("abc"), Strategy.ONE_FOR_ALL)
    assert supervision.child_exited("a", CRASHED, 1.0) == [Stop("c")]
    assert supervision.stop_requested() == [Forget("a")]
    assert supervision.child_exited("c", SHUTDOWN, 1.0) == [Forget("c"), Stop("b")]
    assert supervision.child_exited("b", SHUTDOWN, 1.0) == [Forget("b"), Stopped()]


# Automatic shutdown x significant children


def significant(text: str) -> list[ChildSpec]:
    return [ChildSpec(id, RestartType.TRANSIENT, significant=True) for id in text]


def test_any_significant_child_that_ends_by_itself_ends_its_supervisor() -> None:
    supervision = running([*specs("a"), *significant("st")], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    done = settle(supervision, supervision.child_exited("s", NORMAL, 1.0), 1.0)
    reason = ExitReason(ExitKind.SHUTDOWN, "significant child 's' ended: normal")
    assert done == [Forget("s"), Stop("t"), Forget("t"), Stop("a"), Forget("a"), GiveUp(reason)]


def test_all_significant_children_must_end_where_the_supervisor_says_so() -> None:
    supervision = running([*specs("a"), *significant("st")], auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    assert supervision.child_exited("s", NORMAL, 1.0) == [Forget("s")]
    assert supervision.child_exited("t", NORMAL, 1.0) == [Forget("t"), Stop("a")]


def test_significant_child_that_is_restarted_does_not_end_its_supervisor() -> None:
    supervision = running([*specs("a"), *significant("s")], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    assert supervision.child_exited("s", CRASHED, 1.0) == [Start("s")]


def test_significant_child_stopped_on_request_does_not_end_its_supervisor() -> None:
    supervision = running([*specs("a"), *significant("s")], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    supervision.stop_child_requested("s")
    assert supervision.child_exited("s", SHUTDOWN, 1.0) == [Forget("s")]


def test_significant_child_ends_nothing_where_auto_shutdown_is_never() -> None:
    supervision = running([*specs("a"), *significant("s")])
    assert supervision.child_exited("s", NORMAL, 1.0) == [Forget("s")]


# Quorum x how many still run


def pool(
    text: str, quorum: int, restart: RestartType = RestartType.PERMANENT, max_restarts: int | None = 5
) -> Supervision:
    supervision = Supervision(lambda: 0.0, strategy=Strategy.QUORUM, quorum=quorum, max_restarts=max_restarts)
    supervision.start_requested(specs(text, restart))
    for id in text:
        supervision.child_started(id, 0.0)
    return supervision


def test_quorum_above_it_a_failed_child_alone_is_restarted() -> None:
    supervision = pool("abc", 1)
    assert supervision.child_exited("b", CRASHED, 1.0) == [Start("b")]


def test_quorum_of_just_enough_that_run_is_a_quorum() -> None:
    supervision = pool("abc", 2)
    assert supervision.child_exited("a", CRASHED, 1.0) == [Start("a")]


def test_quorum_of_too_few_that_run_gives_up_after_stopping_them() -> None:
    supervision = pool("abc", 2)
    supervision.child_exited("a", CRASHED, 1.0, **HEALTHY)
    done = settle(supervision, supervision.child_exited("b", CRASHED, 1.0), 1.0)
    detail = "1 of 3 children run, and quorum is 2; the last that failed was 'b', which ended with crashed (SIGKILL)"
    reason = ExitReason(ExitKind.INTENSITY, detail)
    assert done == [Forget("b"), Stop("c"), Forget("c"), Stop("a"), Forget("a"), GiveUp(reason)]


def test_quorum_counts_a_child_again_once_it_runs_again() -> None:
    supervision = pool("abc", 2)
    supervision.child_exited("a", CRASHED, 1.0)
    supervision.child_started("a", 1.0)
    assert supervision.child_exited("b", CRASHED, 1.0, **HEALTHY) == [Start("b")]


def test_quorum_more_failures_than_max_restarts_slow_down_and_do_not_give_up() -> None:
    supervision = pool("abc", 1, max_restarts=1)
    assert supervision.child_exited("a", CRASHED, 1.0, **HEALTHY) == [Start("a")]
    supervision.child_started("a", 1.0)
    assert supervision.child_exited("a", CRASHED, 1.0, **HEALTHY) == [RetryAfter("a", 10.0)]
    assert supervision.retry_due("a") == [Start("a")]


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
    assert supervision.child_exited("a", CRASHED, 1.0) == [Forget("a"), Stop("b")]


def test_quorum_of_temporary_children_shrinks_to_it_and_no_further() -> None:
    supervision = pool("abc", 2, RestartType.TEMPORARY)
    assert supervision.child_exited("a", CRASHED, 1.0) == [Forget("a")]
    assert supervision.child_exited("b", CRASHED, 1.0) == [Forget("b"), Stop("c")]


def test_quorum_is_not_judged_while_the_first_children_start() -> None:
    supervision = Supervision(lambda: 0.0, strategy=Strategy.QUORUM, quorum=2)
    supervision.start_requested(specs("ab"))
    supervision.child_started("a", 0.0)
    assert supervision.child_exited("a", CRASHED, 0.0) == [Start("a")]


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


# Events that cannot be


def test_event_of_an_unknown_child_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no child 'x'; there are: a, b"):
        running(specs("ab")).child_exited("x", CRASHED, 1.0)


def test_second_start_report_is_refused() -> None:
    with pytest.raises(ValueError, match="child 'a' is running, and the event needs it to be starting or stopping"):
        running(specs("a")).child_started("a", 1.0)


# What is known of the children


def test_children_tell_their_state_restarts_and_last_reason() -> None:
    supervision = running(specs("ab"))
    supervision.child_exited("b", CRASHED, 1.0)
    a, b = supervision.children()
    assert (a.id, a.state, a.restart_count, a.last_reason) == ("a", ChildState.RUNNING, 0, None)
    assert (b.id, b.state, b.restart_count, b.last_reason) == ("b", ChildState.STARTING, 1, CRASHED)
