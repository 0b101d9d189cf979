"""The NumPy policy: its distributions, its layout, its file."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pickle

import numpy as np
import pytest

from actorrt.rl.networks.layout import parameter_views
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.factory import load_policy
from actorrt.rl.policies.numpy_policy import LinearPolicy, MlpPolicy
from actorrt.rl.spaces.array_spaces import Box, Discrete, MultiBinary, MultiDiscrete
from actorrt.rl.spaces.normaliser import Moments, Normaliser
from actorrt.rl.spaces.spaces import Composite, Masked, space_from_data

CATEGORICAL = PolicySpec("CartPole-v1", Box((4,), (-1.0,) * 4, (float("inf"),) * 4), Discrete(3, start=1), (16, 8))
GAUSSIAN = PolicySpec("", Discrete(5), Box((2, 1), (-1.0, -2.0), (1.0, 2.0)), (8, 8))


def make_policy(spec, seed=0):
    policy = MlpPolicy(spec)
    policy.init(seed)
    return policy


def test_layers_are_views_of_the_flat_vector():
    flat = np.zeros(MlpPolicy(CATEGORICAL).parameters.shape, np.float32)
    views = parameter_views(CATEGORICAL, flat)
    for view in views.values():
        view += 1.0
    assert (flat == 1.0).all()
    assert views["hidden_1"].shape == (2, 4, 16)
    assert "log_std" not in views


def test_hidden_layers_start_orthogonal_and_biases_zero():
    views = parameter_views(CATEGORICAL, make_policy(CATEGORICAL).parameters)
    for network in views["hidden_1"]:
        np.testing.assert_allclose(network @ network.T, 2.0 * np.eye(4), atol=1e-5)
    np.testing.assert_allclose(views["action"].T @ views["action"], 1e-4 * np.eye(3), atol=1e-8)
    assert not views["hidden_2_bias"].any()


def test_one_seed_gives_one_vector():
    first, second, other = (make_policy(CATEGORICAL, seed).parameters for seed in (5, 5, 6))
    assert (first == second).all()
    assert (first != other).any()


def test_parameters_of_another_layout_are_refused():
    with pytest.raises(ValueError, match=r"the network takes \d+ parameters, and these are of shape \(3,\)$"):
        MlpPolicy(CATEGORICAL, np.zeros(3, np.float32))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"hidden": (8, 0)}, r"at least 1 unit: hidden=\(8, 0\)"),
        ({"activation": "swish"}, "activation is 'tanh', 'relu', .* or 'silu': activation='swish'"),
        ({"value_hidden": ()}, r"both networks have hidden layers .*: hidden=\(64, 64\), value_hidden=\(\)"),
        ({"network": "cnn", "value_hidden": (8,)}, r"value_hidden=\(8,\) is for network='mlp'"),
        ({"network": "lstm"}, "network is 'mlp', 'cnn' or a function that makes one: network='lstm'"),
    ],
)
def test_policies_that_cannot_be_made_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        PolicySpec("", Discrete(2), Discrete(2), **shape)


def test_linear_policies_say_that_they_draw_nothing():
    with pytest.raises(NotImplementedError, match="a linear policy is deterministic and estimates no values"):
        LinearPolicy(PolicySpec("", Discrete(2), Discrete(2), ())).act(np.zeros((1, 2)), np.random.default_rng(0))


def test_sampled_actions_follow_the_softmax_of_the_logits():
    policy = make_policy(CATEGORICAL)
    views = parameter_views(CATEGORICAL, policy.parameters)
    views["action"][:] = 0.0
    views["action_bias"][:] = np.log([0.2, 0.3, 0.5])
    action, logp, _ = policy.act(np.zeros((20_000, 4), np.float32), np.random.default_rng(0))
    shares = np.bincount(action, minlength=3) / len(action)
    np.testing.assert_allclose(shares, [0.2, 0.3, 0.5], atol=0.02)
    np.testing.assert_allclose(np.exp(logp), np.array([0.2, 0.3, 0.5])[action], rtol=1e-5)


def test_gaussian_log_probability_is_the_density():
    policy = make_policy(GAUSSIAN)
    log_std = parameter_views(GAUSSIAN, policy.parameters)["log_std"]
    log_std[:] = [0.3, -0.4]
    features = np.eye(5, dtype=np.float32)
    mean = policy.best_actions(features)
    action, logp, _ = policy.act(features, np.random.default_rng(1))
    std = np.exp(log_std)
    density = np.exp(-0.5 * ((action - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(logp, np.log(density.prod(axis=1)), rtol=1e-4)


def test_calling_a_policy_speaks_the_environments_language():
    discrete = make_policy(CATEGORICAL)
    views = parameter_views(CATEGORICAL, discrete.parameters)
    views["action_bias"][:] = [0.0, 0.0, 9.0]
    assert discrete(np.zeros(4)) == 3  # Discrete(3, start=1): 1, 2, 3
    continuous = make_policy(GAUSSIAN)
    parameter_views(GAUSSIAN, continuous.parameters)["action_bias"][:] = [5.0, -5.0]
    assert continuous(2).tolist() == [[1.0], [-2.0]]


@pytest.mark.parametrize("spec", [CATEGORICAL, GAUSSIAN])
def test_saved_policy_loads_equal(spec, tmp_path):
    policy = make_policy(spec)
    policy.version = 17
    policy.normaliser = Normaliser(Moments(4, np.arange(3.0), np.ones(3)), Moments.nothing(1))
    path = str(tmp_path / "a.policy")
    policy.save(path)
    loaded = load_policy(path)
    assert loaded.spec == spec
    assert loaded.version == 17
    assert (loaded.parameters == policy.parameters).all()
    assert loaded.normaliser.observations.mean.tolist() == [0.0, 1.0, 2.0]
    assert loaded.normaliser.observations.count == 4
    assert loaded.normaliser.returns.count == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.policy"]


def test_files_that_are_no_policy_are_refused(tmp_path):
    path = tmp_path / "b.policy"
    path.write_bytes(b"not a zip")
    with pytest.raises(ValueError, match="is not a policy's file"):
        load_policy(str(path))
    with path.open("wb") as file:
        np.savez(file, parameters=np.zeros(3))
    with pytest.raises(ValueError, match="is not a policy's file"):
        load_policy(str(path))
    with pytest.raises(FileNotFoundError):
        load_policy(str(tmp_path / "absent.policy"))


def test_file_of_something_else_is_refused_without_advice_to_trust_it(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("steps,seconds\n256,1.0\n")
    with pytest.raises(ValueError, match="is not a policy's file: it is no archive of arrays") as refused:
        load_policy(str(path))
    assert "unsafe" not in f"{refused.value} {refused.value.__cause__}"


def resaved(path, header=None, **arrays):
    """Write a policy's file anew with other contents."""
    with np.load(path) as archive:
        kept = dict(archive)
    known = json.loads(kept["header"].tobytes())
    new = {name: value for name, value in (known | (header or {})).items() if value is not None}
    with open(path, "wb") as file:
        np.savez(file, **{**kept, "header": np.frombuffer(json.dumps(new).encode(), np.uint8), **arrays})


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"observation": None}, "is not a policy's file: KeyError: 'observation'"),
        ({"hidden": 7}, "is not a policy's file: TypeError"),
        ({"network": "transformer"}, "is not a policy's file: ValueError: network is 'mlp', 'cnn' or"),
        ({"activation": "swish"}, "is not a policy's file: ValueError: activation is 'tanh', 'relu', "),
        (
            {"hidden": [3]},
            r"some.policy holds the policy of another network: the network takes \d+ parameters, and these",
        ),
    ],
)
def test_file_with_a_damaged_header_is_refused(header, message, tmp_path):
    path = str(tmp_path / "some.policy")
    make_policy(CATEGORICAL).save(path)
    resaved(path, header)
    with pytest.raises(ValueError, match=message):
        load_policy(path)


def test_file_that_was_cut_or_changed_is_refused(tmp_path):
    path = tmp_path / "some.policy"
    make_policy(CATEGORICAL).save(str(path))
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    for damaged in (whole[:10], whole[:-5], bytes(changed)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is not a policy's file"):
            load_policy(str(path))


def test_file_that_is_damaged_anywhere_is_refused_or_read(tmp_path):
    path, rng = tmp_path / "some.policy", np.random.default_rng(0)
    make_policy(CATEGORICAL).save(path)
    whole = path.read_bytes()
    for at in (*rng.integers(len(whole), size=100), *range(len(whole) - 300, len(whole))):  # the archive's directory
        damaged = bytearray(whole)
        damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(ValueError):
            load_policy(path)


def test_paths_may_be_objects(tmp_path):
    policy = make_policy(CATEGORICAL)
    policy.save(tmp_path / "some.policy")
    policy.export(tmp_path / "some.py")
    assert load_policy(tmp_path / "some.policy").spec == policy.spec
    assert (tmp_path / "some.py").exists()


def test_file_never_runs_code_that_it_holds(tmp_path):
    path, trace = tmp_path / "some.policy", tmp_path / "trace"
    make_policy(CATEGORICAL).save(str(path))
    resaved(str(path), parameters=np.array([Trap(str(trace))], object))
    with pytest.raises(ValueError, match="is not a policy's file"):
        load_policy(str(path))
    path.write_bytes(pickle.dumps(Trap(str(trace))))
    with pytest.raises(ValueError, match="is not a policy's file"):
        load_policy(str(path))
    assert not trace.exists()


def test_repr_of_a_policy_has_environment_version_and_parameter_count():
    policy = make_policy(CATEGORICAL)
    assert repr(policy) == "<MlpPolicy for CartPole-v1: version 0, 468 parameters>"
    policy.spec = dataclasses.replace(policy.spec, env_id="")
    assert repr(policy) == "<MlpPolicy: version 0, 468 parameters>"


def test_policies_pickle_with_their_views_tied():
    copy = pickle.loads(pickle.dumps(make_policy(CATEGORICAL)))
    copy.parameters[:] = 0.0
    assert copy.values(np.ones((1, 4), np.float32)).tolist() == [0.0]


@pytest.mark.parametrize("space", [Discrete(3, 1), Box((2,), (-1.0, -2.0), (1.0, float("inf")))])
def test_spaces_survive_as_data(space):
    assert space_from_data(space.to_data()) == space


NAMED = PolicySpec("", Composite((Box((2,), (-1.0,) * 2, (1.0,) * 2), Discrete(3)), ("place", "colour")), Discrete(2))
MASKED = PolicySpec("", Masked(Box((2,), (-1.0,) * 2, (1.0,) * 2), 3, "place"), Discrete(3), (8,))


@pytest.mark.parametrize(
    ("spec", "obs", "message"),
    [
        (CATEGORICAL, [0.0, float("nan"), 0.0, 0.0], r"an observation is infinite or NaN: \[ *0\. *nan"),
        (CATEGORICAL, np.zeros(12), r"an observation of shape \(12,\) is not in a space of shape \(4,\)"),
        (
            CATEGORICAL,
            np.zeros((2, 3)),
            r"shape \(2, 3\) is not in a space of shape \(4,\), and no batch of shape \(N, 4\) either",
        ),
        (CATEGORICAL, np.zeros((2, 2)), r"an observation of shape \(2, 2\) is not in a space of shape \(4,\)"),
        (CATEGORICAL, np.zeros((1, 2, 4)), r"an observation of shape \(1, 2, 4\) is not in a space of shape \(4,\)"),
        (CATEGORICAL, [[0.0, 0.0], [0.0]], "an observation is no array of numbers"),
        (CATEGORICAL, [[0.0] * 4, [0.0, 0.0, 0.0, float("nan")]], "an observation is infinite or NaN"),
        (
            GAUSSIAN,
            [[1, 2]],
            r"an observation of shape \(1, 2\) is not in a space of shape \(\), and no batch of shape \(N,",
        ),
        (GAUSSIAN, [1, 5], "the environment shows a value outside its space"),
        (
            NAMED,
            {"place": [0.0], "colour": 0},
            r"part 'place': an observation of shape \(1,\) is not in a space of shape",
        ),
        (
            NAMED,
            {"place": [[0.0, 0.0]] * 2, "colour": 0},
            "the parts of an observation do not belong together: 'place' is a batch of 2, 'colour' is one observation",
        ),
        (NAMED, {"place": [[0.0, 0.0]] * 2, "colour": [0, 1, 2]}, "'place' is a batch of 2, 'colour' is a batch of 3"),
        (MASKED, {"place": [0.0, 0.0], "action_mask": [1, 1]}, r"a mask of shape \(2,\) has not 3 entries"),
        (MASKED, {"place": [[0.0, 0.0]] * 2, "action_mask": [1, 1, 0]}, r"shape \(3,\) has not 2 rows of 3 entries"),
        (CATEGORICAL, "left", "an observation is no array of numbers"),
        (NAMED, {"place": [0.0, 0.0]}, "an observation has no part 'colour': it has 'place'"),
        (NAMED, [0.0, 0.0], r"an observation has no part 'place': it is \[0.0, 0.0\]"),
    ],
)
def test_policy_refuses_observations_outside_its_space(spec, obs, message):
    with pytest.raises(ValueError, match=message):
        make_policy(spec)(obs)


@pytest.mark.parametrize(
    ("spec", "singles", "batch"),
    [
        (CATEGORICAL, [[1.0, 0.0, 0.5, 0.0], [0.0, -1.0, 0.0, 2.0]], np.array([[1, 0, 0.5, 0], [0, -1, 0, 2]])),
        (GAUSSIAN, [4, 0], [4, 0]),
        (PolicySpec("", Box((), (0.0,), (1.0,)), Discrete(3), (8,)), [0.1, 0.9], [0.1, 0.9]),
        (PolicySpec("", MultiDiscrete((2,), (3, 2), (0, 0)), Discrete(3), (8,)), [[2, 1], [0, 0]], [[2, 1], [0, 0]]),
        (
            PolicySpec("", MultiBinary((2, 2)), Discrete(3), (8,)),
            [[[0, 1], [1, 1]]] * 2,
            np.ones((2, 2, 2)) * [[0, 1], [1, 1]],
        ),
        (
            NAMED,
            [{"place": [0.0, 1.0], "colour": 1}, {"place": [2.0, 3.0], "colour": 0}],
            {"place": [[0.0, 1.0], [2.0, 3.0]], "colour": [1, 0]},
        ),
        (
            PolicySpec("", Composite((Discrete(3), Composite((Discrete(2),), ("deep",)))), Discrete(3), (8,)),
            [(2, {"deep": 1}), (0, {"deep": 0})],
            ([2, 0], {"deep": [1, 0]}),
        ),
        (
            MASKED,
            [{"place": [0.0, 1.0], "action_mask": [0, 1, 0]}, {"place": [2.0, 3.0], "action_mask": [0, 0, 1]}],
            {"place": [[0.0, 1.0], [2.0, 3.0]], "action_mask": [[0, 1, 0], [0, 0, 1]]},
        ),
    ],
)
def test_batch_of_observations_gets_the_action_of_each(spec, singles, batch):
    policy = make_policy(spec)
    actions = policy(batch)
    assert isinstance(actions, np.ndarray)
    np.testing.assert_allclose(actions, [policy(each) for each in singles], rtol=1e-5)
    assert len(actions) == len(singles)


def test_batches_of_actions_of_several_parts_have_the_form_of_vector_environments():
    parts = Composite((Discrete(3, start=1), MultiBinary((2,))), ("which", "on"))
    actions = make_policy(PolicySpec("", Discrete(5), parts, (8,)))([0, 4, 2, 1])
    assert {name: part.shape for name, part in actions.items()} == {"which": (4,), "on": (4, 2)}
    assert set(actions["which"].tolist()) <= {1, 2, 3}


def test_batch_of_one_is_a_batch_and_of_none_has_no_actions():
    policy = make_policy(CATEGORICAL)
    assert policy(np.zeros((1, 4))).shape == (1,)
    assert policy(np.zeros((0, 4))).shape == (0,)
    assert isinstance(policy(np.zeros(4)), int)


def test_drawn_actions_follow_the_probabilities_and_the_generator():
    policy = make_policy(CATEGORICAL)
    views = parameter_views(CATEGORICAL, policy.parameters)
    views["action"][:] = 0.0
    views["action_bias"][:] = np.log([0.2, 0.3, 0.5])
    drawn = policy(np.zeros((20_000, 4)), deterministic=False, rng=np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(drawn, minlength=4)[1:] / len(drawn), [0.2, 0.3, 0.5], atol=0.02)
    first, second = (
        [policy(np.zeros(4), deterministic=False, rng=rng) for _ in range(20)]
        for rng in (np.random.default_rng(7), np.random.default_rng(7))
    )
    assert first == second
    assert set(first) <= {1, 2, 3}
    assert {policy(np.zeros(4), deterministic=False) for _ in range(200)} == {1, 2, 3}


def test_drawn_continuous_actions_stay_inside_the_bounds():
    actions = make_policy(GAUSSIAN)(np.zeros(500, np.int64), deterministic=False, rng=np.random.default_rng(0))
    assert actions.shape == (500, 2, 1)
    assert (np.abs(actions) <= [[1.0], [2.0]]).all()
    assert actions.std() > 0.3


def test_generator_without_anything_to_draw_is_refused():
    with pytest.raises(ValueError, match="rng= draws actions, but the most likely ones are taken: give deterministic"):
        make_policy(CATEGORICAL)(np.zeros(4), rng=np.random.default_rng(0))
    linear = LinearPolicy(PolicySpec("", Discrete(2), Discrete(2), ()))
    with pytest.raises(NotImplementedError, match="a linear policy is deterministic"):
        linear(0, deterministic=False)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"rng": 7, "deterministic": False}, r"rng is a generator, as np.random.default_rng\(7\) makes one: rng=7"),
        ({"rng": 7}, "rng is a generator"),
        ({"deterministic": "no"}, "deterministic is True or False: deterministic='no'"),
    ],
)
def test_arguments_of_drawing_are_checked(arguments, text):
    with pytest.raises(TypeError, match=text):
        make_policy(CATEGORICAL)(np.zeros(4), **arguments)
