"""Algorithms before a run: checked arguments, the plan that `start` makes, and `resume` from a checkpoint."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from actorrt import rl
from actorrt.rl.algorithms import algorithm as module
from actorrt.rl.foundation.extras import MissingPackageError
from actorrt.rl.records import checkpoint
from actorrt.rl.records.run_record import RunRecord
from actorrt.rl.records.selection import Selection
from actorrt.rl.runs import live
from actorrt.rl.runs.logs import CurveFile
from actorrt.rl.settings.algorithm_settings import RolloutSettings
from tests.unit.rl.counting import CountingEnv


class FakeRun:
    """Records the arguments of a run."""

    def __init__(self, plan, directory, loop_class, make_callbacks, keep_going, view):
        self.plan, self.directory, self.loop_class = plan, directory, loop_class
        self.callbacks, self.keep_going, self.view = make_callbacks(self), keep_going, view
        self.is_started = False

    def save_curve(self):
        raise OSError("there is no room")

    def start(self):
        self.is_started = True
        return self


@pytest.fixture(autouse=True)
def no_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "Run", FakeRun)
    monkeypatch.chdir(tmp_path)


def make_env():
    return CountingEnv(3, truncates=False)


def save(directory, algorithm, steps=64):
    """Leave the checkpoint of a run of so many steps."""
    plan = algorithm._plan(steps)
    record = RunRecord(steps=steps)
    tree = {
        "origin": plan.origin(),
        "record": record.state(1.0),
        "selection": Selection(10, None).state(),
        "weights": plan.weights._replace(version=5).to_data(),
    }
    if isinstance(algorithm.settings, RolloutSettings):
        idle = {"simulators": [None] * algorithm.simulators, "lives": [1] * algorithm.simulators}
        tree |= {**idle, "ahead": [], "turn": 0}
    checkpoint.save(str(directory), tree)


def test_plan_holds_all_that_the_run_follows_from():
    run = rl.PPO("CartPole-v1", simulators=3, seed=7, hidden=(8,)).start(steps=500, stop_return=100.0)
    plan = run.plan
    assert run.is_started
    assert plan.name.startswith("ppo-CartPole-v1-7-")
    assert (plan.environment, plan.simulators, plan.seed, plan.steps, plan.stop_return) == (
        "CartPole-v1",
        3,
        7,
        500,
        100.0,
    )
    assert (plan.policy.hidden, plan.policy.network, plan.settings.hidden) == ((8,), "mlp", (8,))
    assert (plan.weights.version, plan.process_id, plan.checkpoint) == (0, os.getpid(), None)
    assert run.directory == os.path.join("runs", plan.name)


def test_two_runs_of_one_algorithm_have_names_of_their_own():
    algorithm = rl.A2C("CartPole-v1", hidden=(4,))
    first, second = algorithm.start(), algorithm.start()
    assert first.plan.name != second.plan.name


def test_steps_are_the_settings_unless_they_are_given():
    assert rl.A2C("CartPole-v1", steps=300).start().plan.steps == 300
    assert rl.A2C("CartPole-v1", steps=300).start(steps=400).plan.steps == 400


def test_one_seed_gives_one_set_of_weights():
    one, same, other = (rl.A2C("CartPole-v1", seed=seed).start().plan.weights.parameters for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_callbacks_are_called_in_order_with_on_progress_first_and_the_runs_progress_set():
    told = []

    class Second(rl.Callback):
        async def on_update(self, run, progress):
            told.append(("second", run.progress))

    def third(progress):
        told.append(("third", progress))

    run = rl.A2C("CartPole-v1").start(
        on_progress=lambda progress: told.append(("first", progress)),
        callbacks=(each for each in (Second(), third)),
        show=False,
    )
    run.rows = [{"steps": 64}]
    progress = SimpleNamespace(row=lambda: run.rows[-1])
    for event, arguments in (("on_update", [progress]), ("on_end", [])):
        asyncio.run(run.callbacks.tell(event, *arguments))
    assert told == [("first", progress), ("second", progress), ("third", progress)]
    assert (run.keep_going, run.view) == (None, None)


def test_run_writes_its_metrics_and_an_unwritable_curve_does_not_end_it(tmp_path, caplog):
    run = rl.A2C("CartPole-v1", directory=tmp_path).start()
    run.rows = [{"steps": 64, "return_mean": 2.5}]
    for event, arguments in (("on_update", [SimpleNamespace(row=lambda: run.rows[-1])]), ("on_end", [])):
        asyncio.run(run.callbacks.tell(event, *arguments))
    assert (tmp_path / "metrics.csv").read_text().splitlines() == ["steps,return_mean", "64,2.5"]
    assert "was not drawn: there is no room" in caplog.text


def test_metrics_are_written_once_and_where_the_user_says_too():
    kinds = [
        [type(each) for each in rl.A2C("CartPole-v1").start(callbacks=own).callbacks._callbacks[1:]]
        for own in ([], [rl.CsvLog()], [rl.CsvLog("mine.csv")])
    ]
    assert kinds == [[rl.CsvLog, CurveFile], [CurveFile, rl.CsvLog], [rl.CsvLog, CurveFile, rl.CsvLog]]


def test_view_is_told_before_the_callbacks_of_users():
    run = rl.A2C("CartPole-v1").start(show=True)
    assert isinstance(run.view, live.TerminalView)
    assert run.callbacks._callbacks[1] is run.view


def test_normaliser_has_the_parts_that_the_settings_ask_for():
    plan = rl.A2C("CartPole-v1", normalise_observations=True, normalise_rewards=False).start().plan
    assert plan.weights.normaliser.observations.count == 0
    assert plan.weights.normaliser.returns is None


def test_function_that_makes_an_environment_is_the_plans_environment():
    run = rl.A2C(make_env).start()
    assert run.plan.environment is make_env
    assert run.plan.policy.env_id == ""


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"simulators": 0}, ValueError, "simulators"),
        ({"simulators": 1.5}, TypeError, "simulators"),
        ({"seed": -1}, ValueError, "seed"),
        ({"native": "yes"}, TypeError, "native"),
        ({"directory": 3}, TypeError, "directory is the path of a directory: directory=3"),
        ({"n_envs": 4}, ValueError, "A2C has no setting 'n_envs'; it is called environments here"),
    ],
)
def test_wrong_argument_is_refused_by_its_name(arguments, error, message):
    with pytest.raises(error, match=message):
        rl.A2C("CartPole-v1", **arguments)


def test_evolution_refuses_vectors_of_environments():
    with pytest.raises(ValueError, match=r"^ES plays single environments: leave out native=True$"):
        rl.ES("CartPole-v1", native=True)


def test_environment_in_place_of_its_maker_is_refused():
    with pytest.raises(TypeError):
        rl.A2C(make_env())


def test_network_that_learns_in_torch_needs_torch(monkeypatch):
    def missing(package):
        raise MissingPackageError(f"{package} is needed", name=package)

    monkeypatch.setattr(module, "require", missing)
    rl.A2C("CartPole-v1")
    with pytest.raises(MissingPackageError, match="torch is needed"):
        rl.A2C("CartPole-v1", backend="torch")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"steps": 0}, ValueError),
        ({"steps": "many"}, TypeError),
        ({"stop_return": "high"}, TypeError),
        ({"keep_going": 3}, TypeError),
    ],
)
def test_start_refuses_wrong_arguments(arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        rl.A2C("CartPole-v1").start(**arguments)


def test_return_to_stop_at_needs_evaluations():
    message = (
        r"^evaluate_every=None evaluates nothing, so that no policy can reach stop_return=475: "
        r"give a number of steps as evaluate_every=, or leave out stop_return$"
    )
    with pytest.raises(ValueError, match=message):
        rl.A2C("CartPole-v1", evaluate_every=None).start(stop_return=475)


def test_early_stop_needs_evaluations():
    message = (
        r"^evaluate_every=None evaluates nothing, so that EarlyStop can never end the run: "
        r"give a number of steps as evaluate_every=, or leave out EarlyStop$"
    )
    with pytest.raises(ValueError, match=message):
        rl.A2C("CartPole-v1", evaluate_every=None).start(callbacks=[rl.EarlyStop()])


def make_cartpole():
    return gymnasium.make("CartPole-v1")


def test_evaluations_have_an_environment_that_the_policy_can_act_in():
    plan = rl.A2C("CartPole-v1", evaluation_env=make_cartpole).start().plan
    assert (plan.environment, plan.evaluation_environment) == ("CartPole-v1", make_cartpole)
    message = "the policy is for CartPole-v1, with .*; evaluation_env=Pendulum-v1 has observations of 3 values"
    with pytest.raises(ValueError, match=message):
        rl.A2C("CartPole-v1", evaluation_env="Pendulum-v1")
    with pytest.raises(TypeError, match="evaluation_env is an environment that was made already"):
        rl.A2C("CartPole-v1", evaluation_env=make_cartpole())


# Resuming


def test_environment_of_evaluations_that_a_function_made_is_asked_for(tmp_path):
    algorithm = rl.A2C("CartPole-v1", evaluation_env=make_cartpole, hidden=(8,))
    save(tmp_path, algorithm)
    with pytest.raises(ValueError, match=r"a function made the evaluation_env of the run in .*: give it as evaluat"):
        rl.A2C.resume(str(tmp_path))
    resumed = rl.A2C.resume(str(tmp_path), evaluation_env=make_cartpole)
    assert resumed.settings.evaluation_env is make_cartpole
    assert algorithm._plan(64).resumption("run", 64) == "rl.A2C.resume('run', evaluation_env=...).start(steps=64)"


def test_resumed_algorithm_has_the_settings_and_the_weights_of_the_run(tmp_path):
    save(tmp_path, rl.PPO("CartPole-v1", simulators=3, seed=7, hidden=(8,), horizon=32))
    algorithm = rl.PPO.resume(str(tmp_path))
    assert repr(algorithm) == "<PPO on CartPole-v1: 3 simulators, seed 7, from step 64>"
    assert (algorithm.settings.hidden, algorithm.settings.horizon) == ((8,), 32)
    run = algorithm.start(steps=100)
    assert run.directory == str(tmp_path)
    assert run.plan.weights.version == 5
    assert run.plan.checkpoint["record"]["steps"] == 64


def test_environment_that_the_policy_of_the_run_does_not_fit_is_refused(tmp_path):
    save(tmp_path, rl.PPO("CartPole-v1", hidden=(8,)))
    refusal = r"^the run's policy has 107 parameters, and one for Acrobot-v1 has 148: its observations or actions are"
    with pytest.raises(ValueError, match=refusal):
        rl.PPO.resume(str(tmp_path), env="Acrobot-v1").start(steps=100)


def test_start_takes_the_checkpoint_that_is_there_by_then(tmp_path):
    original = rl.PPO("CartPole-v1", hidden=(8,))
    save(tmp_path, original)
    algorithm = rl.PPO.resume(str(tmp_path))
    save(tmp_path, original, steps=128)
    assert algorithm.start(steps=200).plan.checkpoint["record"]["steps"] == 128


def test_resumption_to_fewer_steps_than_there_are_is_refused(tmp_path):
    save(tmp_path, rl.PPO("CartPole-v1", hidden=(8,)), steps=2_000)
    with pytest.raises(ValueError, match=r"has 2,000 steps already, so that there is nothing to train up to steps=500"):
        rl.PPO.resume(str(tmp_path)).start(steps=500)


def test_checkpoint_of_another_algorithm_is_refused(tmp_path):
    save(tmp_path, rl.PPO("CartPole-v1", hidden=(8,)))
    with pytest.raises(ValueError, match=r"is of PPO, not of A2C: use rl\.PPO\.resume, or actorrt train ppo --resume$"):
        rl.A2C.resume(str(tmp_path))


def test_environment_that_a_function_made_is_asked_for(tmp_path):
    save(tmp_path, rl.A2C(make_env, hidden=(8,)))
    with pytest.raises(ValueError, match=r"a function made the environment of the run in .*: give it as env=$"):
        rl.A2C.resume(str(tmp_path))
    assert rl.A2C.resume(str(tmp_path), env=make_env).environment is make_env


def test_arguments_of_the_environment_are_kept_and_may_change(tmp_path):
    original = rl.A2C("CartPole-v1", hidden=(8,), env_kwargs={"max_episode_steps": 50})
    assert original.policy.env_kwargs == {"max_episode_steps": 50}
    assert original.settings.horizon == rl.A2C("CartPole-v1").settings.horizon  # the preset is that of the id
    save(tmp_path, original)
    kept = rl.A2C.resume(str(tmp_path))
    assert kept.environment == original.environment
    assert "CartPole-v1 with max_episode_steps=50" in kept.explain()
    changed = rl.A2C.resume(str(tmp_path), env_kwargs={"max_episode_steps": 60})
    assert changed.policy.env_kwargs == {"max_episode_steps": 60}
    assert rl.A2C.resume(str(tmp_path), env_kwargs={}).environment == "CartPole-v1"


def three_counters():
    return SyncVectorEnv([make_env] * 3)


def test_function_that_makes_a_vector_decides_the_number_of_environments(tmp_path):
    algorithm = rl.A2C(three_counters, simulators=2, hidden=(8,), evaluation_env=make_env)
    assert (algorithm.settings.environments, algorithm.native) == (6, True)
    assert algorithm.policy == rl.A2C(make_env, hidden=(8,)).policy
    assert rl.A2C(three_counters, simulators=2, environments=6, evaluate_every=None).settings.environments == 6
    save(tmp_path, algorithm)
    more = rl.A2C.resume(str(tmp_path), env=three_counters, simulators=3, evaluation_env=make_env)
    assert (more.settings.environments, more._plan(64).environment_counts) == (9, (3, 3, 3))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (rl.ARS, {}, "three_counters makes a vector of 3 environments, and ARS plays single ones"),
        (
            rl.A2C,
            {"environments": 8},
            "environments=8 does not fit: three_counters makes a vector of 3 environments, for each",
        ),
        (
            rl.A2C,
            {},
            "evaluations play single ones: give an id or a function that makes one as evaluation_env=, or evalu",
        ),
        (
            rl.A2C,
            {"evaluation_env": three_counters},
            "evaluation_env=three_counters makes a vector of 3: give a function",
        ),
    ],
)
def test_vectors_that_do_not_fit_are_refused(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(three_counters, **settings)


def test_network_of_a_users_own_is_asked_for(tmp_path):
    pytest.importorskip("torch")

    def network(spec):
        raise AssertionError("nothing is made before the run starts")

    algorithm = rl.A2C("CartPole-v1", hidden=(8,))
    plan = algorithm._plan(64)
    origin = plan.origin()
    origin["settings"] = {**origin["settings"], "network": None}
    checkpoint.save(str(tmp_path), {"origin": origin, "record": {"steps": 64}, "weights": np.zeros(1)})
    with pytest.raises(ValueError, match=r"a function made the network of the run in .*: give it as network=$"):
        rl.A2C.resume(str(tmp_path))
    assert rl.A2C.resume(str(tmp_path), network=network).policy.network is network


def test_schedule_that_is_a_function_is_asked_for(tmp_path):
    def square(share):
        return share * share

    save(tmp_path, rl.PPO("CartPole-v1", hidden=(8,), learning_rate_schedule=square))
    with pytest.raises(ValueError, match=r"a function made the learning_rate_schedule of the run in .*: give it"):
        rl.PPO.resume(str(tmp_path))
    resumed = rl.PPO.resume(str(tmp_path), learning_rate_schedule=square).start(steps=100)
    assert resumed.plan.settings.learning_rate_schedule is square
    assert ", learning_rate_schedule=...)" in resumed.plan.resumption("runs/1", 64)


@pytest.mark.parametrize(("name", "value"), [("value_hidden", (8,)), ("optimiser", "sgd")])
def test_setting_that_the_checkpoint_depends_on_is_kept(name, value, tmp_path):
    save(tmp_path, rl.PPO("CartPole-v1", hidden=(8,)))
    with pytest.raises(ValueError, match=f"a resumed run keeps {name}="):
        rl.PPO.resume(str(tmp_path), **{name: value})


def test_cautions_are_logged_where_the_settings_are_given(caplog):
    rl.PPO("CartPole-v1", max_lag=20, environments=1)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "environments=1 is less than simulators=2" in caplog.text
    assert "max_lag=20: PPO has no correction for policies that are up to 20 versions old; rl.APPO" in caplog.text
    caplog.clear()
    rl.APPO("CartPole-v1", max_lag=20)
    assert not caplog.records


def test_explanation_has_every_number_of_environments():
    text = rl.PPO("CartPole-v1", simulators=3).explain()
    assert "3 or 2 environments each, fragments of 32 x 3 = 96 or 32 x 2 = 64 steps" in text
    assert "at least 256 steps" in text


def test_value_hidden_shapes_the_policy():
    algorithm = rl.PPO("CartPole-v1", hidden=(8,), value_hidden=(16, 16))
    assert (algorithm.policy.hidden, algorithm.policy.value_hidden) == ((8,), (16, 16))
    assert "hidden layers of 8 units, for values of 16 and 16 units" in algorithm.explain()


def test_directory_without_a_checkpoint_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint in"):
        rl.A2C.resume(str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("MlpPolicy", "CartPole-v1"), r"takes the environment first, .* write rl.PPO\('CartPole-v1'\)"),
        (("CartPole-v1", 4), "takes one argument by position, the environment; give 4 by its name"),
    ],
)
def test_arguments_beside_the_environment_are_given_by_name(arguments, match):
    with pytest.raises(TypeError, match=match):
        rl.PPO(*arguments)


@pytest.mark.parametrize(
    ("given", "match"), [({"episodes": "3"}, "episodes is a whole number"), ({"seed": -1}, "seed")]
)
def test_evaluation_refuses_counts_that_mean_nothing(given, match):
    with pytest.raises((TypeError, ValueError), match=match):
        rl.evaluate(None, "CartPole-v1", **given)
