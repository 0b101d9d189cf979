"""Exceptions of users' code as data, and as what is raised at the other end."""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import pytest

from actorrt.actors.wire.failures import (
    MAX_PICKLED_REASON_BYTES,
    as_executed,
    ends_its_call_only,
    error_from_data,
    error_to_data,
    noted,
    reason_of,
)
from actorrt.errors import RemoteActorError
from actorrt.protocol.envelopes import RaisedError
from actorrt.reasons import ExitKind


class Own(Exception):
    """An exception of a user's module."""


class Local:
    """Makes exceptions whose types are nowhere to be found again."""

    @staticmethod
    def error() -> Exception:
        class Hidden(Exception):
            def __reduce__(self) -> Any:
                raise TypeError("not me")

        return Hidden("hidden")


class Sealed(Exception):
    """Allows no attribute of its own."""

    executed = property()


def travelled(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        data = RaisedError._make(msgpack.unpackb(msgpack.packb(error_to_data(raised, "noted.note()"))))
    return error_from_data(data, None, None)


def test_exception_arrives_as_its_own_type_and_says_that_it_ran() -> None:
    arrived = travelled(Own("text", 5))
    assert (type(arrived), arrived.args, arrived.__dict__["executed"]) == (Own, ("text", 5), "yes")
    (note,) = arrived.__notes__
    assert note.startswith("Remote traceback of noted.note():\nTraceback (most recent call last):")
    assert "actorrt/actors" not in note


def test_exception_that_can_not_be_pickled_arrives_as_its_name_and_text() -> None:
    arrived = travelled(Local.error())
    assert isinstance(arrived, RemoteActorError)
    assert (str(arrived).endswith("Hidden: hidden"), arrived.executed) == (True, "yes")


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), StopIteration(3), StopAsyncIteration(), KeyboardInterrupt(), GeneratorExit()]
)
def test_exception_that_python_itself_acts_on_arrives_as_another(error: BaseException) -> None:
    arrived = travelled(error)
    assert isinstance(arrived, RemoteActorError)
    assert str(arrived).startswith(type(error).__qualname__) or type(error).__name__ in str(arrived)
    assert "(raised by the method itself)" in str(arrived)


def test_exception_whose_pickle_can_not_be_read_says_why() -> None:
    data = error_to_data(Own("text"), "noted.note()")._replace(pickled=[b"no pickle", []])
    arrived = error_from_data(data, None, None, "maybe")
    assert isinstance(arrived, RemoteActorError)
    assert arrived.executed == "maybe"
    assert "Own: text (its type can't be rebuilt here: " in str(arrived)


def test_exception_that_can_not_be_told_whether_it_ran_is_replaced_with_its_notes() -> None:
    error = Sealed("text")
    error.add_note("a note")
    replaced = as_executed(error, "no")
    assert isinstance(replaced, RemoteActorError)
    assert (replaced.executed, replaced.__notes__) == ("no", ["a note"])
    assert as_executed(own := Own()) is own


def test_text_of_an_error_that_passes_from_process_to_process_grows_by_what_each_adds() -> None:
    error: BaseException = ValueError("wrong")
    error.add_note("a note of the user")
    sizes = []
    for hop in range(12):
        error = error_from_data(error_to_data(error, f"hop{hop}.pass_on()"), None, None)
        sizes.append(sum(map(len, error.__notes__)))
    assert error.__notes__[0] == "a note of the user"
    assert [note.split(":")[0] for note in error.__notes__[1:]] == [
        f"Remote traceback of hop{hop}.pass_on()" for hop in range(12)
    ]
    assert sizes[-1] - sizes[-2] <= sizes[2] - sizes[1] + 10


def test_the_first_and_the_last_notes_are_kept_of_an_error_that_passes_through_many_tasks() -> None:
    error: BaseException = ValueError("wrong")
    for number in range(1000):
        error = noted(error, f"note {number}")
    assert error.__notes__ == [
        *[f"note {number}" for number in range(16)],
        "(some of the notes are left out here)",
        *[f"note {number}" for number in range(985, 1000)],
    ]


def test_note_is_added_whatever_was_put_in_its_place() -> None:
    error = Own()
    error.__notes__ = "no list"  # type: ignore[assignment]
    assert noted(error, "one").__notes__ == ["one"]
    assert noted(error, "two").__notes__ == ["one", "two"]


def test_reason_of_an_actors_end_is_the_exception_in_words_and_its_pickle_if_that_is_small() -> None:
    reason = reason_of(Own("text"), "noted.note")
    assert (reason.kind, reason.detail) == (ExitKind.ERROR, "Own: text")
    assert reason.pickled is not None
    assert reason_of(Own("x" * MAX_PICKLED_REASON_BYTES), "noted.note").pickled is None


@pytest.mark.parametrize(
    ("error", "is_so"),
    [(Own(), True), (asyncio.CancelledError(), True), (KeyboardInterrupt(), True), (SystemExit(), False)],
    ids=repr,
)
def test_all_but_the_end_of_the_process_end_their_call_only(error: BaseException, is_so: bool) -> None:
    assert ends_its_call_only(error) is is_so
