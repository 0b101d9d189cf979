"""One training run: its roles under one supervisor, and the loop that feeds the learner.

The loop is ordinary code over `stream`; what it decides about evaluations is in `selection`. Who starts it, and
what users hold meanwhile, is in `run`.
"""

from __future__ import annotations

import collections
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import actorrt as art
from actorrt.rl.evaluator import Evaluator
from actorrt.rl.intake import RAISES_LIMIT
from actorrt.rl.learner import Learner
from actorrt.rl.parameters import ParameterServer
from actorrt.rl.policy import PolicySpec
from actorrt.rl.progress import Progress
from actorrt.rl.selection import Selection
from actorrt.rl.settings import PPOSettings
from actorrt.rl.simulator import Simulator
from actorrt.rl.spaces import Array
from actorrt.rl.stream import Stream, stream
from actorrt.rl.trajectory import Batch

logger = logging.getLogger(__name__)

RETURN_WINDOW_EPISODES = 100
RATE_WINDOW_S = 3.0


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that a run follows from.

    Attributes:
        name: unique among the runs of a namespace; it begins the names of the run's actors.
        policy: what the policy looks like; it names the environment.
        parameters: the flat vector to begin with.
        settings: of the algorithm.
        simulators: how many.
        steps: where the run ends at the latest.
        seed: what all its randomness follows from.
        stop_return: where it ends early, or None.
        native: whether simulators use the environment's own vector form.
    """

    name: str
    policy: PolicySpec
    parameters: Array
    settings: PPOSettings
    simulators: int
    steps: int
    seed: int
    stop_return: float | None = None
    native: bool = False

    @property
    def environments_each(self) -> int:
        """Environments of each simulator."""
        return -(-self.settings.environments // self.simulators)


class Training(art.Supervisor):
    """Supervises the roles of one run.

    A simulator that dies is replaced within the run; so are the others, but a learner's replacement goes on from
    the published parameters without the optimiser's state.
    """

    strategy = "one_for_one"
    max_restarts, period_s = 30, 30

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def children(self) -> Iterator[art.Child]:
        """Yield the roles, the learner early since importing torch takes longest."""
        plan = self._plan
        server = f"{plan.name}/parameters"
        yield art.Child(ParameterServer, plan.parameters, id="parameters", name=server)
        yield art.Child(
            Learner, plan.settings, plan.policy, server, plan.steps, plan.seed, id="learner", **self._room()
        )
        for index in range(plan.simulators):
            yield art.Child(
                Simulator,
                plan.policy.env_id,
                server,
                envs=plan.environments_each,
                horizon=plan.settings.horizon,
                seed=plan.seed,
                index=index,
                policy=plan.policy,
                native=plan.native,
                id=f"simulator-{index}",
                cpus=1,
            )
        yield art.Child(Evaluator, plan.policy, server, plan.seed, id="evaluator", isolation="process")

    def _room(self) -> dict[str, Any]:
        """Return the learner's options: a process of its own, and a CPU where it works while simulators do.

        Without lag they take turns on the CPUs that the simulators reserve. One more for the learner would be idle
        while they work, would be missing on a small node, and would warn of a shortage that there is not.
        """
        return {"isolation": "process"} if self._plan.settings.max_lag == 0 else {"cpus": 1}


@dataclass
class Record:
    """What is known of a run so far.

    Attributes:
        rows: one dictionary for each update.
        evaluations: steps and mean return of each evaluation.
        episode_returns: of the training episodes that ended last.
        steps: transitions learnt from.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[tuple[int, float]] = field(default_factory=list)
    episode_returns: collections.deque[float] = field(
        default_factory=lambda: collections.deque(maxlen=RETURN_WINDOW_EPISODES)
    )
    steps: int = 0

    @property
    def return_mean(self) -> float:
        returns = self.episode_returns
        return sum(returns) / len(returns) if returns else math.nan


class TrainingLoop:
    """Feeds the learner until the steps are used up or it is told to end.

    Args:
        plan: what to do.
        record: where what happens is written; belongs to whoever reads it.
        selection: decides on evaluations and keeps the best policy.
        on_progress: called after each update, in the loop's thread.
    """

    def __init__(
        self, plan: Plan, record: Record, selection: Selection, on_progress: Callable[[Progress], None]
    ) -> None:
        self._plan, self._record, self._selection = plan, record, selection
        self._on_progress = on_progress
        self._evaluation: tuple[int, Any, Array | None] | None = None
        self._failed_evaluations = 0

    async def run(self, should_end: Callable[[], bool]) -> None:
        """Train; afterwards every actor of the run is gone.

        Args:
            should_end: asked after each update.

        Raises:
            ActorRtError: the run's actors could not be started, or failed for good.
            Exception: what an environment or the update rule raised.
        """
        self._should_end = should_end
        self._began_at = time.monotonic()
        self._rate: collections.deque[tuple[float, int]] = collections.deque([(self._began_at, 0)])
        training = await Training.spawn(self._plan)
        try:
            await self._train(training)
        finally:
            await training.stop()

    async def _train(self, training: Any) -> None:
        plan = self._plan
        self._learner = await training.child("learner")
        self._evaluator = await training.child("evaluator")
        simulators = [await training.child(f"simulator-{index}") for index in range(plan.simulators)]
        batches = stream(simulators, fragments=plan.simulators, max_lag=plan.settings.max_lag)
        try:
            async for batch in batches:
                await self._learn(batch, batches)
                await self._look_at_evaluations()
                if self._is_over():
                    break
            await self._finish_evaluations()
        finally:
            batches.close()

    def _is_over(self) -> bool:
        return self._record.steps >= self._plan.steps or self._should_end()

    async def _learn(self, batch: Batch, batches: Stream) -> None:
        record = self._record
        try:
            metrics = await self._learner.update(batch, record.steps)
        except art.ActorUnavailableError as error:
            logger.warning("a batch of %d steps was lost with its learner: %s", batch.step_count, error)
            return
        batches.version = int(metrics["policy_version"])
        record.steps += batch.step_count
        for fragment in batch.fragments:
            record.episode_returns.extend(fragment.episode_return.tolist())
        progress = self._progress(batch, metrics, batches.statistics())
        record.rows.append(self._row(progress, batches.statistics()))
        self._on_progress(progress)

    def _progress(self, batch: Batch, metrics: dict[str, Any], statistics: dict[str, int]) -> Progress:
        best = self._selection.best
        now = time.monotonic()
        self._rate.append((now, self._record.steps))
        while self._rate[0][0] < now - RATE_WINDOW_S:
            self._rate.popleft()
        since, steps_then = self._rate[0]
        return Progress(
            steps=self._record.steps,
            total_steps=self._plan.steps,
            seconds=now - self._began_at,
            steps_per_s=(self._record.steps - steps_then) / (now - since) if now > since else 0.0,
            return_mean=self._record.return_mean,
            evaluation=None if best is None else best.score,
            policy_lag=sum(batch.policy_lag) / len(batch.policy_lag),
            simulators=self._plan.simulators,
            simulators_alive=statistics["simulators_alive"],
            simulators_restarted=statistics["simulators_restarted"],
            metrics=metrics,
            trained_on=tuple((f.simulator, f.incarnation, f.process_id) for f in batch.fragments),
        )

    def _row(self, progress: Progress, statistics: dict[str, int]) -> dict[str, Any]:
        return {
            "update": len(self._record.rows) + 1,
            "steps": progress.steps,
            "seconds": progress.seconds,
            "steps_per_s": progress.steps_per_s,
            "return_mean": progress.return_mean,
            "best_evaluation": progress.evaluation,
            "policy_lag": progress.policy_lag,
            **statistics,
            **progress.metrics,
        }

    async def _look_at_evaluations(self) -> None:
        """Take in an evaluation that has ended and begin the next if it is due; waits for neither."""
        if self._evaluation is not None and self._evaluation[1].done():
            await self._end_evaluation()
        if self._evaluation is None and self._selection.is_due(self._record.steps):
            self._begin_evaluation()

    async def _finish_evaluations(self) -> None:
        """Evaluate the last policy too, and play once more what is in doubt."""
        if self._evaluation is not None:
            await self._end_evaluation()
        last = self._record.steps
        while not self._selection.is_reached:
            is_last_known = bool(self._record.evaluations) and self._record.evaluations[-1][0] >= last
            if is_last_known and self._selection.in_doubt is None:
                return
            self._begin_evaluation()
            await self._end_evaluation()

    def _begin_evaluation(self) -> None:
        candidate = self._selection.in_doubt
        number = self._selection.begin(self._record.steps)
        if candidate is None:
            self._evaluation = self._record.steps, self._evaluator.evaluate(number), None
        else:
            reply = self._evaluator.play(number, candidate.parameters, candidate.version)
            self._evaluation = self._record.steps, reply, candidate.parameters

    async def _end_evaluation(self) -> None:
        assert self._evaluation is not None
        (steps, reply, parameters), self._evaluation = self._evaluation, None
        try:
            result = await reply
        except art.ActorUnavailableError:
            return  # its evaluator is being restarted; the next one is due soon
        except Exception as error:  # the evaluation ends here; it is the environment's unless it is the runtime's
            self._evaluation_failed(error)
            return
        self._failed_evaluations = 0
        evaluation, played = result if parameters is None else (result, parameters)
        self._record.evaluations.append((steps, evaluation.mean))
        self._selection.evaluated(evaluation, played)

    def _evaluation_failed(self, error: Exception) -> None:
        self._failed_evaluations += 1
        if isinstance(error, art.ActorRtError) or self._failed_evaluations >= RAISES_LIMIT:
            raise error
        logger.warning("an evaluation was given up: %s: %s", type(error).__name__, error)
