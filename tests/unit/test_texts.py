"""Texts about users' objects always exist, can be encoded, and have a bounded length."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from actorrt import texts
from actorrt.texts import (
    clipped,
    encodable,
    in_words,
    name_of,
    own_traceback,
    repr_of,
    text_of,
    traceback_of,
    try_text_of,
)


class Hostile(type):
    """A metaclass that lies about the names of its classes."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class Mute:
    """Has neither a `str` nor a `repr`."""

    def __str__(self) -> str:
        raise LookupError("no str")

    def __repr__(self) -> str:
        raise KeyboardInterrupt


class MuteError(Exception):
    def __str__(self) -> str:
        raise LookupError("no str")


class Endless(str):
    """A text that claims to be short."""

    __slots__ = ()

    def __len__(self) -> int:
        return 1

    def __getitem__(self, key: Any) -> NoReturn:
        raise AssertionError("the text's own method was called")


def test_lone_surrogates_are_escaped_and_other_characters_kept() -> None:
    assert encodable("a\ud800ä€\U0001f600") == "a\\ud800ä€\U0001f600"


@pytest.mark.parametrize("length", [0, 1, 99, 100])
def test_short_text_is_kept(length: int) -> None:
    assert clipped("x" * length, 100) == "x" * length


def test_long_text_loses_its_middle_and_says_how_much() -> None:
    text = "a" * 1000 + "b" * 5000 + "c" * 1000
    assert clipped(text, 100) == "a" * 50 + "\n[6,900 characters are left out here]\n" + "c" * 50


def test_text_that_escapes_have_made_longer_is_cut_again() -> None:
    assert len(clipped("\ud800" * 100, 100)) < 200
    assert len(clipped("\ud800" * 100_000, 100)) < 200


def test_text_of_a_class_that_lies_about_its_length_is_cut_all_the_same() -> None:
    assert len(clipped(Endless("x" * 100_000), 100)) < 200


def test_name_of_a_class_is_not_asked_of_its_metaclass() -> None:
    cls = Hostile("Plain", (), {})
    with pytest.raises(RuntimeError, match="no name"):
        _ = cls.__name__
    assert name_of(cls) == "Plain"


def test_text_of_a_value_is_its_str_or_names_the_failure() -> None:
    assert text_of(7) == "7"
    assert text_of(Mute()) == "<a Mute that can't be shown: LookupError>"
    assert try_text_of(7) == ("7", True)
    assert try_text_of(Mute()) == ("<a Mute that can't be shown: LookupError>", False)


def test_repr_of_a_value_is_its_repr_or_names_the_failure_and_is_bounded() -> None:
    assert repr_of("x") == "'x'"
    assert len(repr_of("x" * 100_000)) < texts.MAX_LINE_CHARACTERS + 100


def test_keyboard_interrupt_of_a_repr_is_a_failure_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "let_through", lambda error: None)  # it was not Ctrl-C
    assert repr_of(Mute()) == "<a Mute that can't be shown: KeyboardInterrupt>"


def test_ctrl_c_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_again(error: BaseException) -> None:
        raise error

    monkeypatch.setattr(texts, "let_through", raise_again)
    with pytest.raises(KeyboardInterrupt):
        repr_of(Mute())


def test_exception_in_words_is_type_and_text_or_the_type_alone() -> None:
    assert in_words(ValueError("wrong")) == "ValueError: wrong"
    assert in_words(ValueError()) == "ValueError"
    assert in_words(MuteError()) == "MuteError: <a MuteError that can't be shown: LookupError>"


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


def test_traceback_has_frames_causes_and_notes() -> None:
    error = raised(ValueError("wrong"), LookupError("because"))
    error.add_note("a note")
    text = traceback_of(error, own_traceback(error))
    assert text.startswith("LookupError: because\n\nThe above exception was the direct cause")
    assert "in raised" in text
    assert text.endswith("ValueError: wrong\na note")


def test_traceback_without_frames_is_the_exception() -> None:
    assert traceback_of(ValueError("wrong"), None) == "ValueError: wrong"


class BadNotesError(Exception):
    @property
    def __notes__(self) -> NoReturn:
        raise RuntimeError("no notes")


@pytest.mark.parametrize("has_frames", [True, False])
def test_exception_whose_notes_can_not_be_shown_still_has_its_frames_and_text(has_frames: bool) -> None:
    error = raised(BadNotesError("wrong"))
    text = traceback_of(error, own_traceback(error) if has_frames else None)
    assert text.endswith("BadNotesError: wrong")
    assert ("in raised" in text) is has_frames


def test_traceback_is_bounded() -> None:
    error = ValueError("x" * 1_000_000)
    assert len(traceback_of(error, None)) < texts.MAX_TRACEBACK_CHARACTERS + 100
    assert len(traceback_of(error, None, 1000)) < 1100


class SecretiveError(Exception):
    @property
    def __traceback__(self) -> NoReturn:  # type: ignore[override]
        raise RuntimeError("no traceback")


def test_traceback_is_not_asked_of_the_exceptions_class() -> None:
    trace = own_traceback(raised(SecretiveError()))
    assert trace is not None
    assert trace.tb_frame.f_code.co_name == "raised"
