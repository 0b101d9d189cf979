"""The loop that feeds the learner, over fake roles: batches, losses, checkpoints, resumption, options of the roles."""

from __future__ import annotations

import logging
import os

import numpy as np
import pytest

import actorrt as art
from actorrt.rl.algorithms.a2c import A2CSettings
from actorrt.rl.evolution.loop import Evolution
from actorrt.rl.foundation import failures
from actorrt.rl.foundation.failures import DEATHS_LIMIT, GroupLostError
from actorrt.rl.policies.weights import Weights
from actorrt.rl.records import checkpoint
from actorrt.rl.roles.evaluator import Evaluator
from actorrt.rl.roles.inference import Inference
from actorrt.rl.roles.learner import Learner
from actorrt.rl.roles.parameters import ParameterServer
from actorrt.rl.roles.simulator import Simulator
from actorrt.rl.rollouts.evaluation import Evaluation
from actorrt.rl.runs.training import STATE_TIMEOUT_S, Learners, Training, TrainingLoop
from tests.unit.rl.fakes import Clock, FakeRef, FakeReply, in_turn, unavailable
from tests.unit.rl.rollouts.test_fragment_collector import fragment
from tests.unit.rl.runs.running import WEIGHTS, FakeSupervisor, make_loop, make_plan


@pytest.fixture(autouse=True)
def monitor(monkeypatch):
    monkeypatch.setattr(art, "monitor", lambda ref: FakeReply())


def rollouts(index):
    numbers = iter(range(100))
    return lambda version, exact=False: fragment(index, next(numbers), version)


class World:
    """The roles of a run of two simulators; a test changes their answers.

    Attributes:
        learner, server, evaluator, simulators: the roles.
    """

    def __init__(self, tmp_path, **more):
        versions = iter(range(1, 100))
        self.learner = FakeRef(
            "learner", update=lambda *_: {"policy_version": next(versions)}, state={"m": 1}, resume=None
        )
        self.server = FakeRef("server", latest=WEIGHTS)
        self.evaluator = FakeRef("evaluator", evaluate=(Evaluation(np.array([5.0])), WEIGHTS))
        self.simulators = [
            FakeRef(f"simulator-{index}", rollout=rollouts(index), state={"life": 1}, resume=True) for index in range(2)
        ]
        learners = FakeRef("learners", child=lambda name: self.learner)
        self.supervisor = FakeSupervisor(
            parameters=self.server,
            learners=learners,
            evaluator=self.evaluator,
            simulator_0=self.simulators[0],
            simulator_1=self.simulators[1],
        )
        self.loop, self.told = make_loop(TrainingLoop, make_plan(**more), self.supervisor, tmp_path)
        self.directory = str(tmp_path)

    async def run(self):
        await self.loop.run(lambda: False)

    def saved(self):
        return checkpoint.load(self.directory)


def calls(role, name):
    return [call[1:] for call in role.calls if call[0] == name]


async def test_learner_is_given_batches_until_the_steps_are_used_up(tmp_path):
    world = World(tmp_path, steps=16)
    await world.run()
    batches = calls(world.learner, "update")
    assert [[each.key for each in batch.fragments] for batch, _ in batches] == [
        [(0, 1, 0), (1, 1, 0)],
        [(0, 1, 1), (1, 1, 1)],
    ]
    assert [steps for _, steps in batches] == [0, 8]
    assert [progress.steps for progress in world.told.progress] == [8, 16]
    assert world.told.events == ["update", "update", "checkpoint", "evaluation", "checkpoint"]


async def test_next_batch_is_of_the_version_that_the_update_published(tmp_path):
    world = World(tmp_path, steps=16)
    await world.run()
    assert calls(world.simulators[0], "rollout") == [(0,), (1,)]
    assert [progress.metrics["policy_version"] for progress in world.told.progress] == [1, 2]


async def test_batch_that_is_lost_with_its_learner_is_not_counted(tmp_path, caplog):
    world = World(tmp_path, steps=8)
    world.learner._answers["update"] = in_turn(unavailable("killed"), {"policy_version": 1})
    with caplog.at_level(logging.WARNING):
        await world.run()
    assert [progress.steps for progress in world.told.progress] == [8]
    assert len(calls(world.learner, "update")) == 2
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("a batch of 8 steps was lost with its learner: killed")


async def test_learner_that_dies_again_and_again_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(failures, "GRACE_S", 0.0)
    world = World(tmp_path, steps=1_000)
    outcomes = in_turn(*lost(DEATHS_LIMIT - 1), {"policy_version": 1}, *lost(DEATHS_LIMIT))
    world.learner._answers["update"] = outcomes
    with pytest.raises(art.ActorDiedError, match="the learner died 6 times in a row: killed") as raised:
        await world.run()
    assert raised.value.reason.kind is art.ExitKind.INTENSITY
    assert [progress.steps for progress in world.told.progress] == [8]


def lost(count):
    return [unavailable("killed")] * count


async def test_batch_that_one_learner_has_lost_is_withdrawn_from_those_that_still_wait_for_it(tmp_path):
    """Else the next incarnation of a learner would wait there for gradients of others, which have not got the batch."""
    world, second = World(tmp_path, steps=8), FakeRef("learner-1")

    async def find_both(training):
        return [world.learner, second]

    def first_learner(*arguments):
        if len(calls(world.learner, "update")) == 1:
            return unavailable("killed")
        second._answers["update"] = {}
        return {"policy_version": 1}

    world.loop._find_learners = find_both
    world.learner._answers["update"] = first_learner
    await world.run()
    assert [reply.is_cancelled for reply in second.open] == [True]
    assert [progress.steps for progress in world.told.progress] == [8]


async def test_error_of_an_update_ends_the_run_without_a_checkpoint(tmp_path):
    world = World(tmp_path)
    world.learner._answers["update"] = ArithmeticError("diverged")
    with pytest.raises(ArithmeticError, match="diverged"):
        await world.run()
    assert world.told.events == []


async def test_error_of_an_environment_ends_the_run_with_a_checkpoint(tmp_path):
    world = World(tmp_path, steps=100)
    world.simulators[1]._answers["rollout"] = in_turn(fragment(1), *[ZeroDivisionError("in step")] * 3)
    world.loop._batches = lambda batches=world.loop._batches: without_pauses(batches())
    with pytest.raises(ZeroDivisionError, match="in step"):
        await world.run()
    assert world.told.events == ["update", "checkpoint"]
    assert world.saved()["record"]["steps"] == 8


async def test_simulator_that_dies_again_and_again_ends_the_run_with_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(failures, "GRACE_S", 0.0)
    world = World(tmp_path, steps=100)
    world.simulators[1]._answers["rollout"] = in_turn(fragment(1), *lost(DEATHS_LIMIT))
    world.loop._batches = lambda batches=world.loop._batches: without_pauses(batches())
    with pytest.raises(art.ActorDiedError, match="simulator 1 died 6 times in a row: killed") as raised:
        await world.run()
    assert raised.value.reason.kind is art.ExitKind.INTENSITY
    assert world.told.events == ["update", "checkpoint"]
    assert world.saved()["record"]["steps"] == 8


async def test_evaluator_that_dies_again_and_again_ends_the_run_with_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(failures, "GRACE_S", 0.0)
    world = World(tmp_path, steps=10_000, settings=A2CSettings(environments=2, horizon=4, evaluate_every=8))
    world.evaluator._answers["evaluate"] = unavailable("killed")
    with pytest.raises(art.ActorDiedError, match="the evaluator died 6 times in a row: killed"):
        await world.run()
    assert world.told.events[-1] == "checkpoint"
    assert world.saved()["record"]["steps"] == world.told.progress[-1].steps


async def test_lost_runtime_ends_the_run_without_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(failures, "GRACE_S", 0.0)
    world = World(tmp_path, steps=100)
    gone = art.ActorDiedError("the node is gone", reason=art.ExitReason(art.ExitKind.NODE_LOST))
    for simulator in world.simulators:
        simulator._answers["rollout"] = gone
    with pytest.raises(art.ActorDiedError, match="the node is gone"):
        await world.run()
    assert world.told.events == []
    assert calls(world.learner, "state") == []


def without_pauses(batches):
    """Let the pauses of a stream pass at once."""
    clock = Clock()
    batches._now, batches._wait = clock, clock.wait
    return batches


async def test_checkpoint_holds_the_state_of_every_role(tmp_path):
    world = World(tmp_path, steps=8)
    world.server._answers["latest"] = Weights(3, np.ones(2, np.float32))
    await world.run()
    saved = world.saved()
    assert sorted(saved) == sorted(
        ("origin", "record", "selection", "weights", "learner", "lives", "simulators", "ahead", "turn")
    )
    assert saved["origin"]["algorithm"] == "A2C"
    assert saved["weights"]["version"] == 3
    assert saved["weights"]["parameters"].tolist() == [1.0, 1.0]
    assert (saved["learner"], saved["lives"], saved["simulators"]) == ({"m": 1}, [1, 1], [{"life": 1}] * 2)
    assert (saved["ahead"], saved["turn"]) == ([], 0)


async def test_simulator_without_a_saved_state_begins_new_episodes_when_the_run_is_resumed(tmp_path):
    world = World(tmp_path, steps=8)
    world.simulators[1]._answers["state"] = unavailable()
    await world.run()
    assert world.saved()["simulators"] == [{"life": 1}, None]
    assert world.saved()["lives"] == [1, 3]  # one life more for each of the two checkpoints


@pytest.mark.parametrize("role", ["learner", "server"])
async def test_checkpoint_without_the_learner_or_the_parameters_is_not_written(tmp_path, caplog, role):
    world = World(tmp_path, steps=8)
    getattr(world, role)._answers["state" if role == "learner" else "latest"] = unavailable("killed")
    with caplog.at_level(logging.WARNING):
        await world.run()
    assert world.told.events == ["update", "evaluation"]
    assert all(record.getMessage().startswith("no checkpoint was made after 8 steps: ") for record in caplog.records)


@pytest.mark.parametrize(
    ("order", "options"), [("deterministic", {"timeout_s": None}), ("completion", {"timeout_s": STATE_TIMEOUT_S})]
)
async def test_states_are_waited_for_without_limit_only_where_they_are_exact(tmp_path, order, options):
    settings = A2CSettings.preset("", environments=2, horizon=4, order=order)
    world = World(tmp_path, steps=8, settings=settings)
    await world.run()
    assert calls(world.simulators[0], "state") == [(options,)] * 2


async def resumed(tmp_path, **answers):
    first = World(tmp_path, steps=8)
    await first.run()
    world = World(tmp_path, steps=16, checkpoint=first.saved(), weights=Weights(1, WEIGHTS.parameters))
    for simulator in world.simulators:
        simulator._answers |= answers
    return world


async def test_resumed_run_gives_every_role_its_state_and_counts_on(tmp_path, caplog):
    world = await resumed(tmp_path)
    with caplog.at_level(logging.WARNING):
        await world.run()
    assert calls(world.learner, "resume") == [({"m": 1}, {"retries": 5})]
    assert [calls(simulator, "resume") for simulator in world.simulators] == [[({"life": 1}, {"retries": 5})]] * 2
    assert [progress.steps for progress in world.told.progress] == [16]
    assert calls(world.simulators[0], "rollout") == [(1,)]
    assert caplog.records == []


@pytest.mark.parametrize("outcome", [False, ZeroDivisionError("in step")])
async def test_resumed_run_tells_that_environments_did_not_replay(tmp_path, caplog, outcome):
    world = await resumed(tmp_path, resume=outcome)
    with caplog.at_level(logging.WARNING):
        await world.run()
    line = "the resumed run is not exactly where it was: some environments began new episodes"
    assert [record.getMessage() for record in caplog.records] == [line]


async def test_role_that_can_not_be_resumed_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(failures, "GRACE_S", 0.0)
    world = await resumed(tmp_path, resume=art.ActorDiedError("stopped"))
    with pytest.raises(art.ActorDiedError):
        await world.run()


# The roles and their options


def children(supervisor_class, **more):
    server = ["run/parameters"] if supervisor_class is Learners else []
    supervisor = supervisor_class(make_plan(**more), *server)
    return {child.id: child for child in supervisor.children()}


def test_run_has_a_parameter_server_learners_simulators_and_an_evaluator():
    roles = children(Training)
    assert {name: child.actor_class for name, child in roles.items()} == {
        "parameters": ParameterServer,
        "learners": Learners,
        "simulator-0": Simulator,
        "simulator-1": Simulator,
        "evaluator": Evaluator,
    }


@pytest.mark.parametrize("supervisor_class", [Training, Evolution])
def test_run_without_evaluations_has_no_evaluator(supervisor_class):
    assert "evaluator" in children(supervisor_class)
    assert "evaluator" not in children(supervisor_class, settings=A2CSettings(evaluate_every=None))


def test_evaluator_has_the_settings_of_evaluations():
    evaluator = children(Training, environment="Own-v0")["evaluator"]
    default = {"deterministic": True, "on_env_error": "truncate"}
    assert (evaluator.args[3:], evaluator.kwargs) == (("Own-v0", None), default)
    more = {"evaluation_deterministic": False, "on_env_error": "fail"}
    settings = A2CSettings(evaluation_env="Other-v0", evaluation_steps=99, **more)
    evaluator = children(Training, settings=settings)["evaluator"]
    expected = {"deterministic": False, "on_env_error": "fail"}
    assert (evaluator.args[3:], evaluator.kwargs) == (("Other-v0", 99), expected)


def test_inference_actor_serves_all_simulators_at_once():
    settings = A2CSettings.preset("", environments=2, horizon=4, inference_actor=True)
    roles = children(Training, settings=settings)
    assert roles["inference"].actor_class is Inference
    assert roles["inference"].options.max_concurrency == 4
    assert roles["simulator-0"].kwargs["inference"] == "run/inference"


@pytest.mark.parametrize(("max_lag", "cpus"), [(0, 0), (4, 1)])
def test_learner_reserves_a_cpu_only_where_it_works_while_simulators_do(max_lag, cpus):
    settings = A2CSettings.preset("", environments=2, horizon=4, max_lag=max_lag)
    (learner,) = children(Learners, settings=settings).values()
    assert learner.actor_class is Learner
    assert learner.options.cpus == cpus


@pytest.mark.parametrize("supervisor_class", [Training, Evolution, Learners])
def test_supervisors_of_a_run_leave_it_to_the_loop_to_give_up(supervisor_class):
    assert supervisor_class.max_restarts is None


def test_learner_that_has_lost_its_group_ends():
    (learner,) = children(Learners).values()
    assert learner.options.crash_on == (GroupLostError,)


def test_several_learners_are_refused_in_local_mode(monkeypatch):
    settings = A2CSettings.preset("", environments=2, horizon=4, learners=2)
    with pytest.raises(
        ValueError, match="several learners need a process each, and local mode has only one process: give learners=1"
    ):
        children(Learners, settings=settings, process_id=os.getpid())
    assert list(children(Learners, settings=settings, process_id=0)) == ["learner-0", "learner-1"]


def test_first_incarnation_of_a_resumed_run_leads_the_last_life_on():
    roles = children(Training, checkpoint={"lives": [3, 1]})
    assert [roles[f"simulator-{index}"].kwargs["lives"] for index in range(2)] == [2, 0]
