"""The progress line and the curve, character by character."""

from __future__ import annotations

import dataclasses
import io
import math
import subprocess
import sys

import pytest

from actorrt.rl.records.progress import Progress, Times
from actorrt.rl.views import curve
from actorrt.rl.views.progress_line import ProgressLine, describe, folded, parts

AFTER_4_S = Progress(
    steps=20_480, total_steps=100_000, seconds=4.0, steps_per_s=9_940.0, return_mean=212.34, evaluation=None,
    policy_lag=0.5, simulators=2, simulators_alive=1, simulators_restarted=1, metrics={}, trained_on=((0, 1, 77),),
)  # fmt: skip


BELOW = "\x1b[J"  # erases the rest


@pytest.fixture(autouse=True)
def terminal_that_moves_its_cursor(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def show_at(line, clock, times):
    for time_s in times:
        clock[0] = time_s
        line.show(AFTER_4_S)


def test_progress_line_has_steps_rate_returns_lag_simulators_and_time_left():
    assert describe(AFTER_4_S) == (
        " 20,480/100,000 steps · 9,940/s · return 212.3 · best none yet · lag 0.5 · "
        "simulators 1/2 alive, 1 restarted · 8s left"
    )


def test_progress_line_shows_spread_and_where_the_time_went():
    full = dataclasses.replace(
        AFTER_4_S, return_std=12.34, times=Times(sampling_s=1.0, waiting_s=2.0, learning_s=0.5), running_s=4.0
    )
    assert " · return 212.3 ± 12.3 · " in describe(full)
    assert describe(full).endswith(" · 8s left · sampling 25%, waiting 50%, learning 12%")


def test_return_that_is_not_known_yet_is_no_number():
    assert " · return none yet · " in describe(dataclasses.replace(AFTER_4_S, return_mean=math.nan))


def test_narrow_terminal_gets_several_lines_rewritten_together(monkeypatch):
    monkeypatch.setattr("actorrt.rl.views.progress_line._columns", lambda out: 45)
    out, clock = Terminal(), [0.0]
    show_at(ProgressLine(out, lambda: clock[0]), clock, [0.0, 0.1])
    block = "\x1b[K\n".join(
        [
            " 20,480/100,000 steps · 9,940/s",
            " return 212.3 · best none yet · lag 0.5",
            " simulators 1/2 alive, 1 restarted · 8s left",
        ]
    )
    assert out.getvalue() == ("\r" + block + BELOW + "\x1b[2A\r") * 2


def test_part_that_is_wider_than_the_line_is_cut():
    assert folded(["12 steps", "a long word"], 6) == ["12 ste", " a lon"]
    assert folded(parts(AFTER_4_S), 1_000) == [describe(AFTER_4_S)]


def test_terminal_that_can_not_move_its_cursor_is_written_to_as_a_file(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    out, clock = Terminal(), [0.0]
    line = ProgressLine(out, lambda: clock[0])
    line.wait("a while")
    show_at(line, clock, [0.0, 0.5, 2.0])
    line.note("killed")
    assert out.getvalue() == (describe(AFTER_4_S) + "\n") * 2 + "killed\n"


def test_terminal_shows_the_text_of_a_wait():
    out, last = Terminal(), dataclasses.replace(AFTER_4_S, steps=100_000)
    line = ProgressLine(out, lambda: 0.0)
    line.wait("a while")
    line.show(AFTER_4_S)
    line.show(last)  # at once, since nothing is shown for as long as the last policy is evaluated
    line.end(last)
    assert out.getvalue() == (
        f"\ra while{BELOW}\r\r{describe(AFTER_4_S)}{BELOW}\r"
        f"\r{describe(last)} · evaluating the last policy{BELOW}\r\r{describe(last)}{BELOW}\n"
    )


@pytest.mark.parametrize(
    ("steps_per_s", "text"), [(0.0, "? left"), (600.0, "2m13s left"), (10.0, "2h12m left"), (1e9, "0s left")]
)
def test_time_left_has_the_unit_that_fits(steps_per_s, text):
    assert describe(dataclasses.replace(AFTER_4_S, steps_per_s=steps_per_s)).endswith(text)


def test_plain_output_gets_a_line_every_two_seconds():
    out, clock = io.StringIO(), [0.0]
    line = ProgressLine(out, lambda: clock[0])
    show_at(line, clock, [0.0, 0.5, 1.9, 2.0, 3.0, 4.1])
    assert out.getvalue() == (describe(AFTER_4_S) + "\n") * 3


def test_terminal_gets_one_line_rewritten_ten_times_a_second():
    out, clock = Terminal(), [0.0]
    line = ProgressLine(out, lambda: clock[0])
    show_at(line, clock, [0.0, 0.05, 0.1])
    line.end(None)
    assert out.getvalue() == ("\r" + describe(AFTER_4_S) + BELOW + "\r") * 2 + "\r" + BELOW


def test_note_stays_above_the_rewritten_line():
    out, clock = Terminal(), [0.0]
    line = ProgressLine(out, lambda: clock[0])
    line.show(AFTER_4_S)
    line.note("killed")
    assert out.getvalue() == "\r" + describe(AFTER_4_S) + BELOW + "\r\rkilled" + BELOW + "\n"


def test_last_state_is_always_shown():
    out = io.StringIO()
    line = ProgressLine(out, lambda: 0.0)
    line.show(AFTER_4_S)
    line.end(AFTER_4_S)
    assert out.getvalue().count("20,480") == 2


def test_curve_rises_from_the_lower_left_to_the_upper_right():
    assert curve.draw_text([(0.0, 0.0), (10.0, 100.0)], width=4, height=2).splitlines() == [
        "100 ┤⠀⠀⡠⠊",
        "  0 ┤⡠⠊",
        "    └────",
        "     0 10 steps",
    ]


def test_curve_of_nothing_says_so():
    assert curve.draw_text([(0.0, math.nan)]) == "(no points yet)"


def test_curve_of_one_value_is_a_line():
    assert "⣀⣀" in curve.draw_text([(0.0, 5.0), (10.0, 5.0)], width=4, height=2)


def test_png_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "curve.png"
    program = (
        "from actorrt.rl.views import curve; "
        f"curve.draw_png({str(path)!r}, 'a run', [(0, 1.0), (10, 5.0)], [(10, 6.0)], threshold=5.5)"
    )
    # In a process of its own: matplotlib keeps its fonts open.
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    assert path.read_bytes().startswith(b"\x89PNG")


class LostTerminal(Terminal):
    """Writes a few times, and fails from then on, as a terminal does whose window was closed."""

    def __init__(self, good):
        super().__init__()
        self.good = good

    def write(self, text):
        self.good -= 1
        if self.good < 0:
            raise OSError(5, "Input/output error")
        return super().write(text)


def test_terminal_that_is_gone_fails_no_run(caplog):
    terminal, clock = LostTerminal(1), [0.0]
    line = ProgressLine(terminal, lambda: clock[0])
    show_at(line, clock, [1.0, 2.0, 3.0])
    line.note("a note")
    line.end(AFTER_4_S)
    assert [record.message for record in caplog.records] == [
        "the progress is not shown any more: [Errno 5] Input/output error"
    ]
    assert terminal.good == -1


def test_remaining_time_without_any_progress_is_no_number():
    for rate in (0.0, 1e-300):
        assert describe(dataclasses.replace(AFTER_4_S, steps_per_s=rate)).endswith(" · ? left")


def test_run_that_evaluates_nothing_does_not_speak_of_evaluations_to_come():
    out = Terminal()
    last = dataclasses.replace(AFTER_4_S, steps=100_000, is_evaluated=False)
    ProgressLine(out, lambda: 0.0).show(last)
    assert " · best not evaluated · " in out.getvalue()
    assert "evaluating" not in out.getvalue()
