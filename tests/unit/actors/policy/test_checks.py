"""Checks of what users give: what each takes, how it keeps that, and how it refuses the rest."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actorrt.actors.policy import checks


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("check", "given", "kept"),
    [
        (checks.choice(Colour), "red", Colour.RED),
        (checks.choice(Colour), Colour.BLUE, Colour.BLUE),
        (checks.number(0), 2, 2.0),
        (checks.above_zero, np.float32(0.5), 0.5),
        (checks.count(0), np.int64(3), 3),
        (checks.count_or_seconds, 3, 3),
        (checks.count_or_seconds, 2.5, 2.5),
        (checks.flag, True, True),
        (checks.any_text, "", ""),
        (checks.text, "a", "a"),
        (checks.path, Path("a/b"), "a/b"),
        (checks.mapping(checks.count(0)), {"a": 1}, {"a": 1}),
        (checks.instance(dict), None, {}),
        (checks.instance(int), 5, 5),
        (checks.exception_classes, OSError, (OSError,)),
        (checks.exception_classes, [OSError, KeyError], (OSError, KeyError)),
        (checks.optional(checks.text), None, None),
    ],
)
def test_value_is_kept_as_the_check_says(check: checks.Check, given: Any, kept: Any) -> None:
    assert (check("x", given), type(check("x", given))) == (kept, type(kept))


@pytest.mark.parametrize(
    ("check", "given", "error", "text"),
    [
        (checks.choice(Colour), "rde", ValueError, "option x='rde': give one of 'red', 'blue'; did you mean 'red'?"),
        (checks.choice(Colour), "green", ValueError, "option x='green': give one of 'red', 'blue'"),
        (checks.choice(Colour), 1, TypeError, "option x=1: give one of 'red', 'blue'"),
        (checks.number(1), 0.5, ValueError, "option x=0.5: give a number of at least 1"),
        (checks.number(1), float("nan"), ValueError, "option x=nan: give a number of at least 1"),
        (checks.number(1), True, TypeError, "option x=True: give a number of at least 1"),
        (checks.above_zero, 0, ValueError, "option x=0: give a number above 0"),
        (checks.above_zero, "1", TypeError, "option x='1': give a number above 0"),
        (checks.count(1), 0, ValueError, "option x=0: give a whole number of at least 1"),
        (checks.count(1), 1.0, TypeError, "option x=1.0: give a whole number of at least 1"),
        (checks.flag, 1, TypeError, "option x=1: give True or False"),
        (checks.any_text, b"a", TypeError, "option x=b'a': give a string"),
        (
            checks.any_text,
            "\ud800",
            ValueError,
            "option x='\\ud800': give a string that UTF-8 can encode; os.fsencode gives the bytes of a path",
        ),
        (checks.text, "", ValueError, "option x='': give a string that is not empty"),
        (checks.mapping(checks.count(0)), {"a": -1}, ValueError, "option x['a']=-1: give a whole number of at least 0"),
        (checks.mapping(checks.count(0)), {1: 1}, TypeError, "option x key=1: give a string"),
        (checks.mapping(checks.count(0)), [], TypeError, "option x=[]: give a mapping from names to values"),
        (checks.instance(dict), 1, TypeError, "option x=1: give a dict"),
        (
            checks.exception_classes,
            int,
            TypeError,
            "option x=<class 'int'>: give exception classes, such as (MemoryError, OSError)",
        ),
    ],
)
def test_refusal_names_the_option_its_value_and_what_to_give(
    check: checks.Check, given: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as raised:
        check("x", given)
    assert str(raised.value) == text


def test_arguments_that_a_constructor_does_not_take_are_refused_with_its_signature() -> None:
    class Counter:
        def __init__(self, start: int, *, step: int = 1) -> None:
            pass

    checks.constructor(Counter, (1,), {"step": 2})
    with pytest.raises(TypeError) as raised:
        checks.constructor(Counter, (), {})
    expected = "Counter(start: 'int', *, step: 'int' = 1) -> 'None': missing a required argument: 'start'"
    assert str(raised.value) == expected
