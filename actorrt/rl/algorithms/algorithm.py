"""What users hold of an algorithm before it runs: checked arguments, `start`, and `resume` from a checkpoint.

What tells algorithms apart is in their settings, and in the loop that feeds the learner.
"""

from __future__ import annotations

import dataclasses
import os
import re
import time
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

from actorrt.rl.foundation.checks import require_flag, require_number, require_whole
from actorrt.rl.foundation.extras import require
from actorrt.rl.networks.network import backend_of
from actorrt.rl.networks.policy_spec import NetworkKind, PolicySpec
from actorrt.rl.policies.factory import make_policy
from actorrt.rl.policies.weights import Weights
from actorrt.rl.records import checkpoint
from actorrt.rl.records.progress import Progress
from actorrt.rl.records.run_directory import RUNS, require_usable
from actorrt.rl.rollouts.environment import EnvMaker, describe, name_of
from actorrt.rl.rollouts.environment_checks import require_maker
from actorrt.rl.runs.callbacks import CallbackLike
from actorrt.rl.runs.explain import Explanation, explain
from actorrt.rl.runs.plan import Plan
from actorrt.rl.runs.run import Run
from actorrt.rl.runs.training import TrainingLoop
from actorrt.rl.settings.algorithm_settings import AlgorithmSettings, RolloutSettings
from actorrt.rl.spaces.normaliser import Normaliser
from actorrt.rl.spaces.spaces import is_image

A = TypeVar("A", bound="Algorithm")


class Algorithm:
    """Trains a policy for one environment.

    Args:
        env: Gymnasium id of the environment, or a function that makes it.
        simulators: how many simulators, each a process of its own.
        seed: what all randomness follows from, 0 or larger.
        directory: where a run leaves its checkpoint and best policy; not one that holds an earlier run's. None takes
            `runs/` and the run's name.
        native: use the environment's own vector form; worth it from about 12 environments a simulator.
        **settings: fields of the algorithm's settings, instead of the environment's preset.

    Raises:
        ValueError: no such environment or setting, or a value that makes no sense.
        TypeError: a value of the wrong kind, or an environment in the place of what makes one.
        MissingPackageError: Gymnasium or torch is needed, and not installed.
    """

    settings_class: ClassVar[type[AlgorithmSettings]]
    loop_class: ClassVar[Callable[..., Any]] = TrainingLoop

    def __init__(
        self,
        env: EnvMaker,
        *,
        simulators: int = 2,
        seed: int = 0,
        directory: str | os.PathLike[str] | None = None,
        native: bool = False,
        **settings: Any,
    ) -> None:
        require_maker(env)
        self.settings: Any = self.settings_class.preset(name_of(env), **settings)
        require_whole("simulators", simulators, 1)
        require_whole("seed", seed, 0)
        require_flag("native", native)
        self.environment, self.policy = env, self._describe(env)
        self.simulators, self.seed, self.native = simulators, seed, native
        kind, place = self.settings.algorithm.lower(), re.sub(r"[^\w.-]", "-", name_of(env))
        self._name = f"{kind}-{place}-{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
        self.directory = None if directory is None else os.fspath(directory)
        self._checkpoint: dict[str, Any] | None = None

    def _describe(self, env: EnvMaker) -> PolicySpec:
        """Say what the policy looks like.

        Raises:
            ValueError: the observations are pixels, and are to be normalised: networks scale them themselves. Or the
                network is not for the backend that is asked for.
            MissingPackageError: it learns in torch, which is not installed.
        """
        settings = self.settings
        shape = {name: getattr(settings, name) for name in ("hidden", "activation", "orthogonal", "log_std")}
        spec = describe(env, **shape)
        network = settings.network
        if network == "auto":
            network = "cnn" if is_image(spec.observation) else "mlp"
        if network != "mlp" and is_image(spec.observation) and settings.normalise_observations:
            raise ValueError("normalise_observations: networks for images scale pixels themselves")
        spec = dataclasses.replace(spec, network=network)
        if isinstance(settings, RolloutSettings) and backend_of(spec, settings.backend) == "torch":
            require("torch")
        return spec

    @classmethod
    def resume(cls: type[A], directory: str, *, env: EnvMaker | None = None, network: NetworkKind | None = None) -> A:
        """Take a run up again where its last checkpoint is; `start` goes on from there.

        Without lag, and with environments that replay, the resumed run equals one that was not interrupted, bit
        for bit; of an environment that does not replay, that is logged.

        Args:
            directory: the run's.
            env: the function that makes the environment, where one does: checkpoints hold no code.
            network: the function that makes the policy's network, likewise.

        Raises:
            FileNotFoundError: there is no checkpoint in it.
            ValueError: what is there is no checkpoint, or one of another algorithm; or `env` or `network` is missing.
        """
        saved = checkpoint.load(directory)
        origin = saved["origin"]
        if origin["algorithm"] != cls.settings_class.algorithm:
            raise ValueError(
                f"the run in {directory} is of {origin['algorithm']}, not of {cls.settings_class.algorithm}: "
                f"use rl.{origin['algorithm']}.resume, or actorrt train {origin['algorithm'].lower()} --resume"
            )
        made = env or origin["env_id"]
        if not made:
            raise ValueError(f"a function made the environment of the run in {directory}: give it as env=")
        data = origin["settings"] | ({} if network is None else {"network": network})
        if data["network"] is None:
            raise ValueError(f"the network of the run in {directory} is its user's own: give what makes it as network=")
        settings = cls.settings_class.from_data(data)
        algorithm = cls(
            made,
            simulators=origin["simulators"],
            seed=origin["seed"],
            directory=directory,
            native=origin["native"],
            **{field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)},
        )
        algorithm._checkpoint = saved
        return algorithm

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
            steps: environment steps at the most, those before a resumption included; None takes the settings'.
                Linear schedules end there.
            stop_return: end as soon as a policy reaches this mean return over `evaluation_episodes`, 20 where they are
                not set, and again on as many others.
            on_progress: called after each update, in the run's thread; plain or async.
            callbacks: `Callback`s, or functions like `on_progress`: early stop, logs, what you will.
            show: whether to show the run: as a live plot in a notebook, as a line elsewhere. None shows it in
                notebooks and terminals, and not where the output goes to a file.
            keep_going: asked after each update once the return is reached; the run goes on while it says yes.

        Raises:
            FileNotFoundError: the run is resumed, and its checkpoint is gone.
            ValueError: `steps` is less than 1, or than what the resumed run has already; or the directory holds an
                earlier run, or can't be written to.
            TypeError: what is no callback is given as one, or what is no number.
        """
        if stop_return is not None:
            require_number("stop_return", stop_return)
        if self._checkpoint is not None and self.directory is not None:
            self._checkpoint = checkpoint.load(self.directory)  # another start may have gone on from it since
        self.require_startable(steps)
        plan = self._plan(self.settings.steps if steps is None else steps, stop_return)
        directory = self.directory or os.path.join(RUNS, plan.name)
        hearers = [*([] if on_progress is None else [on_progress]), *callbacks]
        return Run(plan, directory, self.loop_class, hearers, keep_going, show).start()

    def require_startable(self, steps: int | None = None) -> None:
        """Make sure that `start(steps)` has something to do, and a place for what comes of it; starts nothing.

        Raises:
            ValueError: as from `start`.
        """
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
        """Say what a run would do: effective settings, policy, roles. `print` it, or let a notebook show it."""
        return explain(self._plan(self.settings.steps))

    def _plan(self, steps: int, stop_return: float | None = None) -> Plan:
        return Plan(
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
            checkpoint=self._checkpoint,
        )

    def _weights(self) -> Weights:
        """Return what the policy begins with: the checkpoint's, or fresh ones."""
        if self._checkpoint is not None:
            return Weights.from_data(self._checkpoint["weights"])
        normaliser = Normaliser.nothing(
            self.policy.input_count,
            observations=self.settings.normalise_observations,
            rewards=self.settings.normalise_rewards,
        )
        return Weights(0, make_policy(self.policy).init(self.seed), normaliser)
