"""What a registry knows of one actor, event by event."""

from __future__ import annotations

from actorrt.actors.authority.children import Children
from actorrt.actors.authority.invariants import check_records
from actorrt.actors.authority.record import KEPT_SNAPSHOTS_COUNT, ActorRecord, RecordState
from actorrt.actors.authority.sightings import PLACE_CODE, Sightings
from actorrt.errors import ActorStartError
from actorrt.ids import IdSource, PeerAddress
from actorrt.protocol.authorities import Sighting
from actorrt.protocol.manner import Manner
from actorrt.reasons import KILLED, SHUTDOWN, ExitKind, ExitReason
from tests.unit.records import order_of

IDS = IdSource()
PLACE, OTHER = PeerAddress(IDS.peer(), "memory://a"), PeerAddress(IDS.peer(), "memory://b")


def record_of(**changes):
    return ActorRecord(IDS.actor(), order_of(None, **changes))


def running(place=PLACE):
    record = record_of()
    record.begin_start()
    record.started(place, 1.0)
    return record


def test_incarnation_that_starts_has_the_home_that_was_decided_for_it():
    record = record_of()
    record.begin_start()
    assert (record.incarnation, record.home, record.has_incarnation(1)) == (1, None, True)
    record.starts_at(PLACE)
    assert (record.home, record.state) == (PLACE, RecordState.STARTING)
    record.started(OTHER, 2.0)
    assert (record.home, record.state, record.started_at) == (OTHER, RecordState.RUNNING, 2.0)


def test_first_start_that_is_put_off_has_not_been():
    record = record_of()
    record.begin_start()
    record.start_put_off()
    check_records([record], [], Children())  # between the two, other callbacks run
    record.begin_start()
    assert record.incarnation == 1
    check_records([record], [], Children())


def test_next_incarnation_forgets_what_was_ordered_for_the_one_before():
    record = running()
    record.plan_stop(Manner.FOR_RESTART)
    record.had_handled_message = True
    record.ended(SHUTDOWN)
    record.waits_to_restart(9.0)
    record.begin_restart()
    assert (record.incarnation, record.manner, record.had_handled_message) == (2, Manner.ORDERLY, False)
    assert (record.restarts_at, record.state) == (None, RecordState.RESTARTING)


def test_end_is_remembered_with_its_place():
    record = running()
    record.ended(KILLED, is_administrative=True)
    assert (record.state, record.peer_address, record.last_peer_address) == (RecordState.DECIDING, None, PLACE)
    assert (record.last_incarnation, record.last_reason, record.is_administrative) == (1, KILLED, True)
    record.ended(SHUTDOWN)
    assert record.is_administrative is True  # what was ordered stays ordered


def test_start_that_fails_says_why():
    record = record_of()
    record.begin_start()
    assert record.start_failed(ActorStartError("no", reason=KILLED)) == KILLED
    error = ActorStartError("no such module")
    assert record.start_failed(error) == ExitReason(ExitKind.ERROR, "no such module")
    assert (record.start_error, record.is_start_under_way) == (error, False)


def test_start_that_was_not_reached_is_not_counted():
    record = running()
    record.ended(SHUTDOWN)
    record.begin_restart()
    record.start_not_reached()
    assert (record.incarnation, record.is_start_under_way) == (1, False)


def test_order_to_end_reaches_what_runs_or_starts_and_nothing_else():
    record = record_of()
    assert record.begin_end() is False
    record.begin_start()
    assert (record.begin_end(), record.is_to_end) == (True, True)
    record.started(PLACE, 1.0)
    assert (record.begin_end(), record.state) == (True, RecordState.STOPPING)
    assert record.begin_end() is False


def test_withdrawn_spawn_ends_the_start_under_way():
    record = record_of()
    record.withdraw()
    assert (record.order.is_withdrawn, record.is_administrative, record.is_to_end) == (True, True, False)
    record.begin_start()
    assert record.is_to_end is True


def test_end_of_the_parent_is_the_childs():
    record = ActorRecord(IDS.actor(), order_of(IDS.actor()), IDS.actor())
    change = record.next_change()
    record.parent_has_ended()
    assert (record.supervisor, record.is_administrative, record.order.is_withdrawn) == (None, True, True)
    assert change.done()


def test_newest_snapshots_are_kept_and_the_others_given_back():
    record, ids = record_of(), [IDS.object() for _ in range(3)]
    assert KEPT_SNAPSHOTS_COUNT == 2
    assert [record.keep_snapshot(object_id) for object_id in ids] == [[], [], [ids[0]]]
    assert record.snapshots == [ids[2], ids[1]]


def test_every_change_of_state_wakes_those_who_wait():
    record = record_of()
    for change in (
        lambda: (record.begin_start(), record.started(PLACE, 1.0)),
        lambda: record.ended(SHUTDOWN),
        lambda: record.waits_to_restart(None),
        lambda: record.begin_last_end(SHUTDOWN),
        lambda: record.gone(),
    ):
        waiting = record.next_change()
        assert record.next_change() is waiting
        change()
        assert waiting.done()
    assert record.state is RecordState.GONE


def test_places_of_a_group_are_told_once_each():
    sightings, gone = Sightings(), record_of()
    for record in (running(PLACE), running(OTHER), running(PLACE), gone):
        sightings.add(record)
    places = sightings.places()
    assert places.places == [Sighting(PLACE, 1), Sighting(OTHER, 1), None]
    assert list(memoryview(places.place_of).cast(PLACE_CODE)) == [0, 1, 0, 2]
