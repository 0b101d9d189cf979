"""Back-off: which restarts wait, and for how long."""

from __future__ import annotations

import pytest

from actorrt.actors.policy.backoff import Backoff, RestartPace

PLAIN = Backoff(first_s=1, max_s=10, factor=2, jitter=0, healthy_s=60)


def test_delays_grow_by_the_factor_up_to_the_cap() -> None:
    assert [PLAIN.delay_s(count, 0.0) for count in range(7)] == [0, 1, 2, 4, 8, 10, 10]


def test_jitter_is_added_before_the_cap() -> None:
    jittered = Backoff(first_s=1, max_s=10, factor=2, jitter=0.5)
    assert [jittered.delay_s(count, 0.5) for count in range(1, 6)] == [1.25, 2.5, 5.0, 10.0, 10.0]


def test_delay_after_very_many_failures_is_the_cap() -> None:
    assert Backoff(factor=100).delay_s(10**9, 0.9) == 10.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"first_s": 0}, "give 0 < first_s <= max_s"),
        ({"first_s": 2, "max_s": 1}, "give 0 < first_s <= max_s"),
        ({"factor": 0.5}, "give a factor from 1 to 100"),
        ({"jitter": 2}, "give a share from 0 to 1"),
        ({"healthy_s": 0}, "give a number of seconds above 0"),
    ],
)
def test_backoff_out_of_range_is_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Backoff(**values)


def test_first_death_before_a_message_is_followed_at_once_and_repeats_wait() -> None:
    pace = RestartPace(PLAIN)
    pace.started(0.0)
    assert [pace.exited(1.0, False, 0.0) for _ in range(4)] == [0, 1, 2, 4]


def test_failed_starts_wait_from_the_first_on() -> None:
    pace = RestartPace(PLAIN)
    assert [pace.start_failed(0.0) for _ in range(3)] == [1, 2, 4]


def test_message_handled_ends_the_series() -> None:
    pace = RestartPace(PLAIN)
    pace.started(0.0)
    pace.exited(1.0, False, 0.0)
    pace.exited(1.0, False, 0.0)
    assert [pace.exited(1.0, True, 0.0), pace.exited(1.0, True, 0.0), pace.start_failed(0.0)] == [0, 0, 1]


def test_healthy_spell_without_a_message_ends_the_series() -> None:
    pace = RestartPace(PLAIN)
    pace.start_failed(0.0)
    pace.started(100.0)
    assert pace.exited(159.9, False, 0.0) == 1
    pace.started(200.0)
    assert pace.exited(260.0, False, 0.0) == 0
