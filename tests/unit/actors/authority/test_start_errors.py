"""The errors of starts that fail, or that another event overtakes."""

from __future__ import annotations

from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.authority.start_errors import parent_ended, start_error, stopped_early
from actorrt.errors import ActorStartError
from actorrt.ids import IdSource
from actorrt.reasons import KILLED
from tests.unit.records import order_of

IDS = IdSource()


def test_errors_of_starts_name_the_event_that_overtook_them():
    record = ActorRecord(IDS.actor(), order_of(IDS.actor()))
    assert str(stopped_early(record)) == f"{record.label} was stopped before it started"
    assert str(parent_ended(record)) == f"{record.label} did not start: the actor that spawned it has ended"


def test_any_exception_of_a_start_becomes_a_start_error_with_its_reason():
    record, error = ActorRecord(IDS.actor(), order_of(None)), ActorStartError("as it is")
    assert start_error(record, error) is error
    other = ValueError("no")
    other.reason = KILLED
    made = start_error(record, other)
    assert (str(made), made.reason) == (f"{record.label} did not start: ValueError: no", KILLED)
    assert start_error(record, ValueError("no")).reason is None
