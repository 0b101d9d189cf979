"""Exported policies return the same actions as their originals, without this library."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from gymnasium import spaces as gym

from actorrt.rl.foundation.extras import MissingPackageError
from actorrt.rl.networks.activations import ACTIVATIONS
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.factory import make_policy
from actorrt.rl.spaces.array_spaces import Box
from actorrt.rl.spaces.gymnasium_spaces import from_gymnasium
from actorrt.rl.spaces.leaves import output_count
from actorrt.rl.spaces.normaliser import Moments, Normaliser
from actorrt.rl.spaces.spaces import Masked

BOX = gym.Box(-1.0, 1.0, (2, 2), np.float32)
SPACES = {
    "discrete": (BOX, gym.Discrete(3, start=1)),
    "box": (gym.Discrete(4), gym.Box(np.array([-0.1, -np.inf], np.float32), np.array([0.1, np.inf], np.float32))),
    "integers": (BOX, gym.Box(-1, 1, (2,), np.int32)),
    "multi_discrete": (gym.MultiDiscrete([2, 3], start=[1, 0]), gym.MultiDiscrete([[2], [3]], start=[[0], [5]])),
    "multi_binary": (gym.MultiBinary(3), gym.MultiBinary((2, 2))),
    "composite": (
        gym.Tuple((gym.Discrete(2), gym.MultiBinary(2))),
        gym.Dict({"turn": gym.Discrete(3), "speed": gym.Box(-0.2, 0.2, (1,)), "bits": gym.MultiBinary(2)}),
    ),
}


def make(name, hidden=(8, 8), *, normalises=False, masks=False, activation="tanh", value_hidden=None):
    observation, action = map(from_gymnasium, SPACES[name])
    if masks:
        observation = Masked(observation, output_count(action), "board")
    spec = PolicySpec("", observation, action, hidden, activation, value_hidden=value_hidden)
    policy = make_policy(spec)
    flat = policy.init(0)
    flat += np.random.default_rng(1).standard_normal(flat.shape).astype(np.float32)
    if normalises:
        count = spec.input_count
        policy.normaliser = Normaliser(Moments(9, np.linspace(-1.0, 1.0, count), np.linspace(1.0, 20.0, count)))
    return policy


def observations(name, *, masks=False, count=6):
    space = SPACES[name][0]
    space.seed(0)
    values = [space.sample() for _ in range(count)]
    if not masks:
        return values
    draws = np.random.default_rng(0).integers(0, 2, (count, 3))
    draws[:, 1] = 1
    return [{"board": value, "action_mask": mask} for value, mask in zip(values, draws, strict=True)]


def assert_same(first, second):
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    else:
        assert np.shape(first) == np.shape(second)
        assert getattr(first, "dtype", int) == getattr(second, "dtype", int)
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


CASES = [
    *((name, {}) for name in SPACES),
    ("discrete", {"normalises": True, "activation": "relu"}),
    ("discrete", {"masks": True, "normalises": True}),
    ("box", {"hidden": ()}),
    ("multi_binary", {"hidden": (8, 8, 8)}),
    *(("box", {"activation": activation}) for activation in ACTIVATIONS),
    ("box", {"hidden": (8,), "value_hidden": (4, 4)}),
]


@pytest.mark.parametrize(("name", "more"), CASES)
def test_numpy_file_acts_alike(name, more, tmp_path):
    policy = make(name, **more)
    policy.export(str(tmp_path / "exported.py"))
    scope = {}
    exec((tmp_path / "exported.py").read_text(), scope)
    for obs in observations(name, masks="masks" in more):
        assert_same(scope["act"](obs), policy(obs))


TYPES = gym.Dict(
    {
        "bytes": gym.MultiDiscrete([3, 2], dtype=np.int8),
        "halves": gym.Box(-0.1, 0.1, (2,), np.float16),
        "number": gym.Box(-0.1, 0.1, (), np.float64),
    }
)


def test_numpy_file_gives_actions_the_types_of_their_space(tmp_path):
    policy = make_policy(PolicySpec("", from_gymnasium(BOX), from_gymnasium(TYPES), (8, 8)))
    flat = policy.init(0)
    flat += np.random.default_rng(1).standard_normal(flat.shape).astype(np.float32)
    policy.export(str(tmp_path / "exported.py"))
    scope = {}
    exec((tmp_path / "exported.py").read_text(), scope)
    for obs in observations("discrete"):
        assert_same(scope["act"](obs), policy(obs))
        assert TYPES.contains(scope["act"](obs))


def test_numpy_file_takes_masks_of_several_parts(tmp_path):
    action = from_gymnasium(gym.Tuple((gym.Discrete(2), gym.Discrete(3))))
    policy = make_policy(PolicySpec("", Masked(from_gymnasium(BOX), 5, "board"), action, (8, 8)))
    policy.init(0)
    policy.export(str(tmp_path / "exported.py"))
    scope = {}
    exec((tmp_path / "exported.py").read_text(), scope)
    for left, right in ((0, 2), (1, 0), (1, 1)):
        mask = (np.arange(2) == left, np.arange(3) == right)
        shown = {"board": np.zeros((2, 2), np.float32), "action_mask": mask}
        assert scope["act"](shown) == policy(shown) == (left, right)


def test_numpy_file_imports_nothing_else(tmp_path):
    make("discrete").export(str(tmp_path / "exported.py"))
    code = "import sys, exported; print(exported.act([0.0] * 4), 'actorrt' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.stdout.split()[1] == "False", done.stderr


def run_onnx(path, **inputs):
    reference = pytest.importorskip("onnx.reference")
    (action,) = reference.ReferenceEvaluator(str(path)).run(None, inputs)
    return action


@pytest.mark.parametrize(("name", "more"), CASES)
def test_onnx_graph_acts_alike(name, more, tmp_path):
    pytest.importorskip("onnx")
    policy, masks = make(name, **more), "masks" in more
    policy.export(str(tmp_path / "exported.onnx"))
    values = observations(name, masks=masks)
    spec = policy.spec
    features = spec.encode(spec.observation.stack(values))
    inputs = {"features": features[:, : spec.input_count]}
    if SPACES[name][0] is BOX:
        inputs = {"observation": inputs["features"].reshape(-1, 2, 2)}
    if masks:
        inputs["action_mask"] = features[:, spec.input_count :]
    action = run_onnx(tmp_path / "exported.onnx", **inputs)
    expected = policy.best_actions(policy.features(spec.observation.stack(values)))
    if name != "composite":
        expected = spec.action.to_environment(expected).reshape(action.shape)
    np.testing.assert_allclose(action, expected, rtol=1e-4, atol=1e-5)


def test_onnx_graph_of_convolutions_acts_alike(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    pixels = Box((10, 9, 2), (0.0,) * 180, (255.0,) * 180, "uint8")
    policy = make_policy(PolicySpec("", pixels, from_gymnasium(gym.Discrete(5)), (16,), "tanh", "cnn"))
    policy.init(0)
    policy.export(str(tmp_path / "exported.onnx"))
    images = np.random.default_rng(0).integers(256, size=(6, 10, 9, 2)).astype(np.uint8)
    action = run_onnx(tmp_path / "exported.onnx", observation=images)
    assert action.tolist() == policy.best_actions(policy.features(images)).tolist()
    with pytest.raises(ValueError, match="acts on torch: export it as"):
        policy.export(str(tmp_path / "exported.py"))


@pytest.mark.parametrize(
    ("masked", "normalises", "own"),
    [(False, False, False), (True, True, False), (False, True, False), (False, True, True)],
)
def test_onnx_graph_of_images_inside_a_dict_acts_alike(masked, normalises, own, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    rng = np.random.default_rng(0)
    front = gym.Box(0, 255, (3, 9, 8), np.uint8)
    space = gym.Dict({"back": gym.Box(0, 255, (10, 9, 2), np.uint8), "front": front, "speed": gym.Box(-1.0, 1.0, (3,))})
    observation = from_gymnasium(space)
    action_space = from_gymnasium(gym.Discrete(5) if masked else gym.Box(-99.0, 99.0, (2,)))
    spec = PolicySpec("", Masked(observation, 5) if masked else observation, action_space, (16,), "tanh", "cnn")
    if own:
        pytest.importorskip("onnxscript")
        policy = own_policy(spec)
    else:
        policy = make_policy(spec)
        flat = policy.init(0)
        policy.set_parameters(flat + 0.2 * rng.standard_normal(flat.shape).astype(np.float32), 1)
    if normalises:
        policy.normaliser = Normaliser(Moments(9, np.array([0.1, -0.5, 0.0]), np.array([0.1, 1.0, 0.01])))
    policy.export(str(tmp_path / "exported.onnx"))
    obs = {
        name: np.array([rng.integers(1 + 40 * k, size=part.shape) for k in range(6)], np.uint8)
        for name, part in (("back", space["back"]), ("front", space["front"]))
    }
    obs["speed"] = rng.uniform(-1.0, 1.0, (6, 3)).astype(np.float32)
    if masked:
        obs["action_mask"] = np.tile(np.array([0, 1, 0, 1, 1], np.int8), (6, 1))
    features = spec.observation.encode(obs)
    inputs = {"features": features[:, : spec.input_count]}
    if masked:
        inputs["action_mask"] = features[:, spec.input_count :]
    action = run_onnx(tmp_path / "exported.onnx", **inputs)
    np.testing.assert_allclose(action, policy(obs), rtol=1e-4, atol=1e-4)
    assert len(np.unique(action, axis=0)) > 1


def own_policy(spec, *, normalises=False):
    nn = pytest.importorskip("torch").nn
    import torch

    class Own(nn.Module):
        def __init__(self, spec):
            super().__init__()
            count = spec.input_count
            self.body = nn.Sequential(nn.Linear(count, 16), nn.SiLU(), nn.LayerNorm(16))
            self.outputs, self.value = nn.Linear(16, output_count(spec.action)), nn.Linear(16, 1)

        def forward(self, obs):
            parts = obs.values() if isinstance(obs, dict) else obs if isinstance(obs, tuple) else [obs]
            hidden = self.body(torch.cat([part.flatten(1) for part in parts], 1))
            return self.outputs(hidden), self.value(hidden)

    policy = make_policy(dataclasses.replace(spec, network=Own))
    flat = policy.init(0)
    policy.set_parameters(flat + np.random.default_rng(1).standard_normal(flat.shape).astype(np.float32), 1)
    if normalises:
        count = spec.input_count
        policy.normaliser = Normaliser(Moments(9, np.linspace(-1.0, 1.0, count), np.linspace(1.0, 20.0, count)))
    return policy


OWN = [*((name, {}) for name in SPACES), ("discrete", {"masks": True, "normalises": True})]


@pytest.mark.parametrize(("name", "more"), OWN)
def test_onnx_graph_of_a_network_of_ones_own_acts_alike(name, more, tmp_path):
    pytest.importorskip("onnxscript")
    masks = "masks" in more
    policy = own_policy(make(name, masks=masks).spec, normalises="normalises" in more)
    policy.export(str(tmp_path / "exported.onnx"))
    spec, values = policy.spec, observations(name, masks=masks)
    batch = spec.observation.stack(values)
    features = spec.encode(batch)
    inputs = {"features": features[:, : spec.input_count]}
    if SPACES[name][0] is BOX:
        inputs = {"observation": inputs["features"].reshape(-1, 2, 2)}
    if masks:
        inputs["action_mask"] = features[:, spec.input_count :]
    action, expected = run_onnx(tmp_path / "exported.onnx", **inputs), policy.best_actions(policy.features(batch))
    if name != "composite":
        expected = spec.action.to_environment(expected).reshape(action.shape)
    np.testing.assert_allclose(action, expected, rtol=1e-4, atol=1e-5)


def test_onnx_export_of_a_network_that_cannot_be_traced_is_refused(tmp_path):
    pytest.importorskip("onnxscript")
    nn = pytest.importorskip("torch").nn

    class Whimsical(nn.Linear):
        def __init__(self, spec):
            super().__init__(4, 3)

        def forward(self, obs):
            outputs = super().forward(obs.flatten(1))
            if float(outputs.sum()) > 0.0:  # Python's choice, which no graph can make
                outputs = -outputs
            return outputs, outputs[:, 0]

    policy = make_policy(dataclasses.replace(make("discrete").spec, network=Whimsical))
    policy.init(0)
    with pytest.raises(ValueError, match=r"torch\.onnx can't follow what the policy's network does") as raised:
        policy.export(str(tmp_path / "exported.onnx"))
    assert raised.value.__cause__ is not None


def test_missing_exporter_is_named(tmp_path, monkeypatch):
    policy = own_policy(make("discrete").spec)
    monkeypatch.setattr("actorrt.rl.foundation.extras.is_installed", lambda package: package != "onnxscript")
    how = r'onnxscript is needed and not installed: pip install "actorrt\[onnx\]"'
    with pytest.raises(MissingPackageError, match=how):
        policy.export(str(tmp_path / "exported.onnx"))


def test_other_forms_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a policy is exported as .py or .onnx, not as .*\.pt"):
        make("discrete").export(str(tmp_path / "exported.pt"))
