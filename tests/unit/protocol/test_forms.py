"""What arrives is read, or refused by a ValueError that names the place, whatever it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorrt.errors import ActorDiedError
from actorrt.ids import ActorId, ActorIds
from actorrt.protocol.annotations import form_of
from actorrt.protocol.forms import AtLeast, Count, Seconds, UnfitError
from actorrt.protocol.manner import Manner
from actorrt.protocol.verb import VERBS
from actorrt.reasons import ExitReason
from actorrt.transport.frames.codec import pack_envelope
from tests.unit.protocol.samples import REASON, SAMPLES

ID = b"\x01" * 16


class Row(NamedTuple):
    """A row that has grown."""

    actor: ActorId
    count: Count = 7


FITTING: list[tuple[Any, Any, Any]] = [
    (ActorId, ID, ID),
    (ActorIds, ID + ID, None),
    (bytes, memoryview(b"x"), memoryview(b"x")),
    (str, "x", "x"),
    (bool, True, True),
    (int, -3, -3),
    (float, 2, 2),
    (Count, 0, 0),
    (Seconds, 0.5, 0.5),
    (Annotated[int, AtLeast(3)], 3, 3),
    (str | None, None, None),
    (Literal["a", "b"], "b", "b"),
    (Manner, "at_once", Manner.AT_ONCE),
    (list[Count], (1, 2), [1, 2]),
    (dict[str, Count], {"a": 1}, {"a": 1}),
    (tuple[str, Count], ["a", 1], ("a", 1)),
    (Row, [ID], Row(ActorId(ID), 7)),
    (Row, [ID, 3, "of a newer version"], Row(ActorId(ID), 3)),
    (ExitReason, {"kind": "normal", "new": 1}, ExitReason.from_data({"kind": "normal"})),
    (Any, {"anything": [1]}, {"anything": [1]}),
]
UNFIT: list[tuple[Any, Any, str]] = [
    (ActorId, ID[:15], " is b"),
    (ActorId, bytearray(ID), " is bytearray"),
    (ActorIds, b"", " is b'': it has to be the bytes of ids"),
    (ActorIds, ID[:15], " is b"),
    (bytes, "x", " is 'x': it has to be bytes"),
    (str, b"x", " is b'x': it has to be a string"),
    (bool, 1, " is 1: it has to be True or False"),
    (int, True, " is True: it has to be a whole number"),
    (int, 1.5, " is 1.5: it has to be a whole number"),
    (float, "1", " is '1': it has to be a number"),
    (Count, -1, " is -1: it has to be a whole number of at least 0"),
    (Count, True, " is True: it has to be a whole number of at least 0"),
    (Seconds, float("nan"), " is nan: it has to be a number of at least 0"),
    (str | None, 7, " is 7: it has to be a string"),
    (None, 7, " is 7: it has to be nothing"),
    (Literal["a", "b"], "c", " is 'c': it has to be one of 'a', 'b'"),
    (Manner, ["at_once"], " is ['at_once']: it has to be one of 'orderly', 'at_once', 'for_restart'"),
    (list[Count], [1, -2], "[1] is -2: it has to be a whole number of at least 0"),
    (list[ActorId], [ID, ID[:3]], f"[1] is {ID[:3]!r}: it has to be an id of 16 bytes"),
    (list[str], "ab", " is 'ab': it has to be a list"),
    (dict[str, Count], {"a": "b"}, "['a'] is 'b': it has to be a whole number of at least 0"),
    (dict[str, Count], {7: 1}, " has a key that is 7: it has to be a string"),
    (dict[str, Count], [], " is []: it has to be a map"),
    (tuple[str, Count], ["a", 1, 2], " is ['a', 1, 2]: it has to be a list of 2"),
    (tuple[str, Count], ["a", "b"], "[1] is 'b': it has to be a whole number of at least 0"),
    (Row, [], " is []: it has to be a list of 2"),
    (Row, [ID, "b"], ".count is 'b': it has to be a whole number of at least 0"),
    (list[Row], [[ID], [7]], "[1].actor is 7: it has to be an id of 16 bytes"),
    (ExitReason, {}, " has no 'kind'"),
    (ExitReason, {"kind": "bored"}, ".kind is 'bored': it has to be one of"),
    (Exception, {"type": "X"}, " has no 'message'"),
    (ActorDiedError, {"type": "KeyError", "message": "x", "notes": [], "executed": None, "reason": None}, " is {"),
]


@pytest.mark.parametrize(
    ("annotation", "arrived", "value"), FITTING, ids=[str(annotation)[:40] for annotation, *_ in FITTING]
)
def test_value_that_fits_is_read(annotation: Any, arrived: Any, value: Any) -> None:
    read = form_of(annotation).read(arrived)
    if annotation is ActorIds:
        assert list(read) == [ID, ID]
    else:
        assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(("annotation", "arrived", "said"), UNFIT, ids=lambda case: str(case)[:30])
def test_value_that_does_not_fit_is_refused_with_its_place_and_what_belongs_there(
    annotation: Any, arrived: Any, said: str
) -> None:
    with pytest.raises(UnfitError) as caught:
        form_of(annotation).read(arrived)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("annotation", [set[int], int | str, complex, Literal, "str"], ids=str)
def test_annotation_of_a_type_that_does_not_travel_is_refused_when_the_form_is_made(annotation: Any) -> None:
    with pytest.raises(TypeError, match="no form to travel in"):
        form_of(annotation)


def test_error_and_reason_come_back_as_they_were() -> None:
    form = form_of(Exception)
    assert form.write is not None
    error = form.read(form.write(ActorDiedError("gone", reason=REASON, executed="no")))
    assert (type(error), str(error), error.reason, error.executed) == (ActorDiedError, "gone", REASON, "no")


PLAIN = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(1 << 63), 1 << 63), st.floats(), st.text(max_size=5)),
    *(st.binary(max_size=20), st.just(ID), st.sampled_from(["at_once", "normal", "x"])),
)
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5) | st.binary(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
VERB_NAMES = sorted(verb for verb, request in VERBS.items() if request.__module__.startswith("actorrt."))
RIGHT = {request.verb: request.pack() for request, _ in SAMPLES}
ANSWERS = {request.verb: type(request).pack_answer(answer) for request, answer in SAMPLES}
PLACE = re.compile(
    r"^(?:the answer to '(\w+)'|(\w+))(?:[.\w=<>-]|\[.*?\])* (?:is .*: it has to be |has no '|has a key that is )",
    re.DOTALL,
)


def disturbed(draw: Any, data: Any) -> Any:
    """Return data in which something is another thing, however deep."""
    if draw(st.booleans()) or not isinstance(data, dict | list | tuple) or not data:
        return draw(ANYTHING)
    if isinstance(data, dict):
        key = draw(st.sampled_from(sorted(data, key=repr)))
        if draw(st.booleans()):
            return {other: value for other, value in data.items() if other != key}
        return {**data, key: disturbed(draw, data[key])}
    at = draw(st.integers(0, len(data) - 1))
    return [*data[:at], disturbed(draw, data[at]), *data[at + 1 :]]


def read_or_refused(read: Callable[[Any], Any], arrived: Any, verb: str) -> Any:
    """Return what is read, or None where it is refused as it should be."""
    refusal = None
    try:
        return read(arrived)
    except Exception as error:
        refusal = error
    assert type(refusal) is ValueError
    match = PLACE.match(str(refusal))
    assert match, str(refusal)
    assert verb in match.groups()
    return None


@settings(max_examples=1000, deadline=None)
@given(data=st.data(), verb=st.sampled_from(VERB_NAMES))
def test_any_data_give_a_request_or_a_value_error_that_names_the_place(data: st.DataObject, verb: str) -> None:
    kind, arrived = VERBS[verb], disturbed(data.draw, RIGHT[verb])
    request = read_or_refused(kind.unpack, arrived, verb)
    if request is not None:
        assert type(request) is kind
        assert pack_envelope([kind.unpack(request.pack()).pack()]) == pack_envelope([request.pack()])


@settings(max_examples=1000, deadline=None)
@given(data=st.data(), verb=st.sampled_from(VERB_NAMES))
def test_any_answer_data_give_an_answer_or_a_value_error_that_names_the_place(data: st.DataObject, verb: str) -> None:
    read_or_refused(VERBS[verb].unpack_answer, disturbed(data.draw, ANSWERS[verb]), verb)
