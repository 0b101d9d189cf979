"""The delays before a broken connection is replaced, and the end of the attempts."""

from __future__ import annotations

from actorrt.transport.links.reconnection import MAX_FAILED_CONNECTIONS_COUNT, RECONNECT_MAX_S, Reconnection

STABLE_S = 5.0


def delays_s(reconnection: Reconnection, count: int) -> list[float | None]:
    return [reconnection.next_delay_s() for _ in range(count)]


def test_first_attempt_is_immediate_and_later_delays_double_up_to_a_bound() -> None:
    assert delays_s(Reconnection(0, STABLE_S), 8) == [0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, RECONNECT_MAX_S]


def test_attempts_end_after_a_number_of_failures_in_a_row() -> None:
    delays = delays_s(Reconnection(0, STABLE_S), MAX_FAILED_CONNECTIONS_COUNT + 2)
    assert delays[-2:] == [None, None]
    assert None not in delays[:-2]


def test_link_that_never_gives_up_is_tried_for_ever_at_the_longest_delay() -> None:
    delays = delays_s(Reconnection(0, STABLE_S, gives_up=False), 10 * MAX_FAILED_CONNECTIONS_COUNT)
    assert set(delays[MAX_FAILED_CONNECTIONS_COUNT:]) == {RECONNECT_MAX_S}


def test_connection_that_breaks_soon_without_an_acknowledgement_is_no_progress() -> None:
    reconnection = Reconnection(7, STABLE_S)
    assert reconnection.next_delay_s() == 0.0
    reconnection.connected(10.0)
    reconnection.lost(10.0 + STABLE_S, 7)
    assert reconnection.next_delay_s() == 0.05


def test_connection_with_an_acknowledged_frame_resets_the_count() -> None:
    reconnection = Reconnection(7, STABLE_S)
    delays_s(reconnection, 5)
    reconnection.connected(10.0)
    reconnection.lost(10.1, 8)
    assert reconnection.next_delay_s() == 0.0
    reconnection.connected(11.0)
    reconnection.lost(11.1, 8)
    assert reconnection.next_delay_s() == 0.05


def test_connection_that_stood_for_a_while_resets_the_count() -> None:
    reconnection = Reconnection(0, STABLE_S)
    delays_s(reconnection, 5)
    reconnection.connected(10.0)
    reconnection.lost(10.1 + STABLE_S, 0)
    assert reconnection.next_delay_s() == 0.0
