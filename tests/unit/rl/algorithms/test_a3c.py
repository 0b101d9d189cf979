"""The parameter server of A3C moves its parameters as RMSProp does, and its snapshots hold everything."""

from __future__ import annotations

import numpy as np
import pytest

from actorrt.rl.algorithms.a3c import A3CSettings
from actorrt.rl.algorithms.a3c_roles import GradientServer
from actorrt.rl.networks.optimiser import FlatRMSProp
from actorrt.rl.spaces.normaliser import Moments, Normaliser

GRADIENTS = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32) * np.float32(0.4)


def make_server(**settings):
    return GradientServer(A3CSettings.preset("", **settings), 100, np.ones(5, np.float32))


def test_gradients_are_applied_one_by_one_as_by_rmsprop():
    server = make_server(max_grad_norm=0.5, learning_rate=0.01)
    flat, gradient = np.ones(5, np.float32), np.zeros(5, np.float32)
    reference = FlatRMSProp(flat, gradient, max_norm=0.5)
    for number, each in enumerate(GRADIENTS):
        weights = server.apply(each, 10)
        gradient[:] = each
        reference.step(0.01)
        assert weights.version == server.latest().version == number + 1
        np.testing.assert_allclose(weights.parameters, flat, rtol=1e-5)


def test_learning_rate_follows_the_transitions_that_gradients_came_from():
    server = make_server(learning_rate_schedule="linear")
    moved = server.apply(GRADIENTS[0], 100).parameters
    assert (server.apply(GRADIENTS[1], 10).parameters == moved).all()


def test_counts_of_a_gradient_are_merged():
    server = GradientServer(A3CSettings.preset(""), 100, np.ones(5, np.float32), 0, Normaliser(Moments.nothing(2)))
    seen = Normaliser(Moments.of(np.ones((3, 2))))
    server.apply(GRADIENTS[0], 3, seen)
    assert server.apply(GRADIENTS[1], 3, seen).normaliser.observations.count == 6


@pytest.mark.parametrize("way", ["state", "snapshot"])
def test_another_server_continues_from_the_state_of_one(way):
    first = make_server(learning_rate_schedule="linear")
    for gradient in GRADIENTS[:3]:
        first.apply(gradient, 10)
    second = make_server(learning_rate_schedule="linear")
    if way == "snapshot":
        second.restore(first.snapshot())
    else:
        second = GradientServer(second._settings, 100, first.latest().parameters, 3)
        second.resume(first.state())
    for gradient in GRADIENTS[3:]:
        assert (first.apply(gradient, 10).parameters == second.apply(gradient, 10).parameters).all()
    assert second.latest().version == 6
