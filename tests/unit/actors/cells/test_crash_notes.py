"""What a process had in hand when it died, as its successor reads it."""

from __future__ import annotations

import pytest

from actorrt.actors.cells.crash_notes import SLOTS_COUNT, open_notes, read, take
from actorrt.ids import PeerId

PEER = PeerId(b"p" * 16)


class Caller:
    peer = PEER


class Message:
    def __init__(self, call_id, options, caller=None):
        self.caller, self.call_id, self.options = caller or Caller(), call_id, options


def repeatable(call_id, caller=None):
    return Message(call_id, {"retry": True}, caller)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "hand")


@pytest.fixture
def notes(path):
    notes = open_notes(path)
    yield notes
    notes._map.close()


def test_notes_hold_what_is_in_hand_and_nothing_else(notes, path):
    first, second, plain = repeatable(1), repeatable(2), Message(3, {"key": "k"})
    for message in (first, second, plain):
        notes.note(message)
    notes.clear(first)
    notes.clear(plain)
    notes.begin_start()
    assert take(path) == ([(PEER, 2)], 1)
    assert take(path) == ([], 0)


def test_calls_of_this_process_are_not_noted(notes, path):
    notes.note(repeatable(1, caller=object()))
    assert take(path) == ([], 0)


def test_calls_beyond_the_slots_are_not_noted_and_a_slot_that_is_free_again_is_used(notes, path):
    messages = [repeatable(n) for n in range(1, SLOTS_COUNT + 2)]
    for message in messages:
        notes.note(message)
    notes.clear(messages[0])
    notes.note(messages[-1])
    in_hand, _ = take(path)
    assert sorted(call_id for _, call_id in in_hand) == list(range(2, SLOTS_COUNT + 2))


def test_forked_child_writes_nothing(notes, path):
    notes.abandon()
    notes.note(repeatable(1))
    notes.begin_start()
    assert take(path) == ([], 0)


def test_process_that_ended_before_it_made_its_notes_had_nothing_in_hand(path, tmp_path):
    assert take(path) == ([], 0)
    (tmp_path / "hand").write_bytes(b"a beginning")
    assert take(path) == ([], 0)


def test_notes_that_can_not_be_read_say_nothing_of_starts(tmp_path, caplog):
    (tmp_path / "hand").mkdir()
    assert take(str(tmp_path / "hand")) == ([], None)
    assert "the calls that a process has in hand can't be read" in caplog.text


def test_worker_of_tasks_notes_the_newest_attempt_of_each_submitter(notes, path):
    ann, bob = PeerId(b"a" * 16), PeerId(b"b" * 16)
    for submitter, sequence in [(ann, 1), (bob, 7), (ann, 3), (ann, 2)]:
        notes.begin_task(submitter, sequence)
    assert sorted(take(path).in_hand) == [(ann, 3), (bob, 7)]


def test_slot_of_a_submitter_that_is_gone_is_used_again_and_too_many_submitters_make_the_notes_unknown(notes, path):
    submitters = [PeerId(bytes([n]) * 16) for n in range(1, SLOTS_COUNT + 2)]
    for submitter in submitters[:-1]:
        notes.begin_task(submitter, 1)
    notes.forget_submitter(submitters[0])
    notes.begin_task(submitters[-1], 1)
    known = read(notes._map)
    assert ({caller for caller, _ in known.in_hand}, known.begun_count) == ({*submitters[1:]}, 0)
    notes.begin_task(submitters[0], 2)
    assert take(path).begun_count is None
