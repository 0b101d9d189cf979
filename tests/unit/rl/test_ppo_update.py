"""The learner's network and update: equal to the policy's, to torch's own optimiser, to itself."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from actorrt.rl.environment import SeededEnvironments, VectorEnvironments  # noqa: E402
from actorrt.rl.network import Network  # noqa: E402
from actorrt.rl.optimiser import FlatAdam  # noqa: E402
from actorrt.rl.policy import MlpPolicy, PolicySpec  # noqa: E402
from actorrt.rl.ppo_update import PPOUpdate, transitions  # noqa: E402
from actorrt.rl.sampler import Sampler  # noqa: E402
from actorrt.rl.settings import settings_for  # noqa: E402
from actorrt.rl.spaces import Box, Discrete  # noqa: E402

from .counting import CountingEnv  # noqa: E402

CATEGORICAL = PolicySpec("", Box((4,), (-1.0,) * 4, (1.0,) * 4), Discrete(3), (16, 8))
GAUSSIAN = PolicySpec("", Box((4,), (-1.0,) * 4, (1.0,) * 4), Box((2,), (-1.0,) * 2, (1.0,) * 2), (16, 8))
COUNTING = PolicySpec("", Box((1,), (0.0,), (1e6,)), Discrete(2), (8, 8))


def make_policy(spec):
    policy = MlpPolicy(spec)
    flat = policy.init(seed=0)
    flat += 0.1 * np.random.default_rng(1).standard_normal(flat.shape).astype(np.float32)
    return policy


def counted_fragment(length=3, horizon=8, *, truncates=False, native=False):
    policy = MlpPolicy(COUNTING)
    policy.init(seed=0)
    if native:
        from gymnasium.vector import AutoresetMode, SyncVectorEnv

        vector = SyncVectorEnv(
            [lambda: CountingEnv(length, truncates=truncates)], autoreset_mode=AutoresetMode.NEXT_STEP
        )
        environments = VectorEnvironments(vector, seed=0)
    else:
        environments = SeededEnvironments(lambda: CountingEnv(length, truncates=truncates), 1, lambda k, e: 0)
    return policy, Sampler(environments, policy, horizon, np.random.default_rng(0)).collect()


@pytest.mark.parametrize("spec", [CATEGORICAL, GAUSSIAN])
def test_network_and_policy_agree(spec):
    policy = make_policy(spec)
    network = Network(spec, policy.parameters)
    features = np.random.default_rng(2).standard_normal((32, 4)).astype(np.float32)
    action, logp, value = policy.act(features, np.random.default_rng(3))
    outputs, network_value = network.forward(torch.from_numpy(features))
    network_logp = network.log_probability(outputs, torch.from_numpy(action).view(32, -1))
    np.testing.assert_allclose(network_value.detach().numpy(), value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network_logp.detach().numpy(), logp, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spec", [CATEGORICAL, GAUSSIAN])
def test_gradients_land_in_the_flat_tensor(spec):
    policy = make_policy(spec)
    network = Network(spec, policy.parameters)
    features = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    outputs, value = network.forward(features)
    action = torch.zeros(16, 1, dtype=torch.int64) if spec is CATEGORICAL else torch.ones(16, 2)
    (network.log_probability(outputs, action).mean() + value.square().mean()).backward()
    analytic = network.gradient.numpy().copy()
    index = np.random.default_rng(0).choice(len(analytic), 40, replace=False)
    for i in index:
        difference = 0.0
        for sign in (1.0, -1.0):
            moved = policy.parameters.astype(np.float32).copy()
            moved[i] += sign * 1e-2
            other = Network(spec, moved)
            outputs, value = other.forward(features)
            loss = other.log_probability(outputs, action).mean() + value.square().mean()
            difference += sign * float(loss.detach()) / 2e-2
        assert analytic[i] == pytest.approx(difference, abs=2e-3)


def test_flat_adam_takes_the_steps_of_torchs_adam():
    start = torch.randn(50, generator=torch.Generator().manual_seed(0))
    ours, theirs = start.clone(), start.clone().requires_grad_()
    gradient = torch.zeros(50)
    adam = FlatAdam(ours, gradient, max_norm=0.5)
    reference = torch.optim.Adam([theirs], lr=1e-2, eps=1e-5)
    for i in range(5):
        pulled = torch.randn(50, generator=torch.Generator().manual_seed(i + 1)) * (0.01 if i % 2 else 3.0)
        gradient.copy_(pulled)
        adam.step(1e-2)
        theirs.grad = pulled.clone()
        torch.nn.utils.clip_grad_norm_([theirs], 0.5)
        reference.step()
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-5, atol=1e-6)
    assert not gradient.any()


def test_autoreset_steps_are_not_learnt_from():
    _, masked = counted_fragment(native=True)
    _, plain = counted_fragment(horizon=6)
    rows, expected = (transitions((fragment,), gamma=0.9, gae_lambda=0.8) for fragment in (masked, plain))
    assert len(rows) == 6
    assert rows.obs.view(-1).tolist() == [0, 1, 2, 0, 1, 2]
    torch.testing.assert_close(rows.advantage, expected.advantage)
    torch.testing.assert_close(rows.target, expected.target)


def test_truncated_transitions_bootstrap_and_terminated_do_not():
    policy, truncated = counted_fragment(horizon=3, truncates=True)
    _, terminated = counted_fragment(horizon=3, truncates=False)
    gamma = 0.9
    final_value = float(policy.values(np.array([[3.0]], np.float32))[0])
    targets = [float(transitions((f,), gamma=gamma, gae_lambda=0.0).target[-1]) for f in (truncated, terminated)]
    assert targets == pytest.approx([3.0 + gamma * final_value, 3.0], rel=1e-5)


def test_one_seed_gives_one_update():
    settings = settings_for("CartPole-v1", minibatch_size=16, epochs=2, hidden=(8, 8))
    policy, fragment = counted_fragment(horizon=64)
    ends = []
    for seed in (4, 4, 5):
        update = PPOUpdate(settings, COUNTING, policy.parameters, seed)
        update((fragment,), remaining=1.0)
        ends.append(update.network.parameters())
    assert (ends[0] == ends[1]).all()
    assert (ends[0] != ends[2]).any()


def test_nothing_is_learnt_when_a_linear_run_is_over():
    settings = settings_for("CartPole-v1", hidden=(8, 8))
    policy, fragment = counted_fragment(horizon=32)
    update = PPOUpdate(settings, COUNTING, policy.parameters, seed=0)
    update((fragment,), remaining=0.0)
    assert (update.network.parameters() == policy.parameters).all()


def test_the_policy_itself_is_left_alone():
    policy, fragment = counted_fragment(horizon=32)
    before = policy.parameters.copy()
    PPOUpdate(settings_for("CartPole-v1"), COUNTING, policy.parameters, seed=0)((fragment,), remaining=1.0)
    assert (policy.parameters == before).all()
