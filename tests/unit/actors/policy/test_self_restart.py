"""What follows when an actor outside any supervisor ends."""

from __future__ import annotations

from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.policy.self_restart import RestartDecision, SelfRestart
from actorrt.reasons import NORMAL, ExitKind, ExitReason

FAILED = ExitReason(ExitKind.ERROR, "boom", "Traceback")


def restarting(**options: object) -> SelfRestart:
    """Return what decides about an actor that runs since 0.0."""
    restart = SelfRestart(ActorOptions.of(options), lambda: 0.0)
    restart.begin()
    restart.started(0.0)
    return restart


def test_temporary_actor_is_gone_with_its_first_failure() -> None:
    assert restarting().exited(FAILED, 1.0, True) == RestartDecision(is_gone=True)


def test_transient_actor_is_gone_after_a_normal_end_and_starts_again_after_a_failure() -> None:
    assert restarting(restart="transient").exited(NORMAL, 1.0, True) == RestartDecision(is_gone=True)
    assert restarting(restart="transient").exited(FAILED, 1.0, True) == RestartDecision(is_gone=False)


def test_permanent_actor_starts_again_after_a_normal_end() -> None:
    assert restarting(restart="permanent").exited(NORMAL, 1.0, True) == RestartDecision(is_gone=False)


def test_incarnation_that_died_early_starts_at_once_and_the_repeat_waits() -> None:
    restart = restarting(restart="permanent")
    assert restart.exited(FAILED, 1.0, False) == RestartDecision(is_gone=False)
    restart.started(1.0)
    assert restart.exited(FAILED, 1.5, False) == RestartDecision(is_gone=False, delay_s=0.1)
    restart.delay_over()
    restart.started(1.6)
    assert restart.exited(FAILED, 1.7, False) == RestartDecision(is_gone=False, delay_s=0.2)
    assert restart.restart_count == 2


def test_first_start_that_fails_ends_the_actor_for_that_reason() -> None:
    restart = SelfRestart(ActorOptions.of({"restart": "permanent"}), lambda: 0.0)
    restart.begin()
    assert restart.start_failed(FAILED, 1.0) == RestartDecision(is_gone=True, reason=FAILED)


def test_later_start_that_fails_is_tried_again_after_a_delay() -> None:
    restart = restarting(restart="permanent")
    restart.exited(FAILED, 20.0, True)
    assert restart.start_failed(FAILED, 20.1) == RestartDecision(is_gone=False, delay_s=0.1)


def test_too_many_failures_end_the_actor_with_its_intensity_as_the_reason() -> None:
    restart = restarting(restart="permanent", max_restarts=1, period_s=30)
    assert restart.exited(FAILED, 1.0, True) == RestartDecision(is_gone=False)
    restart.started(1.0)
    detail = "2 failures within 30 s, and max_restarts is 1; the last one ended with error: boom"
    reason = ExitReason(ExitKind.INTENSITY, detail, "Traceback")
    assert restart.exited(FAILED, 2.0, True) == RestartDecision(is_gone=True, reason=reason)
