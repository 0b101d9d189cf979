"""A simulator over counting environments and a fake parameter server: parameters, fragments, states, errors."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest

from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.factory import make_policy
from actorrt.rl.policies.weights import Weights
from actorrt.rl.roles.simulator import Simulator
from actorrt.rl.spaces.array_spaces import Box, Discrete
from actorrt.rl.spaces.normaliser import Moments, Normaliser
from tests.unit.rl.counting import CountingEnv
from tests.unit.rl.fakes import FakeRef

SPEC = PolicySpec("", Box((1,), (0.0,), (1e6,)), Discrete(2), (4,))
PARAMETERS = make_policy(SPEC).init(0)


def weights(version):
    return Weights(version, PARAMETERS)


class Server(FakeRef):
    """A parameter server whose newest version a test sets."""

    def __init__(self, newest=0):
        self.newest = newest
        super().__init__(
            "server", subscribe=3, latest=lambda: weights(self.newest), weights=weights, normaliser=lambda: None
        )


def make_env():
    return CountingEnv(3, truncates=False)


async def started(server=None, *, env=make_env, incarnation=1, **arguments):
    arguments = {"envs": 2, "horizon": 4, "seed": 5, "index": 0, "policy": SPEC, **arguments}
    simulator = Simulator(env, server or Server(), **arguments)
    simulator.context = SimpleNamespace(incarnation=incarnation, ref=FakeRef("simulator"))
    await simulator.on_start()
    return simulator


def names(server):
    return [call[0] for call in server.calls]


async def test_fragment_has_its_shape_version_and_source():
    simulator = await started(Server(newest=2), index=6, incarnation=3)
    first, second = await simulator.rollout(), await simulator.rollout()
    assert [each.key for each in (first, second)] == [(6, 3, 0), (6, 3, 1)]
    assert [each.policy_version for each in (first, second)] == [2, 2]
    assert first.obs[:, :, 0].tolist() == [[0, 0], [1, 1], [2, 2], [0, 0]]
    assert first.terminated.tolist() == [[False] * 2, [False] * 2, [True] * 2, [False] * 2]
    assert second.obs[:, :, 0].tolist() == [[1, 1], [2, 2], [0, 0], [1, 1]]
    assert first.process_id == os.getpid()


async def test_simulator_without_an_index_takes_its_number_from_the_parameter_server():
    simulator = await started(index=None)
    assert (await simulator.rollout()).simulator == 3


async def test_newest_parameters_are_asked_for_when_they_have_not_come():
    server = Server(newest=1)
    simulator = await started(server)
    server.newest = 4
    assert (await simulator.rollout(1)).policy_version == 1
    assert names(server) == ["subscribe", "latest"]
    assert (await simulator.rollout(3)).policy_version == 4
    assert names(server)[2:] == ["subscribe", "latest"]


async def test_parameters_that_were_handed_over_are_acted_with():
    simulator = await started()
    simulator.renew(*weights(7))
    assert (await simulator.rollout(2)).policy_version == 7


async def test_exact_version_is_one_of_the_last_or_asked_for():
    server = Server()
    simulator = await started(server)
    for version in (1, 2, 3):
        simulator.renew(*weights(version))
    assert (await simulator.rollout(1, exact=True)).policy_version == 1
    assert names(server) == ["subscribe", "latest"]
    assert (await simulator.rollout(0, exact=True)).policy_version == 0
    assert server.calls[-1] == ("weights", 0)


async def test_another_simulator_resumes_exactly_where_one_was():
    first = await started()
    await first.rollout()
    second = await started(lives=4)
    assert second.resume(first.state())
    one, other = await first.rollout(), await second.rollout()
    for name in ("obs", "action", "reward", "terminated", "logp"):
        assert (getattr(one, name) == getattr(other, name)).all(), name


async def test_fragment_ends_after_its_time_with_at_least_one_step():
    simulator = await started(horizon_s=1e-9)
    assert [(await simulator.rollout()).obs[:, 0, 0].tolist() for _ in range(4)] == [[0], [1], [2], [0]]
    patient = await started(horizon_s=600.0)
    assert (await patient.rollout()).obs[:, 0, 0].tolist() == [0, 1, 2, 0]


async def test_lives_count_incarnations_beyond_those_of_the_interrupted_run():
    simulator = await started(lives=4, incarnation=2)
    assert simulator.state()["life"] == 6


class Breaking(CountingEnv):
    """Raises in its fifth step."""

    steps = 0

    def __init__(self):
        super().__init__(9, truncates=False)

    def step(self, action):
        self.steps += 1
        if self.steps == 5:
            raise ZeroDivisionError("in step")
        return super().step(action)


async def test_error_of_an_environment_says_which_and_ends_the_incarnation():
    simulator = await started(env=Breaking, on_env_error="fail")
    await simulator.rollout()
    with pytest.raises(ZeroDivisionError) as raised:
        await simulator.rollout()
    (note,) = raised.value.__notes__
    assert note.startswith("simulator 0, incarnation 1, environment 0, ")
    assert simulator.context.ref.calls == [("fail.tell", "ZeroDivisionError: in step")]


def unmade():
    raise FileNotFoundError("no such map")


async def test_restarted_simulator_whose_environments_can_not_be_made_says_so_when_asked():
    simulator = await started(env=unmade, incarnation=2)
    with pytest.raises(FileNotFoundError) as raised:
        await simulator.rollout()
    assert raised.value.__notes__ == ["simulator 0, incarnation 2, making its environments"]
    await simulator.on_stop(None)


async def test_simulator_that_another_actor_acts_for_holds_its_version_and_normaliser():
    normaliser = Normaliser(Moments.of(np.ones((2, 1))))
    versions = iter((4, 3, 5, 4, 6))
    zeros = np.zeros(2, np.float32)
    inference = FakeRef(act=lambda features, at_least: (np.zeros(2, np.int64), zeros, zeros, next(versions)))
    server = FakeRef("server", normaliser=normaliser)
    simulator = await started(server, inference=inference)
    fragment = await simulator.rollout(3)
    assert fragment.policy_version == 3  # the oldest that acted
    assert [call[2] for call in inference.calls] == [3] * 5
    assert names(server) == ["normaliser"]


@pytest.mark.parametrize(("share", "steps"), [(0.5, 2), (4 / 3, 6), (2.0, 8)])
async def test_fragment_may_be_a_share_of_the_horizon_long(share, steps):
    simulator = await started()
    assert len((await simulator.rollout(share=share)).reward) == steps
    assert len((await simulator.rollout()).reward) == 4


def test_horizon_of_no_time_is_refused():
    with pytest.raises(ValueError, match="horizon_s is larger than 0: horizon_s=0"):
        Simulator(make_env, Server(), horizon_s=0)


@pytest.mark.parametrize("arguments", [{"envs": 0}, {"horizon": 0}])
def test_simulator_with_nothing_to_do_is_refused(arguments):
    with pytest.raises(ValueError, match="a simulator steps at least 1 environment for 1 step"):
        Simulator(make_env, Server(), **arguments)
