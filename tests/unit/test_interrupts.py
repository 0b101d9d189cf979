"""Ctrl-C is distinguished from a KeyboardInterrupt that code raises itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from actorrt.interrupts import is_ctrl_c, let_through, watched


@pytest.fixture(autouse=True)
def handler_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def by_itself() -> BaseException:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        return error


def by_ctrl_c() -> BaseException:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt as error:
        return error
    raise AssertionError("SIGINT raised nothing")


def raise_it(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


class Handler:
    def handle(self, number: int, frame: Any) -> None:
        raise KeyboardInterrupt


HANDLERS = [raise_it, partial(raise_it), partial(partial(raise_it)), Handler().handle]


@pytest.mark.parametrize("handler", HANDLERS, ids=["function", "partial", "partials", "method"])
def test_handler_in_python_shows_in_the_traceback(handler: Any) -> None:
    signal.signal(signal.SIGINT, handler)
    assert is_ctrl_c(by_ctrl_c())
    assert not is_ctrl_c(by_itself())


def test_interrupt_of_a_handler_in_c_counts_as_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # written in C: it leaves no frame
    assert is_ctrl_c(by_ctrl_c())
    assert is_ctrl_c(by_itself())


def test_watched_handler_is_exact_and_is_put_back() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with watched():
        with watched():
            assert is_ctrl_c(by_ctrl_c())
            assert not is_ctrl_c(by_itself())
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handler_that_was_replaced_meanwhile_is_left() -> None:
    with watched():
        signal.signal(signal.SIGINT, raise_it)
    assert signal.getsignal(signal.SIGINT) is raise_it


def test_ignored_signal_is_left_ignored_and_no_interrupt_is_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with watched():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert not is_ctrl_c(by_itself())


def test_other_exceptions_are_not_ctrl_c_even_if_their_class_pretends() -> None:
    class Pretender(Exception):
        __class__ = KeyboardInterrupt  # type: ignore[assignment]

    assert not is_ctrl_c(ValueError())
    assert not is_ctrl_c(Pretender())


def test_no_interrupt_in_another_thread_is_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answers: list[bool] = []

    def ask() -> None:
        with watched():
            answers.append(is_ctrl_c(by_itself()))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert answers == [False]


def test_only_ctrl_c_is_let_through() -> None:
    signal.signal(signal.SIGINT, raise_it)
    let_through(by_itself())
    let_through(ValueError())
    with pytest.raises(KeyboardInterrupt):
        let_through(by_ctrl_c())
