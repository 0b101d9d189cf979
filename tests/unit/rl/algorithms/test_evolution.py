"""Evolutionary updates against slow, obvious code; directions, ranks and sums."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from actorrt.rl.algorithms.ars import ARSSettings, ARSUpdate
from actorrt.rl.algorithms.es import ESSettings, ESUpdate, centred_ranks
from actorrt.rl.evolution.perturbation import direction


def test_directions_follow_from_their_numbers():
    assert (direction(1, 2, 3, 5) == direction(1, 2, 3, 5)).all()
    others = [direction(1, 2, 3, 5), direction(0, 2, 3, 5), direction(1, 0, 3, 5), direction(1, 2, 0, 5)]
    assert len({tuple(each) for each in others}) == 4
    many = np.array([direction(0, 0, number, 1000) for number in range(50)])
    assert abs(many.mean()) < 0.02
    assert abs(many.std() - 1.0) < 0.02


def slow_ars(parameters, noise, returns, settings):
    """Read algorithm 2 of Mania et al. (2018) line by line."""
    order = sorted(range(len(noise)), key=lambda k: -max(returns[k]))[: settings.best_directions]
    deviation = statistics.stdev(returns[k][way] for k in order for way in (0, 1))
    moved = parameters.astype(np.float64)
    for k in order:
        moved += settings.learning_rate / (len(order) * deviation) * (returns[k][0] - returns[k][1]) * noise[k]
    return moved


@pytest.mark.parametrize("best", [1, 3, None])
@pytest.mark.parametrize("seed", range(3))
def test_random_search_moves_as_the_paper_says(best, seed):
    rng = np.random.default_rng(seed)
    parameters, noise, returns = rng.normal(size=6), rng.normal(size=(5, 6)), rng.normal(10.0, 4.0, (5, 2))
    settings = ARSSettings(directions=5, best_directions=best)
    rule = ARSUpdate(settings)
    weights, metrics = rule.weigh(returns)
    moved = rule.move(parameters, weights @ noise)
    np.testing.assert_allclose(moved, slow_ars(parameters, noise, returns, settings), rtol=1e-5, atol=1e-6)
    assert metrics["return_deviation"] > 0.0


def test_equal_returns_move_nothing():
    weights, _ = ARSUpdate(ARSSettings()).weigh(np.full((2, 2), 7.0))
    assert weights.tolist() == [0.0, 0.0]


def slow_gradient(noise, returns, settings):
    """Read algorithm 1 of Salimans et al. (2017): each of the 2n episodes counts with its rank, from -0.5 to 0.5."""
    episodes = [(returns[k][way], sign * noise[k]) for k in range(len(noise)) for way, sign in ((0, 1), (1, -1))]
    episodes.sort(key=lambda each: each[0])
    ranked = [(rank / (len(episodes) - 1) - 0.5) * epsilon for rank, (_, epsilon) in enumerate(episodes)]
    return sum(ranked) / (len(episodes) * settings.deviation)


@pytest.mark.parametrize("seed", range(3))
def test_strategy_estimates_the_gradient_that_the_paper_does(seed):
    rng = np.random.default_rng(seed)
    noise, returns = rng.normal(size=(5, 6)), rng.normal(10.0, 4.0, (5, 2))
    settings = ESSettings(directions=5)
    weights, metrics = ESUpdate(settings).weigh(returns)
    np.testing.assert_allclose(weights @ noise, slow_gradient(noise, returns, settings), rtol=1e-9)
    assert metrics["return_deviation"] == pytest.approx(np.std(returns))


def test_ranks_are_centred_and_shared_by_equals():
    assert centred_ranks(np.array([[10.0, -5.0], [3.0, 99.0]])).tolist() == [
        [pytest.approx(1 / 6), -0.5],
        [pytest.approx(-1 / 6), 0.5],
    ]
    assert centred_ranks(np.array([[1.0, 1.0], [1.0, 1.0]])).tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("settings", [ARSSettings(directions=16), ESSettings(directions=16, learning_rate=0.05)])
def test_the_top_of_a_hill_is_found(settings):
    rule, parameters = settings.update_rule(), np.zeros(4, np.float32)
    top = np.array([1.0, -2.0, 0.5, 0.0])
    for iteration in range(400):
        noise = np.array([direction(0, iteration, number, 4) for number in range(16)])
        step = settings.deviation * noise
        returns = [[-np.square(parameters + sign * each - top).sum() for sign in (1, -1)] for each in step]
        weights, _ = rule.weigh(np.array(returns))
        parameters = rule.move(parameters, weights @ noise)
    np.testing.assert_allclose(parameters, top, atol=0.15)


def test_strategy_continues_exactly_from_the_state_of_another():
    rng = np.random.default_rng(0)
    first, second = ESUpdate(ESSettings()), ESUpdate(ESSettings())
    parameters = rng.normal(size=3)
    parameters = first.move(parameters, rng.normal(size=3))
    second.resume(first.state())
    gradient = rng.normal(size=3)
    assert (first.move(parameters, gradient) == second.move(parameters, gradient)).all()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"directions": 0}, "directions is at least 1: directions=0"),
        ({"deviation": 0.0}, "deviation is larger than 0: deviation=0.0"),
        ({"best_directions": 9}, "best_directions is between 1 and directions=8: best_directions=9"),
        ({"hidden": (4, 0)}, r"hidden layers have at least 1 unit: hidden=\(4, 0\)"),
    ],
)
def test_senseless_settings_are_refused(override, message):
    with pytest.raises(ValueError, match=message):
        ARSSettings(**override)
