"""Optimisers over flat vectors: moments of parameters without gradients do not become denormal, and change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from actorrt.rl.networks.optimiser import OptimiserKind, make_optimiser

DENORMAL = np.finfo(np.float32).tiny


@pytest.mark.parametrize("kind", ["adam", "rmsprop"])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_moments_of_parameters_without_gradients_are_never_denormal(kind: OptimiserKind, backend: str) -> None:
    parameters, gradient = np.ones(8, np.float32), np.linspace(1e-6, 1.0, 8, dtype=np.float32)
    if backend == "torch":
        torch = pytest.importorskip("torch")
        parameters, gradient = torch.from_numpy(parameters), torch.from_numpy(gradient)
    optimiser = make_optimiser(kind, parameters, gradient, max_norm=10.0)
    optimiser.step(1e-3)
    gradient[:] = 0.0
    for _ in range(30_000):
        optimiser.step(1e-3)
        if optimiser._step_count % 50 == 0:  # at steps before and after those that clean
            for name, moments in optimiser.state().items():
                if "moment" in name:
                    assert ((moments == 0.0) | (np.abs(moments) >= DENORMAL)).all()
    assert all((moments == 0.0).all() for name, moments in optimiser.state().items() if "first" in name)


def slow_adam(parameters, gradients, learning_rate):
    """Algorithm 1 of the paper in float64, with the clipping that stands before it."""
    first = second = np.zeros_like(parameters)
    for step, gradient in enumerate(gradients, start=1):
        gradient = gradient * min(1.0, 0.5 / (np.linalg.norm(gradient) + 1e-6))
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        corrected = first / (1 - 0.9**step), second / (1 - 0.999**step)
        parameters = parameters - learning_rate * corrected[0] / (np.sqrt(corrected[1]) + 1e-5)
    return parameters


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_adam_equals_the_paper(backend: str) -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(20), rng.standard_normal((200, 20)) * (rng.random((200, 20)) < 0.5)
    parameters, gradient = start.astype(np.float32), np.zeros(20, np.float32)
    if backend == "torch":
        torch = pytest.importorskip("torch")
        parameters, gradient = torch.from_numpy(parameters), torch.from_numpy(gradient)
    optimiser = make_optimiser("adam", parameters, gradient, max_norm=0.5)
    for each in gradients.astype(np.float32):
        gradient[:] = each if backend == "numpy" else torch.from_numpy(each)
        optimiser.step(3e-3)
    np.testing.assert_allclose(np.asarray(parameters), slow_adam(start, gradients, 3e-3), rtol=2e-4, atol=2e-5)
