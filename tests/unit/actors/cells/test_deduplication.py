"""Calls with a key: the first is handled, and the others get its outcome."""

from __future__ import annotations

import pytest

from actorrt.actors.cells.deduplication import KEY_WINDOW_COUNT, Deduplication
from actorrt.actors.refs.message import Message


class Asker:
    """Keeps what its calls ended with."""

    def __init__(self):
        self.failed = []

    def fail(self, call_id, error, where, executed):
        self.failed.append((call_id, error, where, executed))


@pytest.fixture
def asker():
    return Asker()


@pytest.fixture
def answers():
    return []


@pytest.fixture
def calls(answers):
    return Deduplication(lambda value: f"copy of {value}", lambda message, value: answers.append((message, value)))


def call(asker, call_id=1):
    return Message(asker, call_id, "step", (), (), None, {"key": "k"})


def test_first_call_of_a_key_is_handled_and_those_that_come_meanwhile_get_its_result(calls, asker, answers):
    first, second, third = (call(asker, n) for n in (1, 2, 3))
    assert [calls.is_first(message, "k") for message in (first, second, third)] == [True, False, False]
    assert answers == []
    calls.succeeded(first, "k", 7)
    assert answers == [(second, "copy of 7"), (third, "copy of 7")]


def test_call_that_comes_later_gets_the_kept_result_at_once(calls, asker, answers):
    calls.is_first(first := call(asker), "k")
    calls.succeeded(first, "k", 7)
    late = call(asker, 2)
    assert (calls.is_first(late, "k"), answers, len(calls)) == (False, [(late, "copy of 7")], 1)


def test_error_of_the_first_call_is_that_of_the_others(calls, asker, answers):
    first, second = call(asker, 1), call(asker, 2)
    calls.is_first(first, "k")
    calls.is_first(second, "k")
    error = ValueError("no")
    calls.failed(first, "k", error, "actor.step()")
    assert (asker.failed, answers) == ([(2, error, "actor.step()", "yes")], [])


def test_keys_do_not_touch_each_other(calls, asker, answers):
    assert [calls.is_first(call(asker, n), key) for n, key in ((1, "a"), (2, "b"))] == [True, True]
    assert answers == []


def test_outcome_of_a_call_that_is_not_the_first_is_ignored(calls, asker, answers):
    first, second = call(asker, 1), call(asker, 2)
    calls.is_first(first, "k")
    calls.is_first(second, "k")
    calls.succeeded(second, "k", 8)
    calls.failed(second, "k", ValueError("no"), "")
    assert (answers, asker.failed, len(calls)) == ([], [], 0)


def test_first_call_that_is_withdrawn_leaves_those_that_waited_to_be_handled(calls, asker):
    first, second = call(asker, 1), call(asker, 2)
    calls.is_first(first, "k")
    calls.is_first(second, "k")
    assert calls.withdrawn(second, "k") == []
    assert calls.withdrawn(first, "k") == [second]
    assert calls.is_first(second, "k") is True


def test_end_of_the_incarnation_gives_up_what_waits_and_forgets_what_runs(calls, asker):
    first, second, other = call(asker, 1), call(asker, 2), call(asker, 3)
    for message, key in ((first, "a"), (second, "a"), (other, "b")):
        calls.is_first(message, key)
    assert calls.take_waiting() == [second]
    assert calls.take_waiting() == []
    calls.succeeded(first, "a", 7)  # too late
    assert len(calls) == 0


def test_oldest_outcome_is_forgotten_first_and_its_key_is_new_then(calls, asker, answers):
    for number in range(KEY_WINDOW_COUNT + 1):
        message = call(asker)
        calls.is_first(message, str(number))
        calls.succeeded(message, str(number), number)
    assert len(calls) == KEY_WINDOW_COUNT
    assert [calls.is_first(call(asker), key) for key in ("0", "1")] == [True, False]
    assert [value for _, value in answers] == ["copy of 1"]
