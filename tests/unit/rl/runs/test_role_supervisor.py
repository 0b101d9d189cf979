"""The modules that are imported before the roles of a run are forked."""

import subprocess
import sys

import gymnasium
import pytest

from actorrt.rl.runs.role_supervisor import imported_by_roles

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
