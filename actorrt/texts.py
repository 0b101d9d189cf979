"""Turns objects of users' code into texts that fit into every envelope and every log.

Every function is total. Code of the user's class (`__str__`, `__repr__`, a metaclass) may raise or return anything; the
result is always a text of bounded length that UTF-8 can encode.
"""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any, Final

from actorrt.interrupts import let_through

MAX_TEXT_CHARACTERS: Final = 65_536
MAX_TRACEBACK_CHARACTERS: Final = 131_072
MAX_LINE_CHARACTERS: Final = 4_096
_LEFT_OUT: Final = "\n[{:,} characters are left out here]\n"


def encodable(text: str) -> str:
    """Return the text with each lone surrogate, which UTF-8 can't encode, escaped."""
    return str.encode(text, "utf-8", "backslashreplace").decode()


def clipped(text: str, most: int) -> str:
    """Return the text; if it has many more than `most` characters, its middle is left out."""
    if str.__len__(text) > most:  # before any copy is made; a user's subclass may have a __len__ of its own
        text = _ends(text, most)
    text = encodable(text)
    return _ends(text, most) if len(text) > most + len(_LEFT_OUT) + 20 else text  # escapes may have made it longer


def _ends(text: str, most: int) -> str:
    length, half = str.__len__(text), most // 2
    left_out = _LEFT_OUT.format(length - 2 * half)
    return str.__getitem__(text, slice(half)) + left_out + str.__getitem__(text, slice(length - half, length))


def name_of(cls: type) -> str:
    """Return the name of a class, without running code of its metaclass."""
    name: str = type.__dict__["__name__"].__get__(cls)
    return name


def text_of(value: Any, most: int = MAX_TEXT_CHARACTERS) -> str:
    """Return `str(value)`, or a text with the exception that this raised."""
    return try_text_of(value, most)[0]


def try_text_of(value: Any, most: int = MAX_TEXT_CHARACTERS) -> tuple[str, bool]:
    """Return `text_of(value)`, and whether `str(value)` succeeded."""
    return _render(str, value, most)


def repr_of(value: Any, most: int = MAX_LINE_CHARACTERS) -> str:
    """Return `repr(value)`, or a text with the exception that this raised."""
    return _render(repr, value, most)[0]


def _render(function: Any, value: Any, most: int) -> tuple[str, bool]:
    try:
        return clipped(function(value), most), True
    except BaseException as problem:
        let_through(problem)
        return f"<a {name_of(type(value))} that can't be shown: {name_of(type(problem))}>", False


def own_traceback(error: BaseException) -> TracebackType | None:
    """Return the traceback of an exception, without running code of its class."""
    trace: TracebackType | None = BaseException.__dict__["__traceback__"].__get__(error)
    return trace


def in_words(error: BaseException, most: int = MAX_TEXT_CHARACTERS) -> str:
    """Return an exception's type and text."""
    text = text_of(error, most)
    return f"{name_of(type(error))}: {text}" if text else name_of(type(error))


def traceback_of(
    error: BaseException,
    trace: TracebackType | None,
    most: int = MAX_TRACEBACK_CHARACTERS,
    *,
    has_notes: bool = True,
) -> str:
    """Return an exception as Python prints it, with its causes and notes, and with the frames of `trace`.

    Args:
        error, trace: the exception, and its frames.
        most: the maximal number of characters.
        has_notes: whether its own notes are shown.
    """
    for show in (_in_full if has_notes else _without_notes, _alone):
        try:
            return clipped("".join(show(error, trace)).rstrip(), most)
        except BaseException as problem:
            let_through(problem)
    return in_words(error)


def _in_full(error: BaseException, trace: TracebackType | None) -> list[str]:
    return traceback.format_exception(type(error), error, trace)


def _without_notes(error: BaseException, trace: TracebackType | None) -> list[str]:
    shown = traceback.TracebackException(type(error), error, trace)
    shown.__notes__ = []
    return [*shown.format()]


def _alone(error: BaseException, trace: TracebackType | None) -> list[str]:
    """Show frames and text only. Used if the causes or notes of the exception can't be shown."""
    frames = traceback.format_tb(trace)
    return ["Traceback (most recent call last):\n", *frames, in_words(error)] if frames else [in_words(error)]
