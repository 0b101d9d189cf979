"""The smallest of the last samples is the round trip: a busy peer does not make the network slower."""

from __future__ import annotations

from actorrt.transport.composite.round_trip import MAX_S, WINDOW_COUNT, RoundTrip


def after(*samples_s: float) -> float:
    round_trip = RoundTrip()
    for sample_s in samples_s:
        round_trip.add(sample_s)
    return round_trip.expected_s


def test_nothing_is_expected_before_the_first_sample() -> None:
    assert after() == 0.0


def test_smallest_sample_counts() -> None:
    assert [after(0.2), after(0.2, 5.0, 0.1, 0.3)] == [0.2, 0.1]


def test_peer_that_was_always_busy_counts_for_little() -> None:
    assert after(60.0, 70.0) == MAX_S


def test_small_sample_is_forgotten_when_the_network_has_become_slower() -> None:
    slow = [0.5] * (2 * WINDOW_COUNT)
    assert [after(0.1, *slow[:WINDOW_COUNT]), after(0.1, *slow)] == [0.1, 0.5]
