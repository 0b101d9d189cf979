"""The views of a run in notebooks and terminals, and how often they are redrawn."""

from __future__ import annotations

import math
import sys
from types import ModuleType, SimpleNamespace
from xml.etree import ElementTree

import pytest

from actorrt.rl.runs import live, picture
from actorrt.rl.views import curve
from tests.unit.rl.views.test_progress_line import AFTER_4_S, Terminal


class FakeRun(SimpleNamespace):
    """The part of a run that views read."""

    def __init__(self, progress=None, state="running"):
        rows = [
            {"steps": 256, "return_mean": math.nan, "return_std": math.nan},
            {"steps": 512, "return_mean": 20.0, "return_std": 5.0},
            {"steps": 768, "return_mean": 40.0, "return_std": 5.0},
        ]
        plan = SimpleNamespace(name="ppo-<Cart>-1", stop_return=50.0)
        known = {"evaluations": [(600, 35.0)], "progress": progress, "best_score": 35.0, "state": state, "steps": 768}
        super().__init__(plan=plan, rows=rows, **known)


class Handle:
    """A display handle that records the HTML it shows, as IPython's does."""

    def __init__(self):
        self.shown = []

    def display(self, picture, *, display_id):
        assert display_id
        self.shown.append(picture._repr_html_())
        return self

    def update(self, picture):
        self.shown.append(picture._repr_html_())


def test_notebook_is_drawn_at_most_twice_a_second():
    handle, clock, run = Handle(), [0.0], FakeRun(AFTER_4_S)
    view = live.NotebookView(handle.display, lambda: clock[0])
    view.begin(run)
    for clock[0] in (0.0, 0.2, 0.49, 0.5, 0.9, 1.0):
        view.on_update(run, AFTER_4_S)
    run.state = "ended"
    view.on_end(run)
    assert len(handle.shown) == 1 + 3 + 1
    assert " · running<br>" in handle.shown[0]
    assert " · ended<br>" in handle.shown[-1]


def test_picture_says_where_the_run_is_and_draws_it():
    text = picture.as_html(FakeRun(AFTER_4_S))
    assert "ppo-&lt;Cart&gt;-1" in text
    assert "return 212.3 · best none yet · lag 0.5 · simulators 1/2 alive, 1 restarted · 8s left" in text
    svg = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    assert [child.tag for child in svg].count("polyline") == 2  # returns, threshold
    assert [child.tag for child in svg].count("circle") == 1


def test_picture_of_a_run_that_is_over_says_how():
    text = picture.as_html(FakeRun(AFTER_4_S, "paused"))
    assert "</b> · paused<br>" in text
    assert " left" not in text
    assert "starts: waiting for the first update" in picture.as_html(FakeRun(state="starting"))
    assert "failed after 768 steps, without an update" in picture.as_html(FakeRun(state="failed"))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-1.9, 253.3, [0.0, 100.0, 200.0]),
        (9.3, 500.0, [100.0, 200.0, 300.0, 400.0, 500.0]),
        (-0.35, -0.05, [-0.3, -0.2, -0.1]),
        (7.0, 7.0, [7.0]),
    ],
)
def test_axis_has_round_numbers(low, high, expected):
    assert curve.ticks(low, high) == expected


def test_curve_lies_between_its_axes_ends():
    svg = ElementTree.fromstring(curve.draw_svg([(0.0, 0.0, 0.0), (10.0, 100.0, 0.0)], [], width=200, height=100))
    (line,) = svg.iter("polyline")
    assert line.attrib["points"] == "48.0,80.0 192.0,8.0"
    assert curve.draw_svg([], []) == '<svg width="0" height="0"></svg>'


def test_long_curves_are_thinned():
    rows = [(float(step), float(step), 0.0) for step in range(10_000)]
    svg = ElementTree.fromstring(curve.draw_svg(rows, [], width=200))
    (line,) = svg.iter("polyline")
    points = line.attrib["points"].split()
    assert len(points) <= 100
    assert points[-1].startswith("192.0,")


@pytest.mark.parametrize(("is_terminal", "kind"), [(True, live.TerminalView), (False, type(None))])
def test_terminals_get_a_line_and_files_nothing(is_terminal, kind, monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    monkeypatch.setattr(sys, "stderr", Terminal() if is_terminal else SimpleNamespace(isatty=lambda: False))
    assert isinstance(live.view(), kind)


def test_terminal_shows_the_last_state(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    view, run = live.TerminalView(), FakeRun(AFTER_4_S)
    view.begin(run)
    view.on_update(run, AFTER_4_S)
    view.on_end(run)
    assert out.getvalue().count("20,480/100,000 steps") == 2
    assert out.getvalue().endswith("\n")


def test_kernels_get_a_plot(monkeypatch):
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    display.display = print
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    assert isinstance(live.view(), live.NotebookView)
