"""Dead letters: counted, the last ones kept, logged at most once in a while."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from actorrt.actors.hosting.dead_letters import KEPT_COUNT, LOG_EVERY_S, DeadLetters
from actorrt.machine.clock import ManualClock


class Timers:
    """Runs what is due, when it is told that the time has passed."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None]]] = []

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        self.due.append((seconds, callback))

    def run(self) -> None:
        due, self.due = self.due, []
        for seconds, callback in due:
            assert seconds == LOG_EVERY_S
            callback()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING, "actorrt.actors.hosting.dead_letters")
    return lambda: [record.getMessage() for record in caplog.records]


def test_first_is_logged_at_once_and_others_as_one_line_after_a_while(lines: Callable[[], list[str]]) -> None:
    timers = Timers()
    letters = DeadLetters(ManualClock(), timers.after)
    for n in range(1_000):
        letters.add("Sink-1", f"take{n}", "it is gone")
    assert lines() == ["dead letter: Sink-1.take0(): it is gone"]
    timers.run()
    assert lines()[1:] == ["999 more dead letters, the last: Sink-1.take999(): it is gone"]
    timers.run()
    assert (len(lines()), timers.due) == (2, [])
    letters.add("Sink-1", "take", "it is gone")
    assert len(lines()) == 3


def test_all_are_counted_and_the_last_are_kept() -> None:
    clock = ManualClock(5.0)
    letters = DeadLetters(clock, Timers().after)
    for n in range(KEPT_COUNT + 5):
        letters.add("Sink-1", f"take{n}", "it is gone")
    assert letters.count == KEPT_COUNT + 5
    assert letters.kept()[0] == {"actor": "Sink-1", "method": "take5", "why": "it is gone", "at": 5.0}
    assert len(letters.kept()) == KEPT_COUNT
