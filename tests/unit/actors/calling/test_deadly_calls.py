"""Calls that end their actors: how often they may, and what is kept of those that do it too often."""

from __future__ import annotations

import pytest

from actorrt import errors
from actorrt.actors.calling.deadly_calls import DEADLY_COUNT, KEPT_COUNT, DeathCounter
from actorrt.actors.refs import current
from actorrt.reasons import ExitKind, ExitReason
from tests.unit.actors.calling.fakes import CallingSide

CRASHED = ExitReason(ExitKind.CRASHED, "exit status 1")


@pytest.fixture
def side() -> CallingSide:
    return CallingSide()


def test_call_is_deadly_at_its_third_death_and_others_do_not_count(side: CallingSide) -> None:
    deaths = DeathCounter()
    one, two = side.ask(side.ref(), 1), side.ask(side.ref(), 2)
    assert [deaths.is_deadly(call, CRASHED) for call in (one, two, one, two, one)] == [False] * 4 + [True]
    assert [(poison.ref, poison.method, poison.body, poison.reason) for poison in deaths.set_aside] == [
        (one.ref, "note", (1,), CRASHED)
    ]


def test_deaths_of_a_call_that_has_ended_are_forgotten(side: CallingSide) -> None:
    deaths = DeathCounter()
    for _ in range(DEADLY_COUNT):
        call = side.ask(side.ref())
        assert not deaths.is_deadly(call, CRASHED)
        side.arrivals.succeeded(call.call_id, [None], ())
    assert deaths._deaths == {}


def test_only_the_newest_are_kept(side: CallingSide) -> None:
    deaths = DeathCounter()
    for number in range(KEPT_COUNT + 1):
        call = side.ask(side.ref(), number)
        for _ in range(DEADLY_COUNT):
            deaths.is_deadly(call, CRASHED)
    assert [deaths.set_aside[0].body, len(deaths.set_aside)] == [(1,), KEPT_COUNT]


def test_arguments_are_opened_when_they_are_asked_for(side: CallingSide) -> None:
    call = side.ask(side.ref(), [1], name="x")
    for _ in range(DEADLY_COUNT):
        side.table.deaths.is_deadly(call, CRASHED)
    (poison,) = side.table.deaths.set_aside
    current.set_process_endpoint(side)  # type: ignore[arg-type]
    try:
        assert poison.arguments() == (([1],), {"name": "x"})
    finally:
        current.set_process_endpoint(None)


def test_arguments_that_went_by_the_store_are_gone(side: CallingSide) -> None:
    call = side.ask(side.ref())
    call.body = {"object": b"o" * 16, "token": b"t"}
    for _ in range(DEADLY_COUNT):
        side.table.deaths.is_deadly(call, CRASHED)
    with pytest.raises(errors.ObjectLostError, match=r"the arguments of note\(\) went through the store"):
        side.table.deaths.set_aside[0].arguments()
