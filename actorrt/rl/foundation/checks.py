"""Pure: refuses arguments and settings of the wrong type or out of range. Errors give the name and the value."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """Return a number of another library as Python's own; other values stay as they are."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def require_whole(name: str, value: Any, at_least: int) -> None:
    """Make sure that a value is a whole number of at least `at_least`.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is smaller.
    """
    if not is_whole(value):
        raise TypeError(f"{name} is a whole number: {name}={value!r}")
    if value < at_least:
        raise ValueError(f"{name} is at least {at_least}: {name}={value}")


def require_number(
    name: str, value: Any, *, is_positive: bool = False, is_limit: bool = False, at_least: float = -math.inf
) -> None:
    """Make sure that a value is a number; larger than 0 if `is_positive`, and finite unless `is_limit`.

    Raises:
        TypeError: it is not a number.
        ValueError: it is NaN, infinite without being a limit, not larger than 0, or smaller than `at_least`.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is a number: {name}={value!r}")
    if math.isnan(value) or (math.isinf(value) and not is_limit):
        raise ValueError(f"{name} is a {'' if is_limit else 'finite '}number: {name}={value}")
    if is_positive and value <= 0:
        raise ValueError(f"{name} is larger than 0: {name}={value}")
    if value < at_least:
        raise ValueError(f"{name} is at least {at_least:g}: {name}={value}")


def require_share(name: str, value: Any) -> None:
    """Make sure that a value is a number from 0 to 1, both included.

    Raises:
        TypeError: it is no number.
        ValueError: it is outside.
    """
    require_number(name, value)
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} is between 0 and 1: {name}={value}")


def require_one_of(name: str, value: Any, words: Sequence[str]) -> None:
    """Make sure that a value is one of these strings.

    Raises:
        ValueError: it is another value; the message suggests the nearest string.
    """
    if value not in words:
        *most, last = map(repr, words)
        near = difflib.get_close_matches(value.lower(), words, n=1) if isinstance(value, str) else ()
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name} is {', '.join(most)} or {last}: {name}={value!r}{hint}")


def require_flag(name: str, value: Any) -> None:
    """Make sure that a value is True or False.

    Raises:
        TypeError: it is neither.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False: {name}={value!r}")
