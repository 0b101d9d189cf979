"""The modules that are imported before the roles of a run are forked."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from actorrt.rl.algorithms.a2c import A2CSettings
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.runs.role_supervisor import WITH_TORCH, imported_by_roles
from actorrt.rl.runs.training import THREADS_LIMIT, Training
from actorrt.rl.spaces.array_spaces import Box, Discrete
from tests.unit.rl.runs.running import make_plan

LIBRARY = ["actorrt.rl", "actorrt.rl.rollouts.sampler", "gymnasium"]


@pytest.mark.parametrize(
    ("env", "more"),
    [
        ("CartPole-v1", ["gymnasium.envs.classic_control.cartpole"]),
        ("HalfCheetah-v5", ["gymnasium.envs.mujoco.half_cheetah_v5"]),
        ("CartPole", []),
        ("module_of_a_user:Environment-v0", []),
        (lambda: gymnasium.make("CartPole-v1"), []),
    ],
)
def test_gymnasium_and_its_own_environment(env, more):
    assert imported_by_roles(env) == LIBRARY + more


def test_modules_of_other_environments_are_not_preloaded():
    gymnasium.register("Foreign-v0", "module_of_a_user:Environment")
    try:
        assert imported_by_roles("Foreign-v0") == LIBRARY
    finally:
        del gymnasium.registry["Foreign-v0"]


def test_nothing_is_imported_to_find_out():
    program = """
import sys
from actorrt.rl.runs.role_supervisor import imported_by_roles
print(imported_by_roles("CartPole-v1"), "gymnasium" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "['actorrt.rl', 'actorrt.rl.rollouts.sampler'] False\n"


def preloads_of(plan):
    """Return what each role is forked with, by its id."""
    children = list(Training(plan).children())
    learners = next(child for child in children if child.id == "learners")
    every = [*children, *learners.actor_class(*learners.args).children()]
    return {child.id: child.options.preload for child in every if child.id != "learners"}


def test_roles_that_act_or_learn_in_torch_are_forked_with_it_and_no_others():
    image = Box((8, 8, 1), (0.0,) * 64, (255.0,) * 64, "uint8")
    spec = PolicySpec("", image, Discrete(2), (4,), network="cnn")
    roles = ("parameters", "simulator-0", "simulator-1", "evaluator", "learner-0")
    assert preloads_of(make_plan(policy=spec)) == {role: () if role == "parameters" else WITH_TORCH for role in roles}
    assert preloads_of(make_plan()) == dict.fromkeys(roles, ())


def test_only_the_learner_is_forked_with_torch_if_only_it_needs_torch():
    settings = A2CSettings.preset("", environments=2, horizon=4, backend="torch")
    assert {role for role, modules in preloads_of(make_plan(settings=settings)).items() if modules} == {"learner-0"}


def test_simulators_are_forked_without_torch_if_another_role_acts_for_them():
    settings = A2CSettings.preset("", environments=2, horizon=4, inference_actor=True)
    spec = PolicySpec("", Box((8, 8, 1), (0.0,) * 64, (255.0,) * 64, "uint8"), Discrete(2), (4,), network="cnn")
    preloads = preloads_of(make_plan(settings=settings, policy=spec))
    assert {role for role, modules in preloads.items() if modules} == {"learner-0", "inference", "evaluator"}


def threads_of(monkeypatch, shape, cpus=4, **settings):
    """Return the number of threads that each learner gets on a machine with so many CPUs."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cpus)))
    count = int(np.prod(shape))
    image = Box(shape, (0.0,) * count, (255.0,) * count, "uint8")
    made = A2CSettings.preset("", environments=2, horizon=4, **settings)
    plan = make_plan(policy=PolicySpec("", image, Discrete(2), (4,), network="cnn"), settings=made)
    learners = next(child for child in Training(plan).children() if child.id == "learners")
    return [child.kwargs["threads"] for child in learners.actor_class(*learners.args).children()]


def test_learner_from_large_images_has_a_thread_for_each_cpu_while_no_simulator_works(monkeypatch):
    assert threads_of(monkeypatch, (84, 84, 4)) == [4]
    assert threads_of(monkeypatch, (84, 84, 4), cpus=64) == [THREADS_LIMIT]
    assert threads_of(monkeypatch, (84, 84, 4), learners=2) == [2, 2]
    assert threads_of(monkeypatch, (12, 12, 3)) == [1]
    assert threads_of(monkeypatch, (84, 84, 4), max_lag=1) == [1]


def test_learner_of_a_small_network_has_one_thread(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})
    learners = next(child for child in Training(make_plan()).children() if child.id == "learners")
    assert [child.kwargs["threads"] for child in learners.actor_class(*learners.args).children()] == [1]
