"""Which endpoint serves the code that asks, and which deadline it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from actorrt.actors.refs import current
from actorrt.actors.refs.message import Message
from actorrt.errors import RuntimeStateError
from tests.unit.actors.calling.fakes import CallingSide


@pytest.fixture(autouse=True)
def nothing_runs() -> Iterator[None]:
    before = current.process_endpoint()
    current.set_process_endpoint(None)
    yield
    current.set_process_endpoint(before)


@contextmanager
def in_hand(endpoint: Any, deadline: float | None = None) -> Iterator[Message]:
    message = Message(None, 0, "method", (), (), deadline, None)
    message.cell = SimpleNamespace(host=SimpleNamespace(endpoint=endpoint))
    token = current.message.set(message)
    yield message
    current.message.reset(token)


def test_code_of_an_actor_is_served_by_its_own_endpoint_and_other_code_by_that_of_the_process() -> None:
    own: Any = CallingSide()
    others: Any = CallingSide()
    current.set_process_endpoint(others)
    assert current.endpoint() is current.process_endpoint() is others
    with in_hand(own):
        assert current.endpoint() is own
    assert current.endpoint() is others


def test_without_a_runtime_the_error_says_how_to_start_one() -> None:
    with pytest.raises(RuntimeStateError, match=r"the runtime is not running here: call actorrt.init\(\) first"):
        current.endpoint()


def test_endpoint_that_is_closed_refuses_in_its_own_words() -> None:
    closed: Any = CallingSide()
    closed.is_closed = True
    closed.threads.why_closed = "the node is lost"
    current.set_process_endpoint(closed)
    with pytest.raises(RuntimeStateError, match="the node is lost"):
        current.endpoint()


def test_deadline_is_that_of_the_message_in_hand_until_it_is_over() -> None:
    assert current.deadline() is None
    with in_hand(None, 5.0) as message:
        before, message.is_over = current.deadline(), True
        assert (before, current.deadline()) == (5.0, None)
