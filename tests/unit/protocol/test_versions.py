"""Processes whose versions of the protocol overlap understand each other: a verb that has grown, both ways."""

from __future__ import annotations

from typing import NamedTuple

from actorrt.protocol.forms import Count
from actorrt.protocol.record_type import younger
from actorrt.protocol.verb import Record, Request, verb


class OldPlace(NamedTuple):
    """A place, as version 1 knows it."""

    address: str


class NewPlace(NamedTuple):
    """A place, as version 2 knows it."""

    address: str
    rank: Count = 7


class OldAnswer(Record):
    """What version 1 answers."""

    place: OldPlace


class NewAnswer(Record):
    """What version 2 answers."""

    place: NewPlace
    why: str | None = younger(since=2, default=None)


@verb("old_of_tests", asked_by="tests")
class OldAsk(Request[OldAnswer]):
    """What version 1 asks."""

    name: str


@verb("new_of_tests", asked_by="tests")
class NewAsk(Request[NewAnswer]):
    """What version 2 asks: the same, and more."""

    name: str
    limit: Count = younger(since=2, default=100)


def test_older_asker_means_the_default_of_a_younger_field() -> None:
    asked = NewAsk.unpack(OldAsk(name="x").pack())
    assert (asked.name, asked.limit) == ("x", 100)
    assert NewAsk.unpack(NewAsk(name="x", limit=3).pack()).limit == 3


def test_younger_asker_is_understood_and_its_younger_fields_are_ignored() -> None:
    asked = OldAsk.unpack(NewAsk(name="x", limit=3).pack())
    assert asked.pack() == {"name": "x"}


def test_answers_of_both_are_understood_by_both() -> None:
    old, new = OldAnswer(place=OldPlace("there")), NewAnswer(place=NewPlace("there", 3), why="so")
    from_old = NewAsk.unpack_answer(OldAsk.pack_answer(old))
    assert (from_old.place, from_old.why) == (NewPlace("there", 7), None)
    assert OldAsk.unpack_answer(NewAsk.pack_answer(new)).place == OldPlace("there")
