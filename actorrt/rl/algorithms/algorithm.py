"""The base of algorithms as users see them: checked arguments, `start`, and `resume` from a checkpoint.

Algorithms differ in their settings, and in the loop that feeds the learner.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Never, TypeVar

from actorrt.rl.environments.description import Examined, describe, examine
from actorrt.rl.environments.environment_checks import require_maker
from actorrt.rl.environments.making import EnvMaker, name_of, newest_version, with_kwargs
from actorrt.rl.foundation.checks import plain, require_flag, require_number, require_whole
from actorrt.rl.foundation.extras import require
from actorrt.rl.networks.convolutions import suits_convolutions
from actorrt.rl.networks.network import backend_of
from actorrt.rl.networks.policy_spec import NetworkKind, PolicySpec
from actorrt.rl.policies.factory import initial_parameters
from actorrt.rl.policies.fine_tuning import as_policy, inherited, initial_weights, require_fitting, require_same
from actorrt.rl.policies.policy import FlatPolicy
from actorrt.rl.policies.weights import Weights
from actorrt.rl.records import checkpoint
from actorrt.rl.records.progress import Progress
from actorrt.rl.records.run_directory import RUNS, require_usable
from actorrt.rl.rollouts.evaluation import require_fit
from actorrt.rl.runs import live
from actorrt.rl.runs.callbacks import CallbackLike, Callbacks, EarlyStop
from actorrt.rl.runs.continuation import fitted, require_resumable
from actorrt.rl.runs.explain import Explanation, explain
from actorrt.rl.runs.logs import files_of_the_run
from actorrt.rl.runs.plan import AnyPlan, Plan
from actorrt.rl.runs.run import Run
from actorrt.rl.runs.training import TrainingLoop
from actorrt.rl.settings.actor_critic_settings import ActorCriticSettings
from actorrt.rl.settings.algorithm_settings import AlgorithmSettings, RolloutSettings
from actorrt.rl.spaces.normaliser import Normaliser

logger = logging.getLogger(__name__)

A = TypeVar("A", bound="Algorithm")

KEPT = ("seed", "native", "policy")  # arguments of a new run that a resumed run keeps


class Algorithm:
    """Trains a policy for one environment.

    Args:
        env: Gymnasium id of the environment, or a function that makes it. A function may make a
            `gymnasium.vector.VectorEnv`: each simulator has one, and `environments` is the number of all together.
        simulators: number of simulators, each in a process of its own.
        seed: seed of all randomness, 0 or larger.
        directory: directory for the checkpoint and the best policy, without the files of an earlier run. None means
            `runs/` and the run's name.
        native: whether to use the environment's own vector form, which pays from about 12 environments for each
            simulator on.
        policy: policy to begin with, or the path of its file: the run takes over its parameters, its network and its
            normaliser. None begins with new parameters.
        env_kwargs: arguments of `gymnasium.make` for an id, plain values. The policy and checkpoints keep them.
        **settings: fields of the algorithm's settings, which replace the environment's preset.

    Raises:
        ValueError: there is no such environment or setting, or a value is out of range; or `policy` does not fit.
        FileNotFoundError: there is no file of the policy.
        TypeError: a value has the wrong type, or `env` is an environment instead of a function that makes one.
        MissingPackageError: Gymnasium or torch is needed, and not installed.
    """

    settings_class: ClassVar[type[AlgorithmSettings]]
    loop_class: ClassVar[Callable[..., Any]] = TrainingLoop

    def __init__(
        self,
        env: EnvMaker,
        *misplaced: Never,
        simulators: int = 2,
        seed: int = 0,
        directory: str | os.PathLike[str] | None = None,
        native: bool = False,
        policy: FlatPolicy | str | os.PathLike[str] | None = None,
        env_kwargs: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        if misplaced:
            raise TypeError(_misplaced(type(self).__name__, env, misplaced))
        require_maker(env)
        env = with_kwargs(_with_version(env), env_kwargs)
        self._first = None if policy is None else as_policy(policy, settings.get("network"))
        if self._first is not None:
            known = {field.name for field in dataclasses.fields(self.settings_class)}
            settings = inherited(self._first, settings, known)
        self.settings = self.settings_class.preset(name_of(env), **settings)
        require_whole("simulators", simulators, 1)
        require_whole("seed", seed, 0)
        require_flag("native", native)
        if native and not isinstance(self.settings, RolloutSettings):
            raise ValueError(f"{self.settings.algorithm} plays single environments: leave out native=True")
        examined = examine(env)
        if examined.vector_count is not None:
            native, self.settings = True, self._settings_for_vectors(examined.vector_count, env, simulators, settings)
        self.environment, self.policy = env, self._describe(env, examined)
        if self._first is not None:
            require_same(self._first, self.policy, name_of(env))
        if self.settings.evaluation_env is not None:
            self._require_evaluable(self.settings.evaluation_env)
        self.simulators, self.seed, self.native = plain(simulators), plain(seed), native
        kind, place = self.settings.algorithm.lower(), re.sub(r"[^\w.-]", "-", name_of(env))
        self._name = f"{kind}-{place}-{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
        if directory is not None and not isinstance(directory, str | os.PathLike):
            raise TypeError(f"directory is the path of a directory: directory={directory!r}")
        if directory is not None and not os.fspath(directory):
            raise ValueError("directory is the path of a directory: directory=''; leave it out to write into runs/")
        self.directory = None if directory is None else os.fspath(directory)
        self._checkpoint: dict[str, Any] | None = None
        for caution in self.settings.cautions(simulators):
            logger.warning("%s", caution)

    def _settings_for_vectors(self, count: int, env: EnvMaker, simulators: int, given: Mapping[str, Any]) -> Any:
        """Return the settings for simulators with a vector of `count` environments each.

        Raises:
            ValueError: the algorithm or the evaluations play single environments, or `environments` is another number.
        """
        settings, made = self.settings, f"{name_of(env)} makes a vector of {count} environments"
        if not isinstance(settings, RolloutSettings):
            raise ValueError(f"{made}, and {settings.algorithm} plays single ones: give a function that makes one")
        if given.get("environments", count * simulators) != count * simulators:
            raise ValueError(
                f"environments={given['environments']} does not fit: {made}, for each of {simulators} simulators; "
                "leave it out"
            )
        if settings.evaluate_every is not None and settings.evaluation_env is None:
            raise ValueError(
                f"{made}, and evaluations play single ones: give an id or a function that makes one as "
                "evaluation_env=, or evaluate_every=None"
            )
        return dataclasses.replace(settings, environments=count * simulators)

    def _describe(self, env: EnvMaker, examined: Examined) -> PolicySpec:
        """Return the spec of the policy.

        Raises:
            ValueError: the backend does not support the network.
            MissingPackageError: the network acts or learns in torch, which is not installed.
        """
        settings = self.settings
        shape = {name: getattr(settings, name) for name in ("hidden", "activation", "orthogonal", "log_std")}
        spec = describe(env, examined=examined, **shape)
        network = settings.network
        if network == "auto":
            network = "cnn" if suits_convolutions(spec.observation) else "mlp"
        value_hidden = settings.value_hidden if isinstance(settings, ActorCriticSettings) else None
        spec = dataclasses.replace(spec, network=network, value_hidden=value_hidden, heads=settings.heads)
        settings.require_fitting(spec)
        learns_in_torch = isinstance(settings, RolloutSettings) and backend_of(spec, settings.backend) == "torch"
        if learns_in_torch or network != "mlp":
            require("torch")
        return spec

    def _require_evaluable(self, env: EnvMaker) -> None:
        """Make sure that the policy can act in the environment of evaluations.

        Raises:
            ValueError: it can't, or there is no such environment.
        """
        observation, action, vector_count = examine(env)
        if vector_count is not None:
            raise ValueError(
                f"evaluations play single environments, and evaluation_env={name_of(env)} makes a vector of "
                f"{vector_count}: give a function that makes one"
            )
        require_fit(self.policy, observation, action, f"evaluation_env={name_of(env)}")

    @classmethod
    def resume(
        cls: type[A],
        directory: str | os.PathLike[str],
        *,
        env: EnvMaker | None = None,
        network: NetworkKind | None = None,
        simulators: int | None = None,
        env_kwargs: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> A:
        """Resume a run from its last checkpoint, with the same settings or with others; call `start` to continue it.

        In deterministic order, and with environments that replay, the resumed run equals the uninterrupted run bit for
        bit. An environment that does not replay is logged. With another number of simulators or of environments, the
        simulators begin new episodes; all else continues. ARS and ES do not depend on the number of simulators.

        Args:
            directory: the run's directory.
            env: the function that makes the environment, if the run had one: checkpoints hold no code.
            network: the function that makes the policy's network, if the run had one.
            simulators: number of simulators; None keeps it.
            env_kwargs: arguments of `gymnasium.make` for an id; None keeps them. In another environment, the best
                policy so far is forgotten, since its score was reached in the earlier one.
            **settings: settings to change. The others stay as they were.

        Raises:
            FileNotFoundError: there is no checkpoint in the directory.
            ValueError: the file is not a checkpoint, or is of another algorithm; or a function is missing (`env`,
                `network`, a schedule); or a setting does not exist, is out of range, or can't be changed, such as those
                of the network. `start` raises it if the run's policy does not fit the environment.
            TypeError: a value has the wrong type.
        """
        directory = os.fspath(directory)
        for name in KEPT:
            if name in settings:
                raise ValueError(f"a resumed run keeps its {name}: leave out {name}={settings[name]!r}")
        saved = checkpoint.load(directory)
        origin = saved["origin"]
        settings |= {} if network is None else {"network": network}
        before = cls._settings_of(origin, directory, settings)
        made = env or origin["env_id"]
        if not made:
            raise ValueError(f"a function made the environment of the run in {directory}: give it as env=")
        if env_kwargs is None and made == origin["env_id"]:
            env_kwargs = origin.get("env_kwargs")  # older checkpoints do not have it
        values = {field.name: getattr(before, field.name) for field in dataclasses.fields(before)}
        if origin["native"] and not origin["env_id"]:
            values.pop("environments", None)  # it follows from what the function makes
        algorithm = cls(
            made,
            simulators=origin["simulators"] if simulators is None else simulators,
            seed=origin["seed"],
            directory=directory,
            native=origin["native"],
            env_kwargs=env_kwargs,
            **{**values, **settings},
        )
        require_resumable(before, algorithm.settings)
        algorithm._checkpoint = saved
        return algorithm

    @classmethod
    def _settings_of(cls, origin: dict[str, Any], directory: str, given: Mapping[str, Any]) -> AlgorithmSettings:
        """Return the settings of the run that a checkpoint is of; it holds no functions, so those are the given ones.

        Raises:
            ValueError: the run is of another algorithm, or a function is missing.
        """
        if origin["algorithm"] != cls.settings_class.algorithm:
            raise ValueError(
                f"the run in {directory} is of {origin['algorithm']}, not of {cls.settings_class.algorithm}: "
                f"use rl.{origin['algorithm']}.resume, or actorrt train {origin['algorithm'].lower()} --resume"
            )
        functions = cls.settings_class.functions_of(origin["settings"])
        for name in functions:
            if name not in given:
                raise ValueError(f"a function made the {name} of the run in {directory}: give it as {name}=")
        return cls.settings_class.from_data({**origin["settings"], **{name: given[name] for name in functions}})

    def start(
        self,
        steps: int | None = None,
        stop_return: float | None = None,
        on_progress: Callable[[Progress], Any] | None = None,
        callbacks: Iterable[CallbackLike] = (),
        keep_going: Callable[[], bool] | None = None,
        show: bool | None = None,
    ) -> Run:
        """Begin to train in the background.

        Args:
            steps: largest number of environment steps, including those before a resumption; None takes the settings'
                number. Linear schedules end there.
            stop_return: the run ends when a policy reaches this mean return over `evaluation_episodes` (20 by default),
                and again over as many other episodes.
            on_progress: function called after each update, in the run's thread; plain or async.
            callbacks: `Callback`s, or functions like `on_progress`.
            show: whether to show the run, as a live plot in a notebook or as a line elsewhere. None shows it in
                notebooks and terminals, but not if the output goes to a file.
            keep_going: called after each update once the return is reached; the run continues while it returns True.

        Raises:
            FileNotFoundError: the run is resumed, and its checkpoint is gone.
            ValueError: `steps` is less than 1, or less than the resumed run already has; or there is `stop_return` or
                `EarlyStop`, and nothing is evaluated; or the directory holds an earlier run, or can't be written to,
                or a run is under way in it.
            TypeError: a callback is not callable, or a number is not a number.
        """
        if not isinstance(callbacks, Iterable):
            raise TypeError(f"callbacks is a list, as in callbacks=[rl.EarlyStop()]: callbacks={callbacks!r}")
        if keep_going is not None and not callable(keep_going):
            raise TypeError(f"keep_going is a function: keep_going={keep_going!r}")
        own = list(callbacks)
        if self._checkpoint is not None and self.directory is not None:
            self._checkpoint = checkpoint.load(self.directory)  # another run may have continued from it since
        self.require_startable(steps, stop_return, own)
        plan = self._plan(self.settings.steps if steps is None else plain(steps), plain(stop_return))
        directory = self.directory or os.path.join(RUNS, plan.name)
        view = live.view_to_show(show)
        every: list[CallbackLike] = [*([] if view is None else [view]), *files_of_the_run(own)]
        every += [*([] if on_progress is None else [on_progress]), *own]
        return Run(plan, directory, self.loop_class, lambda run: Callbacks(run, every), keep_going, view).start()

    def _require_no_end_by_evaluations(self, stop_return: float | None, callbacks: Iterable[CallbackLike]) -> None:
        """Make sure that nothing is to end a run which has no evaluations by their results.

        Raises:
            ValueError: `stop_return` or `EarlyStop` would have no effect.
        """
        unmet = {} if stop_return is None else {"stop_return": f"no policy can reach stop_return={stop_return:g}"}
        if any(isinstance(each, EarlyStop) for each in callbacks):
            unmet["EarlyStop"] = "EarlyStop can never end the run"
        for name, what in unmet.items():
            raise ValueError(
                f"evaluate_every=None evaluates nothing, so that {what}: give a number of steps as evaluate_every=, or "
                f"leave out {name}"
            )

    def require_startable(
        self, steps: int | None = None, stop_return: float | None = None, callbacks: Iterable[CallbackLike] = ()
    ) -> None:
        """Make sure that `start` has steps to train and a directory to write to, and can end as told; starts nothing.

        Raises:
            ValueError, TypeError: as from `start`.
        """
        if stop_return is not None:
            require_number("stop_return", stop_return)
        if self.settings.evaluate_every is None:
            self._require_no_end_by_evaluations(stop_return, callbacks)
        total = self.settings.steps if steps is None else steps
        require_whole("steps", total, 1)
        if self._checkpoint is not None and total < self._checkpoint["record"]["steps"]:
            raise ValueError(
                f"the run in {self.directory} has {self._checkpoint['record']['steps']:,} steps already, so that there "
                f"is nothing to train up to steps={total}: give more"
            )
        is_new = self.directory is not None and self._checkpoint is None
        resumption = f"rl.{self.settings.algorithm}.resume({self.directory!r}), or --resume on the command line"
        require_usable(self.directory or RUNS, resumption=resumption if is_new else None)

    def __repr__(self) -> str:
        place = "" if self._checkpoint is None else f", from step {self._checkpoint['record']['steps']:,}"
        many = f"{self.simulators} simulator{'s' if self.simulators > 1 else ''}"
        return f"<{type(self).__name__} on {name_of(self.environment)}: {many}, seed {self.seed}{place}>"

    def explain(self) -> Explanation:
        """Describe a run: effective settings, policy and roles. `print` the text, or let a notebook show it."""
        return explain(self._plan(self.settings.steps))

    def _plan(self, steps: int, stop_return: float | None = None) -> AnyPlan:
        plan: AnyPlan = Plan(
            name=f"{self._name}-{os.urandom(3).hex()}",
            environment=self.environment,
            policy=self.policy,
            weights=self._weights(),
            settings=self.settings,
            simulators=self.simulators,
            steps=steps,
            seed=self.seed,
            stop_return=stop_return,
            native=self.native,
            process_id=os.getpid(),
        )
        saved = self._checkpoint
        return plan if saved is None else dataclasses.replace(plan, checkpoint=fitted(saved, plan))

    def _weights(self) -> Weights:
        """Return the weights to begin with: those of the checkpoint, of the given policy, or new ones."""
        if self._checkpoint is not None:
            weights = Weights.from_data(self._checkpoint["weights"])
            require_fitting(weights, self.policy, name_of(self.environment))
            return weights
        normaliser = Normaliser.nothing(
            self.policy.rows.number_count,
            observations=self.settings.normalise_observations and self.policy.rows.number_count > 0,
            rewards=self.settings.normalise_rewards,
        )
        if self._first is not None:
            return initial_weights(self._first, normaliser)
        return Weights(0, initial_parameters(self.policy, self.seed), normaliser)


def _with_version(env: EnvMaker) -> EnvMaker:
    """Return the environment; an id without a version gets its version, since presets and files name environments."""
    if not isinstance(env, str):
        return env
    env_id = newest_version(env)
    if env_id != env:
        logger.warning("%r names no version: the run is on %s, the newest one, with its preset", env, env_id)
    return env_id


def _misplaced(algorithm: str, env: object, others: Sequence[object]) -> str:
    """Say what to do with arguments that follow the environment; other libraries take a kind of policy before it."""
    if isinstance(env, str) and env.endswith("Policy"):
        return (
            f"rl.{algorithm} takes the environment first, and no {env!r}: the network follows from the observations, "
            f"and from hidden= and network=; write rl.{algorithm}({others[0]!r})"
        )
    return f"rl.{algorithm} takes one argument by position, the environment; give {others[0]!r} by its name"
