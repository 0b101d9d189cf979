"""Which values travel without a pickle or a copy, and how many bytes they count as."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt.actors.refs.message import PLAIN_MESSAGE_BYTES, message_bytes
from actorrt.actors.wire.plain_values import Constants, constant_bytes


class Text(str):
    """May have attributes, which change."""


@pytest.mark.parametrize(
    "value", [None, True, 1 << 70, 1.5, 2j, "x", b"x", (), (1, ("x", frozenset({b"y"})))], ids=repr
)
def test_what_can_not_change_is_told_by_its_type_and_that_of_its_parts(value: Any) -> None:
    assert constant_bytes(value) is not None


@pytest.mark.parametrize("value", [[], {}, set(), bytearray(), Text(), object, (1, []), (((Text(),),),)], ids=repr)
def test_anything_else_may_change(value: Any) -> None:
    assert constant_bytes(value) is None


def test_a_value_of_many_parts_is_not_looked_through() -> None:
    assert constant_bytes(tuple(range(900))) is not None
    assert constant_bytes(tuple(range(1100))) is None
    assert constant_bytes(tuple((n,) for n in range(600))) is None


def test_what_holds_itself_many_times_over_is_given_up_soon() -> None:
    value: tuple[Any, ...] = ()
    for _ in range(60):
        value = (value, value)
    assert constant_bytes(value) is None


def test_constants_weigh_what_their_bytes_and_texts_do_wherever_they_are() -> None:
    constants = Constants.of((b"x" * 1000, ("y" * 2000,)), {"named": "z" * 3000})
    assert constants is not None
    assert constants == (b"x" * 1000, ("y" * 2000,))
    assert constants.named == {"named": "z" * 3000}
    assert 6000 <= message_bytes(constants, ()) - PLAIN_MESSAGE_BYTES <= 6100


def test_arguments_with_one_that_may_change_are_none() -> None:
    assert Constants.of((1,), {"named": []}) is None
