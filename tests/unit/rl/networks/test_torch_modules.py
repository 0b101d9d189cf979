"""Convolutional networks and users' own modules: they act as they learn, and their gradients are torch's."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from torch import nn  # noqa: E402

from actorrt.rl.algorithms.ppo import PPOSettings, PPOUpdate  # noqa: E402
from actorrt.rl.networks.convolutions import convolution_shapes, layout_of  # noqa: E402
from actorrt.rl.networks.layout import parameter_shapes  # noqa: E402
from actorrt.rl.networks.network import Network, make_network, rows_of  # noqa: E402
from actorrt.rl.networks.optimiser import FlatAdam, TorchAdam, make_optimiser  # noqa: E402
from actorrt.rl.networks.policy_spec import PolicySpec  # noqa: E402
from actorrt.rl.networks.torch_modules import make_module  # noqa: E402
from actorrt.rl.networks.torch_network import TorchNetwork  # noqa: E402
from actorrt.rl.policies.factory import load_policy, make_policy  # noqa: E402
from actorrt.rl.policies.numpy_policy import MlpPolicy  # noqa: E402
from actorrt.rl.rollouts.transitions import Transitions  # noqa: E402
from actorrt.rl.spaces.array_spaces import Box, Discrete  # noqa: E402
from actorrt.rl.spaces.spaces import Composite, Masked, unmasked  # noqa: E402
from tests.unit.rl.algorithms.test_ppo import SPECS as MLPS  # noqa: E402
from tests.unit.rl.algorithms.test_ppo import make_rows  # noqa: E402

BACKENDS = ("numpy", "torch")
PIXELS = Box((9, 8, 3), (0.0,) * 216, (255.0,) * 216, "uint8")
VECTOR = Box((4,), (-1.0,) * 4, (1.0,) * 4)
BOTH = Composite((VECTOR, Discrete(3)), ("position", "kind"))


WIDE = Box((3, 12, 10), (0.0,) * 360, (255.0,) * 360, "uint8")
BOARD = Box((3, 3, 2), (0.0,) * 18, (1.0,) * 18, "uint8")
SEEN = Composite((VECTOR, PIXELS, Composite((Discrete(3), WIDE, BOARD))), ("position", "camera", "more"))


class OwnNetwork(nn.Module):
    """Takes a dictionary of observations."""

    def __init__(self, spec):
        super().__init__()
        self.layer = nn.Linear(7, 16)
        self.action, self.value = nn.Linear(16, 2), nn.Linear(16, 1)

    def forward(self, obs):
        hidden = torch.tanh(self.layer(torch.cat([obs["position"], obs["kind"]], 1)))
        return self.action(hidden), self.value(hidden)


SPECS = {
    "cnn": PolicySpec("", PIXELS, Discrete(3), (16,), "relu", "cnn"),
    "continuous": PolicySpec("", PIXELS, Box((2,), (-1.0,) * 2, (1.0,) * 2), (16,), "tanh", "cnn", False, -0.5),
    "masked": PolicySpec("", Masked(PIXELS, 3, "observation"), Discrete(3), (16,), "relu", "cnn"),
    "seen": PolicySpec("", SEEN, Discrete(3), (16,), "relu", "cnn"),
    "seen, masked": PolicySpec("", Masked(SEEN, 3), Discrete(3), (16, 8), "tanh", "cnn", False),
    "own": PolicySpec("", BOTH, Box((2,), (-1.0,) * 2, (1.0,) * 2), network=OwnNetwork),
}


def draw_features(spec, count, rng):
    """Rows of random observations; a mask forbids the second action."""
    shown = draw(unmasked(spec.observation), count, rng)
    if isinstance(spec.observation, Masked):
        shown = shown if spec.observation.key is None else {spec.observation.key: shown}
        shown |= {"action_mask": np.tile([[1, 0, 1]], (count, 1))}
    return spec.encode(shown)


def draw(space, count, rng):
    match space:
        case Composite(parts=parts, names=None):
            return tuple(draw(part, count, rng) for part in parts)
        case Composite(parts=parts, names=names):
            return {name: draw(part, count, rng) for name, part in zip(names, parts, strict=True)}
        case Discrete(n=n):
            return rng.integers(n, size=count)
        case Box(is_image=True, shape=shape):
            return rng.integers(256, size=(count, *shape)).astype(np.uint8)
        case Box(shape=shape):
            return rng.standard_normal((count, *shape)).astype(np.float32)


@pytest.mark.parametrize("name", SPECS)
def test_policy_and_network_agree(name):
    spec = SPECS[name]
    policy = make_policy(spec)
    network = make_network(spec, policy.init(3))
    features = draw_features(spec, 12, np.random.default_rng(0))
    action, logp, value = policy.act(features, np.random.default_rng(1))
    outputs, network_value = network.forward(features, learns=False)
    network_logp = network.distribution(outputs).log_probability(action.reshape(12, -1))
    np.testing.assert_allclose(network_value, value, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(network_logp, logp, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(policy.values(features), value, rtol=1e-6)
    if spec.mask_count:
        assert 1 not in action


@pytest.mark.parametrize("name", SPECS)
def test_gradient_of_an_update_is_the_one_of_the_loss(name):
    spec = SPECS[name]
    policy = make_policy(spec)
    settings = PPOSettings.preset("", entropy_coefficient=0.1, normalise_advantages=False)
    update = PPOUpdate(settings, spec, policy.init(3), seed=0)
    rng = np.random.default_rng(0)
    features = draw_features(spec, 24, rng)
    action, logp, value = policy.act(features, rng)
    columns = (logp + 0.3 * rng.standard_normal(24), rng.standard_normal(24), value + rng.standard_normal(24))
    rows = Transitions(features, action.reshape(24, -1), *(column.astype(np.float32) for column in columns), value)
    rows = update.share(rows)
    for _ in range(2):  # each replaces the last
        update.differentiate(rows, 0.2)
    expected = finite_differences(update, rows, settings)
    found = update.network.gradient.cpu().numpy()[list(expected)]
    np.testing.assert_allclose(found, list(expected.values()), rtol=0.05, atol=2e-3)


def finite_differences(update, rows, settings):
    """The loss of the paper's equation 9, shaken along some parameters, the deviations among them."""
    network = update.network

    def loss():
        outputs, value = network.forward(rows.obs, learns=False)
        distribution = network.distribution(outputs)
        ratio = np.exp(distribution.log_probability(rows.action) - rows.logp)
        surrogate = np.minimum(ratio * rows.advantage, ratio.clip(0.8, 1.2) * rows.advantage).mean()
        error = np.square(value - rows.target).mean()
        entropy = distribution.entropy().mean()
        return float(-surrogate + settings.value_coefficient * error - settings.entropy_coefficient * entropy)

    count, slopes = len(network.flat), {}
    for index in [*np.random.default_rng(1).integers(count, size=30).tolist(), count - 1]:
        before = float(network.flat[index])
        ends = []
        for step in (1e-2, -1e-2):
            network.flat[index] = before + step
            ends.append(loss())
        network.flat[index] = before
        slopes[index] = (ends[0] - ends[1]) / 2e-2
    return slopes


@pytest.mark.parametrize("spec", MLPS)
def test_either_backend_continues_from_the_state_of_the_other(spec):
    policy = make_policy(spec)
    rows = make_rows(policy)
    settings = {backend: PPOSettings.preset("", backend=backend, entropy_coefficient=0.01) for backend in BACKENDS}
    first = {backend: PPOUpdate(settings[backend], spec, policy.parameters, seed=0) for backend in BACKENDS}
    assert [type(first[backend].network) for backend in BACKENDS] == [Network, TorchNetwork]

    def learn(update, count):
        for _ in range(count):
            update.differentiate(update.share(rows), 0.2)
            update.step(1e-2)

    for update in first.values():
        learn(update, 3)
    for backend, other in zip(BACKENDS, reversed(BACKENDS), strict=True):
        second = PPOUpdate(settings[other], spec, first[backend].parameters(), seed=1)
        second.resume(first[backend].state())
        learn(second, 2)
        learn(first[backend], 2)
        np.testing.assert_allclose(second.parameters(), first[backend].parameters(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(*(first[backend].parameters() for backend in BACKENDS), rtol=1e-3, atol=1e-4)


def test_numpy_backend_refuses_a_network_that_is_no_mlp():
    with pytest.raises(
        ValueError, match="backend='numpy' supports MLPs only: give backend='torch' or 'auto' for this network"
    ):
        make_network(SPECS["cnn"], make_policy(SPECS["cnn"]).init(0), "numpy")


def test_pixels_stay_bytes_until_the_network_scales_them():
    spec = SPECS["cnn"]
    images = np.full((2, 9, 8, 3), 255, np.uint8)
    features = spec.encode(images)
    assert features.dtype == np.uint8
    assert features.shape == (2, 216)
    seen = []
    module = make_network(spec, make_policy(spec).init(0)).module
    module.torsos[0].register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    module_input = make_policy(spec)
    module_input._module = module
    module_input.values(features)
    assert seen[0].shape == (2, 3, 9, 8)
    assert float(seen[0].max()) == 1.0


def test_pass_leaves_pixels_as_they_are():
    module = make_module(SPECS["cnn"])
    for pixels in (torch.full((2, 216), 200, dtype=torch.uint8), torch.full((2, 216), 200.0)):
        module([pixels])
        assert (pixels == 200).all()


def test_rows_of_placed_features_are_those_of_the_array():
    features, index = np.arange(24, dtype=np.uint8).reshape(6, 4), np.array([5, 0, 3])
    placed = TorchNetwork(SPECS["cnn"], make_policy(SPECS["cnn"]).init(0)).place(features)
    assert rows_of(placed, index).tolist() == rows_of(features, index).tolist() == features[index].tolist()


def test_the_smallest_side_of_an_image_is_its_channels():
    for shape in ((84, 84, 4), (4, 84, 84)):
        image = Box(shape, (0.0,) * 28224, (255.0,) * 28224, "uint8")
        (convolutions,) = layout_of(PolicySpec("", image, Discrete(2), network="cnn")).images
        assert (convolutions.channels, convolutions.sides) == (4, (84, 84))


def test_large_images_pass_the_network_of_the_dqn_paper():
    spec = PolicySpec(
        "", Box((4, 84, 84), (0.0,) * 28224, (255.0,) * 28224, "uint8"), Discrete(6), (512,), "relu", "cnn"
    )
    policy = make_policy(spec)
    assert len(policy.init(0)) == 1_687_719  # Mnih et al. 2015's network, with one value beside the actions
    assert policy.values(np.zeros((2, 28224), np.uint8)).shape == (2,)


@pytest.mark.parametrize("name", ["cnn", "seen", "own"])
def test_one_seed_gives_one_network(name):
    first, second, other = (make_policy(SPECS[name]).init(seed) for seed in (5, 5, 6))
    assert (first == second).all()
    assert (first != other).any()


def test_file_of_a_policy_with_a_network_of_ones_own(tmp_path):
    policy = make_policy(SPECS["own"])
    policy.init(1)
    path = str(tmp_path / "own.policy")
    policy.save(path)
    with pytest.raises(ValueError, match=r"a function made the network of the policy in .*: give it as network="):
        load_policy(path)
    loaded = load_policy(path, network=OwnNetwork)
    obs = {"position": np.ones(4), "kind": 2}
    assert (loaded(obs) == policy(obs)).all()
    batch = policy({"position": np.array([np.ones(4), np.zeros(4)]), "kind": [2, 0]})
    singles = [policy(obs), policy({"position": np.zeros(4), "kind": 0})]
    np.testing.assert_allclose(batch, singles, rtol=1e-5)


class Forgetful(OwnNetwork):
    def forward(self, obs):
        outputs, value = super().forward(obs)
        return nn.functional.dropout(outputs, 0.5, self.training), value


def test_acting_drops_nothing_out_and_learning_does():
    spec = PolicySpec("", BOTH, Box((2,), (-1.0,) * 2, (1.0,) * 2), network=Forgetful)
    features = np.ones((8, 7), np.float32)
    policy = make_policy(spec)
    parameters = policy.init(1)
    network = make_network(spec, parameters)
    assert policy.best_actions(features).all()
    assert not network.forward(features)[0].all()


def test_networks_with_state_beside_their_parameters_are_refused():
    spec = PolicySpec("", VECTOR, Discrete(2), network=lambda _: nn.BatchNorm1d(4))
    with pytest.raises(ValueError, match="keeps no state beside its parameters: it has buffers running_mean"):
        make_policy(spec)


class WrongNetwork(nn.Module):
    """Returns what it is told to."""

    def __init__(self, outputs):
        super().__init__()
        self._outputs = outputs

    def forward(self, obs):
        return self._outputs


@pytest.mark.parametrize(
    ("returned", "shown"),
    [
        ((torch.zeros(2, 3), torch.zeros(2)), r"\(2, 3\) and \(2,\)"),
        ((torch.zeros(2, 2), torch.zeros(2, 2)), r"\(2, 2\) and \(2, 2\)"),
        (torch.zeros(2, 2), r"\(2, 2\)"),
    ],
)
def test_networks_that_return_something_else_are_refused(returned, shown):
    spec = PolicySpec("", VECTOR, Discrete(2), network=lambda _: WrongNetwork(returned))
    with pytest.raises(
        ValueError, match=rf"returns outputs of shape \(2, 2\) and values of shape \(2,\), not {shown}$"
    ):
        make_policy(spec)


def test_network_that_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"network= makes a torch.nn.Module, not 5"):
        make_policy(PolicySpec("", VECTOR, Discrete(2), network=lambda _: 5))


def test_images_smaller_than_the_kernels_are_refused():
    spec = PolicySpec("", Box((4, 9, 1), (0.0,) * 36, (255.0,) * 36, "uint8"), Discrete(2), network="cnn")
    with pytest.raises(ValueError, match=r"takes images of 5 x 5 pixels or more, not \(4, 9, 1\)"):
        make_policy(spec)


def test_convolutions_of_vectors_are_refused():
    with pytest.raises(ValueError, match="network='cnn' takes observations with an image of three dimensions"):
        make_policy(PolicySpec("", VECTOR, Discrete(2), network="cnn"))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("hidden", [(16,), (16, 12, 8)])
def test_mlp_of_any_depth_agrees_with_torchs_modules(hidden, activation):
    """The policy on NumPy, the learner's network and its gradient, against `nn.Sequential`."""
    spec = PolicySpec("", VECTOR, Discrete(3), hidden, activation, orthogonal=False)
    policy = MlpPolicy(spec)
    flat = policy.init(0)
    network = Network(spec, flat)
    towers = []
    for index in (0, 1):
        layers, width, views = [], 4, {}
        start = 0
        for name, shape in parameter_shapes(spec).items():
            end = start + int(np.prod(shape))
            views[name] = torch.from_numpy(flat[start:end].reshape(shape))
            start = end
        for number, units in enumerate(hidden, 1):
            linear = nn.Linear(width, units)
            linear.weight.data = views[f"hidden_{number}"][index].T.clone()
            linear.bias.data = views[f"hidden_{number}_bias"][index, 0].clone()
            layers += [linear, nn.Tanh() if activation == "tanh" else nn.ReLU()]
            width = units
        head = nn.Linear(width, 1 if index else 3)
        name = "value" if index else "action"
        head.weight.data, head.bias.data = views[name].T.clone(), views[f"{name}_bias"].clone()
        towers.append(nn.Sequential(*layers, head))
    features = np.random.default_rng(2).standard_normal((10, 4)).astype(np.float32)
    outputs, value = (tower(torch.from_numpy(features)) for tower in towers)
    found, _ = network.forward(features)
    np.testing.assert_allclose(found, outputs.detach().numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(policy.values(features), value.detach().numpy()[:, 0], rtol=1e-4, atol=1e-5)
    assert (policy.best_actions(features) == outputs.argmax(1).numpy()).all()
    d_outputs, d_value = torch.randn_like(outputs), torch.randn(10)
    network.backward(d_outputs.numpy(), d_value.numpy())
    torch.autograd.backward([outputs, value[:, 0]], [d_outputs, d_value])
    gradient = {name: torch.from_numpy(each) for name, each in network.layer_gradients.items()}
    for index, tower in enumerate(towers):
        torch.testing.assert_close(gradient["hidden_1"][index], tower[0].weight.grad.T, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(gradient["hidden_1_bias"][index, 0], tower[0].bias.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient["value"], towers[1][-1].weight.grad.T, rtol=1e-4, atol=1e-5)


# Images inside of a Dict or a Tuple


def reference_outputs(spec, flat, obs):
    """The outputs and values of a batch of `SEEN`, written out with torch's functions from the paper's description."""
    taken = iter(np.split(flat, np.cumsum([int(np.prod(shape)) for shape in convolution_shapes(spec).values()])[:-1]))
    shapes = iter(convolution_shapes(spec).values())

    def layer():
        return [torch.from_numpy(next(taken).reshape(next(shapes))) for _ in range(2)]

    entering = []
    for pixels in (obs["camera"].transpose(0, 3, 1, 2), obs["more"][1]):
        passed = torch.from_numpy(pixels.astype(np.float32)) / 255.0
        for _ in range(2):
            passed = nn.functional.relu(nn.functional.conv2d(passed, *layer()))
        entering.append(passed.flatten(1))
    for plain in (obs["position"], np.eye(3)[obs["more"][0]], obs["more"][2].reshape(len(obs["position"]), -1)):
        entering.append(torch.from_numpy(plain.astype(np.float32)))
    hidden = torch.cat(entering, 1)
    for _ in spec.hidden:
        hidden = torch.tanh(nn.functional.linear(hidden, *layer()))
    return nn.functional.linear(hidden, *layer()), nn.functional.linear(hidden, *layer())[:, 0]


def test_each_image_passes_convolutions_and_all_other_parts_enter_beside_them():
    spec = PolicySpec("", SEEN, Discrete(3), (16, 8), "tanh", "cnn", False)
    policy = make_policy(spec)
    flat = policy.init(2)
    obs = draw(SEEN, 7, np.random.default_rng(0))
    outputs, value = reference_outputs(spec, flat, obs)
    found = make_network(spec, flat).forward(policy.features(obs), learns=False)
    np.testing.assert_allclose(found[0], outputs.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], value.numpy(), rtol=1e-4, atol=1e-5)
    assert policy(obs).tolist() == outputs.argmax(1).tolist()


@pytest.mark.parametrize("orthogonal", [True, False])
def test_initial_parameters_are_those_that_torch_would_draw(orthogonal):
    spec = PolicySpec("", SEEN, Box((2,), (-1.0,) * 2, (1.0,) * 2), (16,), "relu", "cnn", orthogonal, -0.5)
    flat = make_policy(spec).init(0)
    module = make_module(spec)
    shapes = [tuple(parameter.shape) for parameter in module.parameters()]
    assert shapes == list(convolution_shapes(spec).values())
    assert flat[-2:].tolist() == [-0.5, -0.5]
    start, limit = 0, 0.0
    for name, shape in convolution_shapes(spec).items():
        end = start + int(np.prod(shape))
        drawn = flat[start:end].reshape(shape[0], -1)
        start = end
        if not orthogonal:
            limit = limit if name.endswith("_bias") else 1.0 / np.sqrt(drawn.shape[1])
            assert 0.0 < np.abs(drawn).max() <= limit
            assert drawn.size < 16 or np.abs(drawn).max() > 0.8 * limit
        elif name.endswith("_bias"):
            assert not drawn.any()
        else:
            gain = {"action": 0.01, "value": 1.0}.get(name, np.sqrt(2.0))
            small = drawn if drawn.shape[0] <= drawn.shape[1] else drawn.T
            np.testing.assert_allclose(small @ small.T, gain**2 * np.eye(len(small)), atol=1e-4 * gain)


def test_drawing_parameters_of_convolutions_imports_no_torch():
    program = """
import sys
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.factory import initial_parameters
from actorrt.rl.spaces.array_spaces import Box, Discrete
image = Box((84, 84, 4), (0.0,) * 28224, (255.0,) * 28224, "uint8")
print(len(initial_parameters(PolicySpec("", image, Discrete(6), (512,), "relu", "cnn"), 0)), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "1687719 False\n"


def test_networks_of_ones_own_see_images_of_a_dict_scaled():
    seen = []

    class Own(nn.Module):
        def __init__(self, spec):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, obs):
            seen.append(obs)
            return self.layer(obs["position"]), self.layer(obs["position"])[:, 0]

    policy = make_policy(PolicySpec("", SEEN, Discrete(3), network=Own))
    obs = draw(SEEN, 2, np.random.default_rng(0))
    policy(obs)
    camera, wide = seen[-1]["camera"], seen[-1]["more"][1]
    np.testing.assert_allclose(camera.numpy(), obs["camera"] / 255.0, rtol=1e-6)
    np.testing.assert_allclose(wide.numpy(), obs["more"][1] / 255.0, rtol=1e-6)
    np.testing.assert_allclose(seen[-1]["position"].numpy(), obs["position"])


def test_mlp_over_pixels_learns_in_torch_what_it_acts_on():
    spec = PolicySpec("", PIXELS, Discrete(3), (16,))
    policy = make_policy(spec)
    network = make_network(spec, policy.init(0), "torch")
    features = np.random.default_rng(0).integers(256, size=(4, 216)).astype(np.float32)
    np.testing.assert_allclose(
        network.forward(features, learns=False)[1], policy.values(features), rtol=1e-3, atol=1e-3
    )


def test_policy_over_images_of_a_dict_is_saved_and_loaded(tmp_path):
    policy = make_policy(SPECS["seen"])
    policy.init(1)
    policy.save(str(tmp_path / "seen.policy"))
    loaded = load_policy(str(tmp_path / "seen.policy"))
    obs = draw(SEEN, 5, np.random.default_rng(0))
    assert (loaded.spec, loaded(obs).tolist()) == (policy.spec, policy(obs).tolist())


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_in_place_takes_the_steps_of_adam_on_arrays_and_continues_from_its_state(weight_decay):
    rng = np.random.default_rng(0)
    start = rng.standard_normal(50).astype(np.float32)
    arrays = start.copy(), np.zeros(50, np.float32)
    tensors = torch.from_numpy(start.copy()), torch.zeros(50)
    options = {"max_norm": 0.5, "weight_decay": weight_decay}
    kind = "adamw" if weight_decay else "adam"
    optimisers = [make_optimiser(kind, *vectors, **options) for vectors in (arrays, tensors)]
    assert [type(optimiser) for optimiser in optimisers] == [FlatAdam, TorchAdam]
    for number in range(6):
        gradient = rng.standard_normal(50).astype(np.float32)
        arrays[1][:] = gradient
        tensors[1].copy_(torch.from_numpy(gradient))
        norms = [optimiser.step(1e-2) for optimiser in optimisers]
        assert norms[0] == pytest.approx(norms[1], rel=1e-5)
        if number == 2:
            optimisers[1].resume(optimisers[0].state())
    np.testing.assert_allclose(tensors[0].numpy(), arrays[0], rtol=1e-5, atol=1e-6)
    assert optimisers[1].state().keys() == optimisers[0].state().keys()


def test_one_observation_acts_like_the_same_one_in_a_batch_wherever_its_numbers_begin():
    odd = Box((3, 7, 5), (0.0,) * 105, (255.0,) * 105, "uint8")  # the numbers begin at no multiple of 4 bytes
    action = Box((2,), (-9.0,) * 2, (9.0,) * 2)
    policy = make_policy(PolicySpec("", Composite((odd, VECTOR), ("odd", "place")), action, (8,), network="cnn"))
    policy.init(0)
    batch = draw(policy.spec.observation, 3, np.random.default_rng(0))
    actions = policy(batch)
    for k in range(3):
        np.testing.assert_allclose(policy({name: part[k] for name, part in batch.items()}), actions[k], rtol=1e-4)
