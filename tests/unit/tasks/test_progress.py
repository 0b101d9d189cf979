"""The line that shows how far a map is."""

from __future__ import annotations

import io

from actorrt.tasks.api.progress import MapProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


def test_a_terminal_shows_one_line_that_is_rewritten_ten_times_a_second() -> None:
    clock, out = Clock(), Terminal()
    progress = MapProgress("score", 4, clock, out)
    for _ in range(4):
        clock.time += 0.06
        progress.taken(2)
    progress.end()
    assert out.getvalue().count("\n") == 1
    shown = out.getvalue().replace("\x1b[K", "").strip().split("\r")
    assert shown == [
        "score: 2/4 done, 50% · 17/s · 0 s left · 2 in flight",
        "score: 4/4 done, 100% · 17/s · 2 in flight",
        "score: 4/4 done, 100% · 17/s",
    ]


def test_a_file_gets_a_line_every_few_seconds_and_one_at_the_end() -> None:
    clock, out = Clock(), io.StringIO()
    progress = MapProgress("score", None, clock, out)
    for _ in range(10):
        clock.time += 1.0
        progress.taken(3)
    progress.end()
    assert out.getvalue().splitlines() == [
        "score: 5 done · 1/s · 3 in flight",
        "score: 10 done · 1/s · 3 in flight",
        "score: 10 done · 1/s",
    ]
