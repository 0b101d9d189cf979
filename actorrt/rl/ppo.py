"""Proximal policy optimisation, as users start it.

Settings and presets are in `settings`, the algorithm's mathematics in `ppo_update`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from actorrt.rl.environment import describe
from actorrt.rl.policy import MlpPolicy
from actorrt.rl.progress import Progress
from actorrt.rl.run import Run
from actorrt.rl.settings import settings_for
from actorrt.rl.training import Plan


class PPO:
    """Trains a policy by proximal policy optimisation.

    Args:
        env_id: Gymnasium id of the environment.
        simulators: how many simulators, each a process of its own.
        seed: what all randomness follows from, 0 or larger.
        directory: where results may be written; made when something is. None takes `runs/` and a name of its own.
        native: use the environment's own vector form; worth it from about 12 environments a simulator.
        **settings: fields of `PPOSettings`, instead of the environment's preset.

    Raises:
        ValueError: no such environment or setting, or a value that makes no sense.
    """

    def __init__(
        self,
        env_id: str,
        *,
        simulators: int = 2,
        seed: int = 0,
        directory: str | None = None,
        native: bool = False,
        **settings: Any,
    ) -> None:
        self.settings = settings_for(env_id, **settings)
        if simulators < 1:
            raise ValueError(f"a run has at least one simulator: simulators={simulators}")
        if seed < 0:
            raise ValueError(f"seeds are 0 or larger: seed={seed}")
        self.policy = describe(env_id, self.settings.hidden)
        self.simulators, self.seed, self.native = simulators, seed, native
        self._name = f"ppo-{env_id.replace('/', '-').replace(':', '-')}-{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
        self.directory = directory or os.path.join("runs", self._name)

    def start(
        self,
        steps: int | None = None,
        stop_return: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        keep_going: Callable[[], bool] | None = None,
    ) -> Run:
        """Begin to train in the background.

        Args:
            steps: environment steps at the most; None takes the settings'. Linear schedules end there.
            stop_return: end as soon as a policy reaches this mean return over 20 episodes, and again on 20 others.
            on_progress: called after each update, in the run's thread.
            keep_going: asked after each update once the return is reached; the run goes on while it says yes.

        Raises:
            ValueError: `steps` is less than 1.
        """
        total = self.settings.steps if steps is None else steps
        if total < 1:
            raise ValueError(f"a run has at least 1 step: steps={steps}")
        plan = Plan(
            name=f"{self._name}-{os.urandom(3).hex()}",
            policy=self.policy,
            parameters=MlpPolicy(self.policy).init(self.seed),
            settings=self.settings,
            simulators=self.simulators,
            steps=total,
            seed=self.seed,
            stop_return=stop_return,
            native=self.native,
        )
        return Run(plan, self.directory, on_progress, keep_going).start()
