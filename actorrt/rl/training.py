"""One run that learns from rollouts: its roles under one supervisor, and the loop that feeds the learner.

The loop is ordinary code over `stream`. What is evaluated beside it is in `evaluations`; who starts it, and what
users hold meanwhile, in `run`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import actorrt as art
from actorrt.rl.evaluations import Evaluations
from actorrt.rl.inference import Inference
from actorrt.rl.learner import Learner
from actorrt.rl.loop import Loop
from actorrt.rl.roles import Roles
from actorrt.rl.simulator import Simulator
from actorrt.rl.stream import Stream, stream
from actorrt.rl.trajectory import Batch, Fragment

SNAPSHOT_PERIOD_S = 2.0

logger = logging.getLogger(__name__)


class Training(Roles):
    """Supervises the roles of one run; a learner's replacement goes on with the optimiser's state of its snapshot."""

    simulator_class: ClassVar[type[Simulator]] = Simulator

    def _own_roles(self) -> Iterator[art.Child]:
        """Yield the learner, first since importing torch takes longest, and the simulators."""
        plan = self._plan
        arguments = (plan.settings, plan.policy, self._server, plan.steps, plan.seed)
        yield art.Child(Learner, *arguments, id="learner", snapshot_every=SNAPSHOT_PERIOD_S, **self._room())
        yield from self._inference()
        yield from self._simulators()

    def _inference(self) -> Iterator[art.Child]:
        plan = self._plan
        if plan.settings.inference_actor:
            options: dict[str, Any] = {"isolation": "process", "max_concurrency": 2 * plan.simulators}
            yield art.Child(
                Inference,
                plan.policy,
                self._server,
                plan.seed,
                id="inference",
                name=f"{plan.name}/inference",
                **options,
            )

    def _simulators(self, **more: Any) -> Iterator[art.Child]:
        plan = self._plan
        for index in range(plan.simulators):
            yield art.Child(
                self.simulator_class,
                plan.environment,
                self._server,
                envs=plan.environments_each,
                horizon=plan.horizon,
                seed=plan.seed,
                index=index,
                policy=plan.policy,
                native=plan.native,
                gamma=plan.settings.gamma,
                inference=f"{plan.name}/inference" if plan.settings.inference_actor else None,
                lives=self._lives(index),
                **more,
                id=f"simulator-{index}",
                cpus=1,
                hang_timeout_s=plan.settings.hang_timeout_s,
            )

    def _room(self) -> dict[str, Any]:
        """Return the learner's options: a process of its own, and a CPU where it works while simulators do.

        Without lag they take turns on the CPUs that the simulators reserve. One more for the learner would be idle
        while they work, would be missing on a small node, and would warn of a shortage that there is not.
        """
        return {"isolation": "process"} if self._plan.settings.max_lag == 0 else {"cpus": 1}

    def _lives(self, index: int) -> int:
        """Return what the simulator has behind it: the first incarnation of a resumed run leads its last life on."""
        if self._plan.checkpoint is None:
            return 0
        lives: int = self._plan.checkpoint["lives"][index]
        return lives - 1


class TrainingLoop(Loop):
    """Feeds the learner; see `Loop` for its arguments."""

    supervisor_class = Training
    learner_id: ClassVar[str] = "learner"  # the role that keeps the optimiser's state

    async def _train(self, training: Any) -> None:
        plan = self._plan
        self._lives = [1] * plan.simulators if plan.checkpoint is None else list(plan.checkpoint["lives"])
        self._server = await training.child("parameters")
        self._learner = await training.child(self.learner_id)
        self._simulators = [await training.child(f"simulator-{index}") for index in range(plan.simulators)]
        self._evaluations = Evaluations(
            await training.child("evaluator"), self._selection, self._record, self._callbacks
        )
        batches = self._batches()
        await self._go_on(batches)
        try:
            while not self._is_over():
                await self._learn(await self._next(batches), batches)
                await self._evaluations.look()
                if self._is_checkpoint_due():
                    await self._save(batches)
            await self._save(batches)  # at once: evaluations may take long; whoever interrupts twice loses nothing
            await self._evaluations.finish()
            await self._save(batches)
        finally:
            batches.close()

    def _batches(self) -> Stream:
        settings = self._plan.settings
        size = {"fragments": self._plan.simulators} if settings.batch_steps is None else {"steps": settings.batch_steps}
        return stream(self._simulators, **size, max_lag=settings.max_lag, order=settings.stream_order)

    async def _next(self, batches: Stream) -> Batch:
        """Wait for a batch, and count for how long."""
        began_at = time.monotonic()
        batch = await anext(batches)
        sampling_s = sum(fragment.collect_s for fragment in batch.fragments) / self._plan.simulators
        self._times = self._times.add(sampling_s, waiting_s=time.monotonic() - began_at)
        return batch

    async def _learn(self, batch: Batch, batches: Stream) -> None:
        record = self._record
        began_at = time.monotonic()
        metrics = await self._improve(batch)
        self._times = self._times.add(learning_s=time.monotonic() - began_at)
        if metrics is None:
            return
        batches.version = int(metrics["policy_version"])
        record.steps += batch.step_count
        for fragment in batch.fragments:
            record.episode_returns.extend(fragment.episode_return.tolist())
        sources = tuple((f.simulator, f.incarnation, f.process_id) for f in batch.fragments)
        lag = sum(batch.policy_lag) / len(batch.policy_lag)
        await self._report(metrics, batches.statistics(), sources, lag)

    async def _improve(self, batch: Batch) -> dict[str, Any] | None:
        """Have the learner learn from a batch; return what it measured, or None where the batch was lost with it."""
        try:
            metrics: dict[str, Any] = await self._learner.update(batch, self._record.steps)
        except art.ActorUnavailableError as error:
            logger.warning("a batch of %d steps was lost with its learner: %s", batch.step_count, error)
            return None
        return metrics

    # Checkpoints

    async def _save(self, batches: Stream) -> None:
        """Write a checkpoint: between two updates, and so between two fragments of every simulator."""
        self._saved_at = time.monotonic()
        ahead = await batches.ahead()
        weights, learner, *simulators = await art.gather(
            self._server.latest(),
            self._learner.state(),
            *(simulator.state() for simulator in self._simulators),
            return_exceptions=True,
        )
        failure = next((state for state in (weights, learner) if isinstance(state, BaseException)), None)
        if failure is not None:
            logger.warning("no checkpoint was made after %d steps: %s", self._record.steps, failure)
            return
        states = [None if isinstance(state, BaseException) else state for state in simulators]
        for index, state in enumerate(states):  # one that is being restarted begins anew
            self._lives[index] = self._lives[index] + 1 if state is None else state["life"]
        tree = {
            "origin": self._plan.origin(),
            "record": self._record.state(self._seconds),
            "selection": self._selection.state(),
            "weights": weights.to_data(),
            "learner": learner,
            "lives": self._lives,
            "simulators": states,
            "ahead": [fragment.to_data() for fragment in ahead],
        }
        await self._write(tree)

    async def _go_on(self, batches: Stream) -> None:
        """Give the roles what the checkpoint says; record and selection have it already."""
        saved = self._plan.checkpoint
        batches.version = self._plan.weights.version
        if saved is None:
            return
        batches.put_back(map(Fragment.from_data, saved["ahead"]))
        await self._learner.go_on(saved["learner"])
        states = saved["simulators"]
        known = [index for index, state in enumerate(states) if state is not None]
        are_exact = await art.gather(*(self._simulators[index].go_on(states[index]) for index in known))
        if not all(are_exact) or len(known) < len(states):
            logger.warning("the resumed run is not exactly where it was: environments that do not replay began anew")
