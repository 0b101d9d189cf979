"""What is said of calls that wait long: once, and why."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from actorrt.actors.calling import slow_calls
from actorrt.actors.calling.slow_calls import ANSWER_TIMEOUT_S, LOOKS_COUNT, SlowCalls, describe, describe_silence
from actorrt.actors.refs import current
from actorrt.config import CALL_REPORT_AFTER_S
from actorrt.protocol.authorities import ActorState, AskState
from actorrt.protocol.hosts import CallState, ExplainCall
from actorrt.protocol.nodes import ExplainSilence, SilenceReport
from tests.unit.actors.calling.fakes import ACTOR, NODE, THERE, CallingSide

MARK_EVERY_S = CALL_REPORT_AFTER_S / LOOKS_COUNT


class Watched(CallingSide):
    """A calling side whose slow calls are reported."""

    def __init__(self) -> None:
        super().__init__()
        SlowCalls(self.table, self.streams, self.routes, self.control, self.peers, self.scope)

    def wait(self) -> None:
        """Let the time pass after which a call that waits is reported."""
        self.loop.advance(CALL_REPORT_AFTER_S + 2 * MARK_EVERY_S)

    async def explained(self) -> None:
        """Run the explanations that were begun, as far as the answers are there."""
        current.set_process_endpoint(self)  # type: ignore[arg-type]
        try:
            for coroutine in self.scope.started:
                explaining = asyncio.ensure_future(coroutine)
                while not explaining.done():
                    before = len(self.control.asked)
                    await asyncio.sleep(0)
                    self.answer(self.control.asked[before:])
                await explaining
        finally:
            current.set_process_endpoint(None)
        self.scope.started = []

    answers: dict[type, Any]

    def answer(self, asked: Any) -> None:
        for request in asked:
            if type(request.request) in self.answers:
                request.set_value(self.answers[type(request.request)])
        if not asked:
            self.loop.advance(ANSWER_TIMEOUT_S)


@pytest.fixture
def side() -> Watched:
    return Watched()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.WARNING, logger=slow_calls.__name__)
    return lambda: [record.getMessage() for record in caplog.records]


async def test_call_that_waits_is_explained_by_its_host_once(side: Watched, said: Any) -> None:
    side.ask(side.ref())
    side.wait()
    side.answers = {ExplainCall: CallState(state="running", seconds=12.3)}
    await side.explained()
    side.wait()
    assert [(asked.to, asked.request) for asked in side.control.asked] == [(THERE, ExplainCall(actor=ACTOR, call=1))]
    assert said() == [f"noted.note() has waited for over {CALL_REPORT_AFTER_S:g} s: running since 12 s"]
    assert side.scope.started == []


def test_young_calls_and_those_that_have_ended_are_not_reported(side: Watched) -> None:
    side.ask(side.ref())
    side.arrivals.succeeded(1, [None], ())
    side.loop.advance(CALL_REPORT_AFTER_S)
    side.ask(side.ref())
    side.loop.advance(2 * MARK_EVERY_S)
    assert side.scope.started == []


def test_nothing_is_watched_while_nothing_is_pending(side: Watched) -> None:
    side.ask(side.ref())
    side.arrivals.succeeded(1, [None], ())
    side.loop.advance(MARK_EVERY_S)
    assert (side.table.is_watched, side.loop.timers) == (False, [])
    side.ask(side.ref())
    assert side.table.is_watched


async def test_host_that_does_not_answer_is_asked_about_at_the_node(side: Watched, said: Any) -> None:
    side.ask(side.ref())
    side.wait()
    side.answers = {ExplainSilence: SilenceReport(silence="stopped", pid=77, silent_s=9.0)}
    await side.explained()
    assert [(asked.to, asked.request) for asked in side.control.asked][1:] == [(NODE, ExplainSilence(peer=THERE.peer))]
    assert said()[0].endswith("its process (77) is stopped by a signal; SIGCONT continues it")


async def test_call_whose_actor_is_sought_is_explained_by_the_authority(side: Watched, said: Any) -> None:
    side.ask(side.ref(seen=None))
    side.control.asked.clear()
    side.wait()
    side.answers = {AskState: ActorState(state="restarting", reason="it failed")}
    await side.explained()
    assert said()[0].endswith("being restarted (it failed)")


async def test_call_that_waits_behind_others_is_explained_without_a_question(side: Watched, said: Any) -> None:
    for number in range(66):
        side.tell(side.ref(), number)
    side.ask(side.ref())
    side.wait()
    side.answers = {}
    await side.explained()
    assert said()[0].endswith("behind 2 others that wait here: the actor's mailbox is full")
    assert side.control.asked == []


async def test_of_very_many_only_some_are_explained_and_the_others_counted(side: Watched, said: Any) -> None:
    for _ in range(8):
        side.ask(side.ref())
    side.wait()
    assert len(side.scope.started) == 5
    assert said() == [f"3 more calls have waited for over {CALL_REPORT_AFTER_S:g} s"]
    side.answers = {ExplainCall: CallState(state="running", seconds=12.3)}
    await side.explained()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (CallState(state="running", seconds=61.7), "running since 62 s"),
        (CallState(state="queued", ahead=3, in_hand="running"), "behind 3 others; running"),
        (CallState(state="queued", ahead=0, in_hand="starting"), "next in line; being started"),
        (CallState(state="unknown"), "on its way"),
    ],
    ids=str,
)
def test_words_for_what_a_host_says(state: CallState, words: str) -> None:
    assert describe(state) == words


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (SilenceReport(silence=None), "its process does not answer yet"),
        (SilenceReport(silence="busy", pid=3, silent_s=4.4), "the loop of its process (3) computes, for 4 s now"),
        (SilenceReport(silence="blocked", pid=3, silent_s=4.6), "the loop of its process (3) is blocked, for 5 s now"),
    ],
    ids=str,
)
def test_words_for_what_the_node_says(report: SilenceReport, words: str) -> None:
    assert describe_silence(report) == words
