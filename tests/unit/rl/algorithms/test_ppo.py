"""PPO's network and update, compared with the policy, with torch's optimiser, and with a second update of one seed."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from actorrt.rl.algorithms.ppo import PPOSettings, PPOUpdate  # noqa: E402
from actorrt.rl.environments.seeded_environments import SeededEnvironments  # noqa: E402
from actorrt.rl.environments.vector_environments import VectorEnvironments  # noqa: E402
from actorrt.rl.networks import activations, torch_modules  # noqa: E402
from actorrt.rl.networks.layout import parameter_shapes  # noqa: E402
from actorrt.rl.networks.network import Network  # noqa: E402
from actorrt.rl.networks.optimiser import make_optimiser, to_array  # noqa: E402
from actorrt.rl.networks.policy_spec import PolicySpec  # noqa: E402
from actorrt.rl.policies.numpy_policy import MlpPolicy  # noqa: E402
from actorrt.rl.rollouts.sampler import Sampler  # noqa: E402
from actorrt.rl.rollouts.transitions import Transitions, transitions  # noqa: E402
from actorrt.rl.spaces.array_spaces import Box, Discrete, MultiBinary, MultiDiscrete  # noqa: E402
from actorrt.rl.spaces.leaves import column_count, leaves  # noqa: E402
from actorrt.rl.spaces.spaces import Composite, Masked  # noqa: E402
from tests.unit.rl.counting import CountingEnv  # noqa: E402

CATEGORICAL = PolicySpec("", Box((4,), (-1.0,) * 4, (1.0,) * 4), Discrete(3), (16, 8))
GAUSSIAN = PolicySpec("", Box((4,), (-1.0,) * 4, (1.0,) * 4), Box((2,), (-1.0,) * 2, (1.0,) * 2), (16, 8))
MIXED = PolicySpec(
    "",
    Box((4,), (-1.0,) * 4, (1.0,) * 4),
    Composite((MultiDiscrete((2,), (3, 2), (0, 0)), MultiBinary((2,)), Box((1,), (-1.0,), (1.0,)), Discrete(2))),
    (16, 8),
)
MASKED = PolicySpec("", Masked(Box((1,), (-1.0,), (1.0,)), 3), Discrete(3), (16, 8))
COUNTING = PolicySpec("", Box((1,), (0.0,), (1e6,)), Discrete(2), (8, 8))


TWO_SIZES = dataclasses.replace(GAUSSIAN, hidden=(16,), value_hidden=(8, 12, 4))
SPECS = [CATEGORICAL, GAUSSIAN, MIXED, MASKED, TWO_SIZES]
ACTIVATIONS = {
    "tanh": torch.tanh,
    "relu": torch.nn.functional.relu,
    "leaky_relu": torch.nn.functional.leaky_relu,
    "elu": torch.nn.functional.elu,
    "gelu": lambda values: torch.nn.functional.gelu(values, approximate="tanh"),
    "silu": torch.nn.functional.silu,
}


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
        environments = VectorEnvironments(lambda: vector, seed=0)
    else:
        environments = SeededEnvironments(lambda: CountingEnv(length, truncates=truncates), 1, lambda k, e: 0)
    return policy, Sampler(environments, policy, horizon, np.random.default_rng(0)).collect()


def recorded_distribution(action, outputs, log_std, rows):
    """Log-probabilities and entropies, each part as torch has it."""
    logp, entropy = 0.0, 0.0
    for leaf in leaves(action):
        part, own = outputs[:, leaf.outputs], rows[:, leaf.columns]
        if leaf.kind == "categorical":
            distribution, own = torch.distributions.Categorical(logits=part), own.view(-1)
        elif leaf.kind == "bernoulli":
            distribution = torch.distributions.Independent(torch.distributions.Bernoulli(logits=part), 1)
        else:
            std = log_std[leaf.deviations].exp().expand_as(part)
            distribution = torch.distributions.Independent(torch.distributions.Normal(part, std), 1)
        logp, entropy = logp + distribution.log_prob(own), entropy + distribution.entropy()
    return logp, entropy


def recorded_loss(update, rows, clip_range, clip_range_value=None):
    """The clipped objective as the paper writes it, for torch to differentiate by itself."""
    flat = torch.tensor(to_array(update.network.flat), requires_grad=True)
    rows = Transitions(*(torch.from_numpy(getattr(rows, field.name)) for field in dataclasses.fields(rows)))
    layers, start = {}, 0
    for name, shape in parameter_shapes(update.network.spec).items():
        end = start + int(np.prod(shape))
        layers[name] = flat[start:end].view(shape)
        start = end
    seen, mask = rows.obs[:, : update.network.spec.input_count], rows.obs[:, update.network.spec.input_count :]
    heads = []
    for prefix in ("hidden", "value_hidden"):
        hidden, names = seen, [name for name in layers if name.startswith(prefix) and not name.endswith("bias")]
        for name in names:
            hidden = ACTIVATIONS[update.network.spec.activation](hidden @ layers[name] + layers[name + "_bias"])
        heads += [*hidden] if names else []
    outputs = heads[0] @ layers["action"] + layers["action_bias"]
    value = (heads[1] @ layers["value"] + layers["value_bias"]).view(-1)
    if mask.shape[1]:
        outputs = torch.where(mask > 0.5, outputs, -1e9)
    logp, entropies = recorded_distribution(update.network.spec.action, outputs, layers.get("log_std"), rows.action)
    ratio = torch.exp(logp - rows.logp)
    advantage = (rows.advantage - rows.advantage.mean()) / (rows.advantage.std() + 1e-8)
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    policy_loss = -torch.min(ratio * advantage, clipped * advantage).mean()
    errors = (value - rows.target).square()
    if clip_range_value is not None:
        held = rows.value + (value - rows.value).clamp(-clip_range_value, clip_range_value)
        errors = torch.max(errors, (held - rows.target).square())
    value_loss = errors.mean()
    settings = update.settings
    entropy = entropies.mean()
    return policy_loss + settings.value_coefficient * value_loss - settings.entropy_coefficient * entropy, flat


def make_features(spec, count, rng):
    """Features of four columns; masks allow the first action and perhaps others."""
    features = rng.standard_normal((count, 4)).astype(np.float32)
    if spec.mask_count:
        features[:, 1:] = features[:, 1:] > 0.0
        features[:, 1] = 1.0
    return features


def make_rows(policy, count=64):
    """Transitions whose probabilities have moved since, so that some ratios are clipped either way."""
    rng = np.random.default_rng(2)
    features = make_features(policy.spec, count, rng)
    action, logp, value = policy.act(features, rng)
    arrays = (logp + 0.3 * rng.standard_normal(count), rng.standard_normal(count), value + rng.standard_normal(count))
    return Transitions(features, action.reshape(count, -1), *(a.astype(np.float32) for a in arrays), value)


@pytest.mark.parametrize("spec", SPECS)
def test_network_and_policy_agree(spec):
    policy = make_policy(spec)
    network = Network(spec, policy.parameters)
    features = make_features(spec, 32, np.random.default_rng(2))
    action, logp, value = policy.act(features, np.random.default_rng(3))
    outputs, network_value = network.forward(features)
    network_logp = network.distribution(outputs).log_probability(action.reshape(32, -1))
    np.testing.assert_allclose(network_value, value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network_logp, logp, rtol=1e-4, atol=1e-5)


def test_every_activation_has_a_counterpart_in_torch():
    assert list(ACTIVATIONS) == list(activations.ACTIVATIONS)
    assert set(ACTIVATIONS) == set(get_args(activations.Activation)) == set(torch_modules.ACTIVATIONS)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_and_their_slopes_are_torchs(activation):
    values = np.linspace(-30.0, 30.0, 242, dtype=np.float32)
    ours = activations.ACTIVATIONS[activation]
    results = ours.activate(values)
    kept = results.copy()
    theirs = torch.from_numpy(values).requires_grad_()
    ACTIVATIONS[activation](theirs).sum().backward()
    np.testing.assert_allclose(results, ACTIVATIONS[activation](theirs).detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.slope(results, values), theirs.grad.numpy(), rtol=1e-4, atol=1e-5)
    in_place = values.copy()
    assert ours.activate(in_place, out=in_place) is in_place
    np.testing.assert_array_equal(in_place, kept)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_gradient_through_an_activation_is_the_one_that_torch_records(activation, backend):
    spec = dataclasses.replace(TWO_SIZES, activation=activation)
    policy = make_policy(spec)
    settings = PPOSettings.preset("", backend=backend, entropy_coefficient=0.1)
    update = PPOUpdate(settings, spec, policy.parameters, seed=0)
    rows = make_rows(policy)
    update.differentiate(update.share(rows), 0.2)
    loss, flat = recorded_loss(update, rows, 0.2)
    (expected,) = torch.autograd.grad(loss, flat)
    torch.testing.assert_close(torch.as_tensor(update.network.gradient), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("entropy_coefficient", [0.0, 0.1])
@pytest.mark.parametrize("spec", SPECS)
def test_gradient_is_the_one_that_torch_records(spec, entropy_coefficient):
    policy = make_policy(spec)
    update = PPOUpdate(PPOSettings.preset("", entropy_coefficient=entropy_coefficient), spec, policy.parameters, seed=0)
    rows = make_rows(policy)
    update.differentiate(rows, 0.2)
    loss, flat = recorded_loss(update, rows, 0.2)
    (expected,) = torch.autograd.grad(loss, flat)
    torch.testing.assert_close(torch.from_numpy(update.network.gradient), expected, rtol=1e-4, atol=1e-6)


def test_gradient_of_clipped_values_is_the_one_that_torch_records():
    policy = make_policy(TWO_SIZES)
    update = PPOUpdate(PPOSettings.preset(""), TWO_SIZES, policy.parameters, seed=0)
    rows = make_rows(policy)
    rng = np.random.default_rng(4)
    rows = dataclasses.replace(rows, value=rows.value + rng.standard_normal(len(rows)).astype(np.float32))
    gradients = []
    for clip_range_value in (0.5, None):
        update.differentiate(rows, 0.2, clip_range_value)
        loss, flat = recorded_loss(update, rows, 0.2, clip_range_value)
        (expected,) = torch.autograd.grad(loss, flat)
        gradients.append(update.network.gradient.copy())
        torch.testing.assert_close(torch.from_numpy(gradients[-1]), expected, rtol=1e-4, atol=1e-6)
    assert np.abs(gradients[0] - gradients[1]).max() > 0.01


def test_values_within_their_clip_range_have_the_whole_gradient():
    """Also where V - v is rounded, which happens for values near 0."""
    policy = make_policy(TWO_SIZES)
    update = PPOUpdate(PPOSettings.preset(""), TWO_SIZES, policy.parameters, seed=0)
    rng = np.random.default_rng(5)
    obs = make_features(TWO_SIZES, 4096, rng)
    _, value = update.network.forward(obs)
    noise = rng.standard_normal((3, 4096))
    arrays = (0.0 * value, noise[0], value + 0.1 * noise[1], value + 0.05 * noise[2])
    rows = Transitions(obs, policy.act(obs, rng)[0], *(array.astype(np.float32) for array in arrays))
    gradients = []
    for clip_range_value in (0.5, None):
        update.differentiate(rows, 0.2, clip_range_value)
        gradients.append(update.network.gradient.copy())
    assert (gradients[0] == gradients[1]).all()


def test_metrics_are_those_of_the_last_pass_before_its_step():
    policy, fragment = counted_fragment(horizon=64)
    settings = PPOSettings.preset("", hidden=(8, 8), epochs=3, entropy_coefficient=0.1, learning_rate=0.02)
    metrics = PPOUpdate(settings, COUNTING, policy.parameters, seed=0)((fragment,), remaining=1.0)
    update = PPOUpdate(dataclasses.replace(settings, epochs=2), COUNTING, policy.parameters, seed=0)
    update((fragment,), remaining=1.0)  # an epoch less leaves the parameters that the last pass began with
    rows = update.rows((fragment,))
    loss, _ = recorded_loss(update, rows, settings.clip_range)
    whole = metrics["policy_loss"] + 0.5 * metrics["value_loss"] - 0.1 * metrics["entropy"]
    assert whole == pytest.approx(loss.item(), rel=1e-5)
    unexplained = np.var(rows.target - rows.value) / np.var(rows.target)
    assert metrics["explained_variance"] == pytest.approx(1.0 - unexplained, rel=1e-4)
    assert metrics["learning_rate"] == 0.02
    assert metrics["gradient_norm"] > 0.0
    logp = update.network.distribution(update.network.forward(rows.obs)[0]).log_probability(rows.action)
    ratio = np.exp(logp - rows.logp)
    assert metrics["kl"] == pytest.approx(float((ratio - 1.0 - np.log(ratio)).mean()), rel=1e-3)
    assert metrics["clip_fraction"] == pytest.approx(float((np.abs(ratio - 1.0) > 0.2).mean()))


@pytest.mark.parametrize("target_kl", [None, 1e3])
def test_metrics_are_means_over_the_minibatches_of_the_last_epoch(target_kl):
    policy, fragment = counted_fragment(horizon=64)
    settings = PPOSettings.preset("", hidden=(8, 8), epochs=3, minibatch_size=16, target_kl=target_kl)
    update = PPOUpdate(settings, COUNTING, policy.parameters, seed=0)
    passes, differentiate = [], update.differentiate

    def noted(*arguments):
        passes.append(differentiate(*arguments))
        return passes[-1]

    update.differentiate = noted
    metrics = update((fragment,), remaining=1.0)
    assert len(passes) == 3 * 4
    assert metrics["value_loss"] == pytest.approx(np.mean([np.square(each.error).mean() for each in passes[-4:]]))
    assert metrics["entropy"] == pytest.approx(np.mean([each.distribution.entropy().mean() for each in passes[-4:]]))


def test_update_ends_before_the_step_that_would_lead_too_far():
    policy, fragment = counted_fragment(horizon=64)
    steps = {}
    for target_kl in (None, 1e-3, 1e3):
        settings = PPOSettings.preset("", hidden=(8, 8), epochs=8, learning_rate=0.01, target_kl=target_kl)
        update = PPOUpdate(settings, COUNTING, policy.parameters, seed=0)
        metrics = update((fragment,), remaining=1.0)
        steps[target_kl] = update.state()["optimiser"]["step_count"]
        if target_kl == 1e-3:
            assert metrics["kl"] > 1.5e-3
    assert steps[None] == steps[1e3] == 8
    assert 0 < steps[1e-3] < 8


def test_learning_rate_and_clip_range_follow_their_functions():
    def never(share):
        return 0.0 if share < 0.5 else 1.0

    policy, fragment = counted_fragment(horizon=32)
    settings = PPOSettings.preset("", hidden=(8, 8), learning_rate_schedule=never)
    update = PPOUpdate(settings, COUNTING, policy.parameters, seed=0)
    assert update((fragment,), remaining=0.4)["learning_rate"] == 0.0
    assert (update.network.parameters() == policy.parameters).all()
    assert update((fragment,), remaining=0.6)["learning_rate"] == 3e-4
    assert (update.network.parameters() != policy.parameters).any()
    held = PPOSettings.preset("", hidden=(8, 8), clip_range=1.0, clip_range_value=1.0, clip_schedule=never)
    settings = dataclasses.replace(held, epochs=1)
    update = PPOUpdate(settings, COUNTING, policy.parameters, seed=0)
    asked, differentiate = [], update.differentiate
    update.differentiate = lambda rows, *ranges: asked.append(ranges) or differentiate(rows, *ranges)
    update.step = lambda learning_rate: 0.0
    for remaining in (0.6, 0.4):
        update((fragment,), remaining)
    assert asked == [(1.0, 1.0), (0.0, 0.0)]


@pytest.mark.parametrize("spec", SPECS)
def test_entropies_are_torchs(spec):
    policy = make_policy(spec)
    network = Network(spec, policy.parameters)
    outputs, _ = network.forward(np.ones((3, 4), np.float32))
    rows, log_std = torch.zeros(3, column_count(spec.action)), torch.from_numpy(network.layers.get("log_std", outputs))
    _, expected = recorded_distribution(spec.action, torch.from_numpy(outputs), log_std, rows)
    torch.testing.assert_close(torch.from_numpy(network.distribution(outputs).entropy()), expected)


def test_each_gradient_replaces_the_last():
    policy = make_policy(GAUSSIAN)
    update = PPOUpdate(PPOSettings.preset(""), GAUSSIAN, policy.parameters, seed=0)
    rows = make_rows(policy)
    update.differentiate(rows, 0.2)
    first = update.network.gradient.copy()
    update.differentiate(rows, 0.2)
    assert (update.network.gradient == first).all()


OPTIMISERS = {
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-2, eps=1e-5),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-2, eps=1e-5),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, lr=1e-2, alpha=0.99, eps=1e-5),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=1e-2),
}


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_flat_optimiser_takes_the_steps_of_torchs(name, backend):
    theirs = torch.randn(50, generator=torch.Generator().manual_seed(0)).requires_grad_()
    ours, gradient = theirs.detach().clone(), torch.zeros(50)
    flat = (ours.numpy(), gradient.numpy()) if backend == "numpy" else (ours, gradient)  # the same memory
    optimiser, reference = make_optimiser(name, *flat, max_norm=0.5), OPTIMISERS[name]([theirs])
    for i in range(6):
        pulled = torch.randn(50, generator=torch.Generator().manual_seed(i + 1)) * (0.01 if i % 2 else 3.0)
        gradient.copy_(pulled)
        assert optimiser.step(1e-2) == pytest.approx(float(pulled.norm()), rel=1e-5)
        theirs.grad = pulled.clone()
        torch.nn.utils.clip_grad_norm_([theirs], 0.5)
        reference.step()
        if i == 2:
            state = optimiser.state()
            optimiser = make_optimiser(name, *flat, max_norm=0.5)
            optimiser.resume(state)
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-5, atol=1e-6)


def test_autoreset_steps_are_not_learnt_from():
    _, masked = counted_fragment(native=True)
    _, plain = counted_fragment(horizon=6)
    rows, expected = (transitions((fragment,), gamma=0.9, gae_lambda=0.8) for fragment in (masked, plain))
    assert len(rows) == 6
    assert rows.obs.reshape(-1).tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_allclose(rows.advantage, expected.advantage, rtol=1e-5)
    np.testing.assert_allclose(rows.target, expected.target, rtol=1e-5)


def test_truncated_transitions_bootstrap_and_terminated_do_not():
    policy, truncated = counted_fragment(horizon=3, truncates=True)
    _, terminated = counted_fragment(horizon=3, truncates=False)
    gamma = 0.9
    final_value = float(policy.values(np.array([[3.0]], np.float32))[0])
    targets = [float(transitions((f,), gamma=gamma, gae_lambda=0.0).target[-1]) for f in (truncated, terminated)]
    assert targets == pytest.approx([3.0 + gamma * final_value, 3.0], rel=1e-5)


def test_one_seed_gives_one_update():
    settings = PPOSettings.preset("CartPole-v1", minibatch_size=16, epochs=2, hidden=(8, 8))
    policy, fragment = counted_fragment(horizon=64)
    ends = []
    for seed in (4, 4, 5):
        update = PPOUpdate(settings, COUNTING, policy.parameters, seed)
        update((fragment,), remaining=1.0)
        ends.append(update.network.parameters())
    assert (ends[0] == ends[1]).all()
    assert (ends[0] != ends[2]).any()


def test_nothing_is_learnt_when_a_linear_run_is_over():
    settings = PPOSettings.preset("CartPole-v1", hidden=(8, 8))
    policy, fragment = counted_fragment(horizon=32)
    update = PPOUpdate(settings, COUNTING, policy.parameters, seed=0)
    update((fragment,), remaining=0.0)
    assert (update.network.parameters() == policy.parameters).all()


def test_the_policy_itself_is_left_alone():
    policy, fragment = counted_fragment(horizon=32)
    before = policy.parameters.copy()
    PPOUpdate(PPOSettings.preset("CartPole-v1"), COUNTING, policy.parameters, seed=0)((fragment,), remaining=1.0)
    assert (policy.parameters == before).all()


class FakeGroup:
    """Another learner, which is much further from the policy that acted, and whose gradients are the same."""

    def __init__(self):
        self.divergences = []

    def agree(self, state):
        return state

    def share(self, rows):
        return rows

    def average(self, numbers):
        if len(numbers) == 1:
            self.divergences.append(float(numbers[0]))
            numbers += 1.0


def test_learners_of_a_group_end_an_update_by_their_mean_divergence():
    policy, fragment = counted_fragment(horizon=64)
    settings = PPOSettings.preset("", hidden=(8, 8), epochs=8, target_kl=0.01)
    update, group = PPOUpdate(settings, COUNTING, policy.parameters, seed=0), FakeGroup()
    update.join(group)
    update((fragment,), remaining=1.0)
    assert group.divergences == [pytest.approx(0.0, abs=1e-6)]
    assert update.state()["optimiser"]["step_count"] == 0
