"""Networks of any shape over any space: NumPy and torch agree on outputs, values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces as gym
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from actorrt.rl.networks.activations import ACTIVATIONS  # noqa: E402
from actorrt.rl.networks.network import make_network  # noqa: E402
from actorrt.rl.networks.policy_spec import PolicySpec  # noqa: E402
from actorrt.rl.policies.factory import make_policy  # noqa: E402
from actorrt.rl.spaces.gymnasium_spaces import from_gymnasium  # noqa: E402
from tests.property.test_spaces import ANY  # noqa: E402

LAYERS = st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple)
IMAGES = st.sampled_from([(5, 6, 2), (3, 7, 5), (40, 36, 1)]).map(lambda shape: gym.Box(0, 255, shape, np.uint8))


@st.composite
def specs(draw: Any) -> tuple[Any, PolicySpec]:
    """Draw a space of observations, and the spec of a policy: an MLP over any, or convolutions if there is an image."""
    seen = draw(ANY)
    is_visual = draw(st.booleans())
    if is_visual:
        seen = gym.Dict({"picture": draw(IMAGES), "rest": seen}) if draw(st.booleans()) else draw(IMAGES)
    more: dict[str, Any] = {"network": "cnn"} if is_visual else {"value_hidden": draw(st.none() | LAYERS)}
    more |= {"activation": draw(st.sampled_from(sorted(ACTIVATIONS))), "orthogonal": draw(st.booleans())}
    return seen, PolicySpec("", from_gymnasium(seen), from_gymnasium(draw(ANY)), draw(LAYERS), **more)


@settings(max_examples=15, derandomize=True)  # sums of many large numbers round beyond any one tolerance
@given(drawn=specs(), seed=st.integers(0, 99))
def test_backends_agree_on_outputs_values_and_gradients(drawn: tuple[Any, PolicySpec], seed: int) -> None:
    space, spec = drawn
    rng = np.random.default_rng(seed)
    space.seed(seed)
    policy = make_policy(spec)
    flat = policy.init(seed)
    flat = flat + 0.1 * rng.standard_normal(flat.shape).astype(np.float32)
    policy.set_parameters(flat, 1)
    with np.errstate(over="ignore"):
        rows = spec.encode(spec.observation.stack([space.sample() for _ in range(4)]))
    if rows.dtype == np.float32:
        rows = np.clip(rows, -3.0, 3.0)  # as normalised ones; integers of 64 bits are larger than any product may be
    networks = [make_network(spec, flat, "torch")]
    if spec.network == "mlp":
        networks.append(make_network(spec, flat, "numpy"))
    action, logp, value = policy.act(rows, np.random.default_rng(seed))
    for network in networks:
        outputs, found = network.forward(rows)
        np.testing.assert_allclose(found, value, rtol=2e-3, atol=2e-4)
        found_logp = network.distribution(outputs).log_probability(action.reshape(4, -1))
        np.testing.assert_allclose(found_logp, logp, rtol=2e-3, atol=5e-3)
        network.backward(*(np.ones_like(each) for each in (outputs, found)))
    if len(networks) == 2:
        first, second = (np.asarray(network.gradient) for network in networks)
        np.testing.assert_allclose(first, second, rtol=2e-3, atol=1e-3 * max(1.0, np.abs(second).max()))
