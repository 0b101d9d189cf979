"""Records are made like keyword-only dataclasses with slots, and their classes are cheap to define."""

from __future__ import annotations

import inspect

import pytest

from actorrt.protocol.record_type import RecordField, fields_of, younger
from actorrt.protocol.verb import Record
from actorrt.reasons import ExitReason


class Point(Record):
    """A record with a default and a younger field."""

    x: int
    y: int = 7
    label: str | None = younger(since=2, default=None)


class Empty(Record):
    """A record without fields."""


def test_fields_have_the_names_defaults_and_versions_of_their_annotations() -> None:
    assert fields_of(Point) == (RecordField("x"), RecordField("y", 7), RecordField("label", None, since=2))
    assert [field.name for field in fields_of(ExitReason)] == list(inspect.signature(ExitReason).parameters)


def test_record_has_the_values_given_by_name_and_the_defaults() -> None:
    made = Point(x=1, label="here")
    assert (made.x, made.y, made.label) == (1, 7, "here")
    assert repr(made) == "Point(x=1, y=7, label='here')"
    assert (made == Point(x=1, y=7, label="here"), made == Point(x=2)) == (True, False)
    assert repr(Empty()) == "Empty()"


def test_init_is_compiled_when_the_first_record_is_made_and_not_before() -> None:
    class Fresh(Record):
        x: int

    assert "__init__" not in vars(Fresh)
    Fresh(x=1)
    compiled = vars(Fresh)["__init__"]
    Fresh(x=2)
    assert vars(Fresh)["__init__"] is compiled


@pytest.mark.parametrize("values", [{}, {"y": 1}, {"x": 1, "z": 2}], ids=str)
def test_missing_or_unknown_field_is_refused_with_the_name_of_the_class(values: dict[str, int]) -> None:
    for _ in range(2):  # the first record of a class, and the others
        with pytest.raises(TypeError, match=r"^Point\.__init__\(\) "):
            Point(**values)  # type: ignore[arg-type]


def test_record_keeps_its_fields_in_slots() -> None:
    made = Point(x=1)
    assert not hasattr(made, "__dict__")
    with pytest.raises(AttributeError):
        made.other = 1  # type: ignore[attr-defined]
