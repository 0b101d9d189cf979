"""Log-probabilities, entropies and their gradients against torch's own, for every kind of action, masked ones too."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces as gym

torch = pytest.importorskip("torch")

from actorrt.rl.spaces.distributions import distribution  # noqa: E402
from actorrt.rl.spaces.gymnasium_spaces import from_gymnasium  # noqa: E402
from actorrt.rl.spaces.leaves import deviation_count, leaves, output_count  # noqa: E402
from actorrt.rl.spaces.sampling import FORBIDDEN, masked, most_likely, sample  # noqa: E402

ACTIONS = {
    "discrete": gym.Discrete(4, start=2),
    "single": gym.Discrete(1),
    "box": gym.Box(-0.1, 0.1, (2, 2)),
    "number": gym.Box(-1.0, 1.0, ()),
    "multi_discrete": gym.MultiDiscrete([3, 1, 2]),
    "multi_binary": gym.MultiBinary((2, 2)),
    "mixed": gym.Dict(
        {
            "bits": gym.MultiBinary(2),
            "first": gym.Box(-1.0, 1.0, (2,)),
            "pair": gym.Tuple((gym.Discrete(3), gym.MultiDiscrete([2, 3]))),
            "second": gym.Box(-1.0, 1.0, (1,)),
        }
    ),
}
MASKABLE = ("discrete", "multi_discrete")


def torchs(action, outputs, log_std, rows):
    """Sums of torch's log-probabilities and entropies over the parts."""
    logp, entropy = torch.zeros(len(outputs)), torch.zeros(len(outputs))
    for leaf in leaves(action):
        part, own = outputs[:, leaf.outputs], rows[:, leaf.columns]
        if leaf.kind == "categorical":
            each = torch.distributions.Categorical(logits=part)
            logp, entropy = logp + each.log_prob(own[:, 0]), entropy + each.entropy()
            continue
        if leaf.kind == "bernoulli":
            each = torch.distributions.Bernoulli(logits=part)
        else:
            each = torch.distributions.Normal(part, log_std[leaf.deviations].exp())
        logp, entropy = logp + each.log_prob(own).sum(1), entropy + each.entropy().sum(1)
    return logp, entropy


def drawn(name, scale, *, is_masked=False, count=40):
    """Outputs of a network, deviations, and actions that were drawn with their log-probabilities."""
    action, rng = from_gymnasium(ACTIONS[name]), np.random.default_rng(0)
    outputs = (scale * rng.standard_normal((count, output_count(action)))).astype(np.float32)
    if is_masked:
        mask = rng.integers(0, 2, outputs.shape)
        for leaf in leaves(action):
            mask[:, leaf.outputs.start] = 1  # something is always allowed
        outputs = masked(outputs, mask)
    log_std = rng.uniform(-1.0, 0.5, deviation_count(action)).astype(np.float32)
    rows, logp = sample(action, outputs, log_std, rng)
    return action, outputs, log_std, rows.reshape(count, -1), logp


CASES = [(name, False) for name in ACTIONS] + [(name, True) for name in MASKABLE]


@pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
@pytest.mark.parametrize(("name", "is_masked"), CASES)
def test_probabilities_entropies_and_gradients_are_torchs(name, is_masked, scale):
    action, outputs, log_std, rows, logp = drawn(name, scale, is_masked=is_masked)
    left = np.full_like(log_std, np.nan)
    ours = distribution(action, outputs, log_std, left)
    recorded = torch.tensor(outputs, requires_grad=True)
    recorded_std = torch.tensor(log_std, requires_grad=True)
    torch_logp, torch_entropy = torchs(action, recorded, recorded_std, torch.from_numpy(rows))
    close = {"rtol": 2e-4, "atol": 2e-4}
    np.testing.assert_allclose(logp, torch_logp.detach(), **close)
    np.testing.assert_allclose(ours.log_probability(rows), torch_logp.detach(), **close)
    np.testing.assert_allclose(ours.entropy(), torch_entropy.detach(), **close)
    d_logp = np.random.default_rng(1).standard_normal(len(rows)).astype(np.float32)
    for d_entropy in (0.0, 0.3):
        recorded.grad = recorded_std.grad = None
        loss = (torch.from_numpy(d_logp) * torch_logp).sum() + d_entropy * torch_entropy.sum()
        loss.backward(retain_graph=True)
        found = ours.gradient(rows, d_logp, d_entropy)
        np.testing.assert_allclose(found, recorded.grad, **close)
        if len(log_std):
            np.testing.assert_allclose(left, recorded_std.grad, rtol=1e-3, atol=1e-3)
        if is_masked:
            assert (found[outputs == FORBIDDEN] == 0.0).all()


@pytest.mark.parametrize("name", MASKABLE)
def test_masked_actions_are_neither_drawn_nor_most_likely(name):
    action, outputs, _, rows, _ = drawn(name, 1.0, is_masked=True, count=2_000)
    for chosen in (rows, most_likely(action, outputs).reshape(len(rows), -1)):
        for leaf in leaves(action):
            index = chosen[:, leaf.columns.start].astype(int)
            assert (outputs[np.arange(len(rows)), leaf.outputs.start + index] != FORBIDDEN).all()


@pytest.mark.parametrize("name", ACTIONS)
def test_sampled_actions_are_as_frequent_as_they_are_likely(name):
    """The mean log-probability of what is drawn is minus the entropy."""
    action, outputs, log_std, _, _ = drawn(name, 1.0, count=1)
    outputs = np.repeat(outputs, 20_000, axis=0)
    _, logp = sample(action, outputs, log_std, np.random.default_rng(2))
    entropy = distribution(action, outputs[:1], log_std, np.zeros_like(log_std)).entropy()[0]
    spread = max(1e-6, float(logp.std()) / len(logp) ** 0.5)
    assert abs(float(logp.mean(dtype=np.float64)) + entropy) < 5.0 * spread + 1e-4
