"""Curves of unusual numbers and sizes: they are drawn, and leave out what can't be."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from actorrt.rl.views.curve import draw_svg, draw_text, ticks

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("height", [1, 2, 3])
@pytest.mark.parametrize("width", [1, 10])
def test_text_has_the_lines_that_were_asked_for(width, height):
    lines = draw_text([(1, 2.0), (1_000_000, 3.0)], width=width, height=height).split("\n")
    assert len(lines) == height + 2
    assert lines[-1].split() == ["1", "1,000,000", "steps"]


def test_points_that_are_not_finite_are_left_out_of_texts():
    assert draw_text([(1, NAN), (2, INF)]) == "(no points yet)"
    assert draw_text([(1, NAN), (2, 1.0), (3, 2.0)]) == draw_text([(2, 1.0), (3, 2.0)])


@pytest.mark.parametrize(
    ("training", "evaluations"),
    [
        ([(1, 1.0, NAN), (2, 2.0, 0.5)], []),
        ([(2, 2.0, 0.5), (3, INF, NAN), (4, NAN, NAN)], [(3, INF), (4, NAN), (5, -INF)]),
    ],
)
def test_numbers_that_are_not_finite_are_left_out_of_pictures(training, evaluations):
    assert draw_svg(training, evaluations) == draw_svg([(2, 2.0, 0.5)], [])


def test_picture_of_nothing_is_empty():
    assert draw_svg([(1, NAN, NAN)], [(1, NAN)]) == draw_svg([], []) == '<svg width="0" height="0"></svg>'


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (0.0, 5e-324), (-1e308, 1e308), (1.0, 1.0 + 2e-16)])
def test_range_without_round_numbers_has_one_tick(low, high):
    assert ticks(low, high) == [low]


def test_ticks_are_round_and_evenly_spread():
    assert ticks(0.0, 10.0) == [0.0, 5.0, 10.0]
    assert ticks(-0.3, 0.4) == [-0.2, 0.0, 0.2, 0.4]


def test_files_are_drawn_again_and_again_also_without_points(tmp_path):
    pytest.importorskip("matplotlib")
    program = """
import sys
from actorrt.rl.views.curve import draw_png
for number in range(2):
    for name in ("curve.png", "curve.svg"):
        draw_png(f"{sys.argv[1]}/{name}", f"PPO on $a_{number}$", [(1, float("nan")), (2, 1.0)][:number], [], 475.0)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)  # it keeps fonts open
    assert all((tmp_path / name).stat().st_size > 1_000 for name in ("curve.png", "curve.svg"))
