"""When actors that were told to end are late, without a clock."""

from __future__ import annotations

import pytest

from actorrt.ids import IdSource, PeerAddress
from actorrt.node.placement.deadlines import TURN_S, Deadlines
from actorrt.reasons import SHUTDOWN
from tests.unit.records import record_of

PLACE = PeerAddress(IdSource().peer(), "memory://worker")


class Timers:
    """Keeps the timers that a scope would own."""

    def __init__(self):
        self.pending = {}
        self.delays_s = []

    def after(self, delay_s, callback):
        self.delays_s.append(delay_s)
        self.pending[callback] = None
        return lambda: self.pending.pop(callback, None)

    def fire(self):
        callback = next(iter(self.pending))
        del self.pending[callback]
        callback()


@pytest.fixture
def timers():
    return Timers()


@pytest.fixture
def late():
    return []


@pytest.fixture
def deadlines(timers, late):
    return Deadlines(timers, late.append)


def running(count):
    records = [record_of(None) for _ in range(count)]
    for record in records:
        record.begin_start()
        record.started(PLACE, 0.0)
    return records


def test_those_told_together_have_one_timer_and_the_late_ones_are_named_together(deadlines, timers, late):
    one, two, three = records = running(3)
    deadlines.begin(records, 5.0)
    two.ended(SHUTDOWN)  # a supervisor's child: its end is not the actor's
    assert len(timers.pending) == 1
    timers.fire()
    assert (late, list(deadlines.actors())) == ([[one, three]], [])


def test_next_incarnation_is_not_late(deadlines, timers, late):
    (record,) = running(1)
    deadlines.begin([record], 5.0)
    record.ended(SHUTDOWN)
    record.begin_restart()
    timers.fire()
    assert late == []


def test_timer_is_cancelled_when_the_last_actor_is_gone(deadlines, timers, late):
    one, two = running(2)
    deadlines.begin([one, two], 5.0)
    deadlines.forget(one.actor_id)
    assert (len(timers.pending), [*deadlines.actors()]) == (1, [two.actor_id])
    deadlines.forget(two.actor_id)
    assert (timers.pending, [*deadlines.actors()], late) == ({}, [], [])


def test_actor_that_is_told_again_has_the_later_time(deadlines, timers, late):
    one, two = running(2)
    deadlines.begin([one, two], 5.0)
    deadlines.begin([one], 5.0)
    timers.fire()
    assert (late, [*deadlines.actors()]) == ([[two]], [one.actor_id])


def test_each_has_a_turn_more_for_every_actor_that_is_to_end(deadlines, timers):
    deadlines.begin(running(200), 5.0)
    deadlines.begin(running(1), 5.0)
    assert timers.delays_s == [5.0 + 200 * TURN_S, 5.0 + 201 * TURN_S]
