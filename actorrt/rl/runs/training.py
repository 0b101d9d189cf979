"""A run that learns from rollouts: its roles under one supervisor, and the loop that feeds the learner.

The loop is ordinary code over `stream`. Evaluations are in `evaluations`; `run` starts the loop, and is what users
hold.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import actorrt as art
from actorrt.rl.foundation.failures import DEATHS_LIMIT, GroupLostError, died_for_good, is_from_user_code, leaves_state
from actorrt.rl.networks.convolutions import has_large_image
from actorrt.rl.policies.weights import Weights
from actorrt.rl.roles.inference import Inference
from actorrt.rl.roles.learner import Learner
from actorrt.rl.roles.parameters import RETRIES
from actorrt.rl.roles.simulator import Simulator
from actorrt.rl.rollouts.stream import Stream, stream
from actorrt.rl.rollouts.trajectory import Batch, Fragment
from actorrt.rl.runs.loop import RunLoop
from actorrt.rl.runs.plan import Plan
from actorrt.rl.runs.role_supervisor import RoleSupervisor, imported_to_act, imported_to_learn
from actorrt.rl.settings.algorithm_settings import RolloutSettings

SNAPSHOT_PERIOD_S = 2.0
STATE_TIMEOUT_S = 2.0  # a simulator that does not answer in this time starts new episodes when the run is resumed
FAILED_TIMEOUT_S = 10.0  # after a failure, roles that do not answer in this time will never do

logger = logging.getLogger(__name__)

THREADS_LIMIT = 8  # of a learner; a minibatch has no work for more


class Learners(art.Supervisor):
    """Supervises the learners of one run, which can't continue without each other. It never gives up; the loop does.

    Args:
        plan: of the run.
        server: name of the parameter server.
    """

    strategy = "one_for_all"
    max_restarts = None

    def __init__(self, plan: Plan[RolloutSettings], server: str) -> None:
        self._plan, self._server = plan, server

    def children(self) -> Iterator[art.Child]:
        """Yield the learners.

        Raises:
            ValueError: there are several learners in local mode, where all actors share one process.
        """
        plan = self._plan
        if plan.settings.learners > 1 and os.getpid() == plan.process_id:
            raise ValueError(
                "several learners need a process each, and local mode has only one process: give learners=1"
            )
        arguments = (plan.settings, plan.policy, self._server, plan.steps, plan.seed)
        for rank in range(plan.settings.learners):
            place: dict[str, Any] = {"rank": rank, "count": plan.settings.learners, "threads": self._thread_count()}
            options: dict[str, Any] = {"snapshot_every": SNAPSHOT_PERIOD_S, "crash_on": GroupLostError}
            options |= self._reservation() | {"preload": imported_to_learn(plan)}
            yield art.Child(Learner, *arguments, **place, id=f"learner-{rank}", **options)

    def _thread_count(self) -> int:
        """Return the number of torch's threads in each learner.

        A batch of large images is worth a thread for each CPU while no simulator works; simulators that work at the
        same time have the other CPUs. Operations on small networks wait longer for a second thread than it saves.
        """
        plan = self._plan
        is_alone = plan.settings.max_lag == 0
        if not is_alone or plan.policy.network == "mlp" or not has_large_image(plan.policy.observation):
            return 1
        return max(1, min(THREADS_LIMIT, len(os.sched_getaffinity(0)) // plan.settings.learners))

    def _reservation(self) -> dict[str, Any]:
        """Return the learner's options: a process of its own, and a CPU if it works at the same time as the simulators.

        Without lag, learner and simulators take turns on the CPUs that the simulators reserve. A CPU for the learner
        would be idle most of the time, and on a small node the runtime would warn of a shortage that does not exist.
        """
        return {"isolation": "process"} if self._plan.settings.max_lag == 0 else {"cpus": 1}


class Training(RoleSupervisor[RolloutSettings]):
    """Supervises the roles of one run."""

    simulator_class: ClassVar[type[Simulator]] = Simulator

    def _own_roles(self) -> Iterator[art.Child]:
        """Yield the learners, first since torch's import takes longest, and the simulators."""
        yield art.Child(Learners, self._plan, self._server, id="learners")
        yield from self._inference()
        yield from self._simulators()

    def _inference(self) -> Iterator[art.Child]:
        plan = self._plan
        if plan.settings.inference_actor:
            options: dict[str, Any] = {"isolation": "process", "max_concurrency": 2 * plan.simulators}
            options |= {"preload": imported_to_act(plan.policy)}
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
                envs=plan.environment_counts[index],
                horizon=plan.horizon,
                seed=plan.seed,
                index=index,
                policy=plan.policy,
                native=plan.native,
                gamma=plan.settings.gamma,
                inference=f"{plan.name}/inference" if plan.settings.inference_actor else None,
                on_env_error=plan.settings.on_env_error,
                horizon_s=plan.settings.horizon_s,
                lives=self._lives(index),
                **more,
                id=f"simulator-{index}",
                cpus=1,
                hang_timeout_s=plan.settings.hang_timeout_s,
                preload=() if plan.settings.inference_actor else imported_to_act(plan.policy),
            )

    def _lives(self, index: int) -> int:
        """Return a simulator's lives before this run; the first incarnation of a resumed run continues the last one."""
        if self._plan.checkpoint is None:
            return 0
        lives: int = self._plan.checkpoint["lives"][index]
        return lives - 1


class TrainingLoop(RunLoop[RolloutSettings]):
    """Feeds the learner; see `RunLoop` for its arguments."""

    supervisor_class = Training
    _is_learning = False
    _lost_count = 0  # batches in a row that were lost with a learner
    _server: Any = None  # the parameter server, while the run works

    async def _train(self, training: Any) -> None:
        plan = self._plan
        self._lives = [1] * plan.simulators if plan.checkpoint is None else list(plan.checkpoint["lives"])
        self._server = await training.child("parameters")
        self._learners = await self._find_learners(training)
        self._simulators = [await training.child(f"simulator-{index}") for index in range(plan.simulators)]
        await self._prepare_evaluations(training)
        batches = self._batches()
        await self._resume_roles(batches)
        self._begin_work()
        try:
            while not self._is_over():
                await self._learn(await self._next(batches), batches)
                await self._evaluations.look()
                if self._is_checkpoint_due():
                    await self._save(batches, may_fail=True)
            await self._save(batches)  # before evaluations, which may take long: a second interrupt then loses nothing
            await self._finish()
            await self._save(batches)
        except Exception as error:
            if leaves_state(error) and not self._is_learning:  # after an interrupted update the state is not consistent
                await self._save(batches, failed=True)
            raise
        finally:
            self._server = None
            batches.close()

    def newest(self) -> Weights:
        """Return the newest weights: those of the parameter server while the run works.

        Raises:
            RuntimeStateError: in local mode, if the calling thread does the run's work.
        """
        server = self._server
        if server is None:
            return super().newest()
        try:
            weights: Weights = server.latest.options(retries=RETRIES)().result()
        except art.ActorDiedError:  # the run has just ended
            return super().newest()
        return weights

    async def _find_learners(self, training: Any) -> list[Any]:
        """Return the roles that have the optimiser's state; the first one publishes."""
        learners = await training.child("learners")
        return [await learners.child(f"learner-{rank}") for rank in range(self._plan.settings.learners)]

    def _batches(self) -> Stream:
        settings = self._plan.settings
        is_sized = settings.batch_steps is not None
        return stream(
            self._simulators,
            steps=settings.batch_steps,
            fragments=None if is_sized else self._plan.simulators,
            max_lag=settings.max_lag,
            order=settings.stream_order,
            raises_limit=1,  # simulators replace environments that fail, so an error that gets here is final
            stretches=True,
        )

    async def _next(self, batches: Stream) -> Batch:
        """Wait for a batch, and count the time."""
        began_at = time.monotonic()
        batch = await anext(batches)
        sampling_s = sum(fragment.collect_s for fragment in batch.fragments) / self._plan.simulators
        self._times = self._times.add(sampling_s, waiting_s=time.monotonic() - began_at)
        return batch

    async def _learn(self, batch: Batch, batches: Stream) -> None:
        record = self._record
        began_at = time.monotonic()
        self._is_learning = True
        metrics = await self._improve(batch)
        self._is_learning = False
        self._times = self._times.add(learning_s=time.monotonic() - began_at)
        if metrics is None:
            return
        batches.version = int(metrics["policy_version"])
        record.steps += batch.step_count
        for fragment in batch.fragments:
            record.episode_returns.extend(fragment.episode_return.tolist())
        await self._callbacks.learnt(batch.fragments)
        sources = tuple((f.simulator, f.incarnation, f.process_id) for f in batch.fragments)
        lag = sum(batch.policy_lag) / len(batch.policy_lag)
        await self._report(metrics, batches.statistics(), sources, lag, batches.trained_shares())

    async def _improve(self, batch: Batch) -> dict[str, Any] | None:
        """Let the learners learn from a batch; return the metrics, or None if the batch was lost with a learner.

        Raises:
            ActorDiedError: too many batches in a row were lost.
        """
        asked = [learner.update(batch, self._record.steps) for learner in self._learners]
        try:
            metrics: dict[str, Any] = (await art.gather(*asked))[0]
        except art.ActorUnavailableError as error:
            logger.warning("a batch of %d steps was lost with its learner: %s", batch.step_count, error)
            self._lost_count += 1
            if self._lost_count >= DEATHS_LIMIT:
                raise died_for_good("the learner", DEATHS_LIMIT, error) from error
            return None
        finally:
            # A request that waits for its learner's next incarnation would make that one wait for the others.
            for each in asked:
                each.cancel()
        self._lost_count = 0
        return metrics

    # Checkpoints

    async def _save(self, batches: Stream, *, failed: bool = False, may_fail: bool = False) -> None:
        """Write a checkpoint between two updates, and so between two fragments of every simulator.

        Args:
            batches: the stream of batches.
            failed: whether the run has failed, so that fragments under way will never arrive.
            may_fail: as for `_write`; so it is after a failure, whose own error matters more.
        """
        self._saved_at = time.monotonic()
        ahead = [] if failed else await batches.ahead()
        patience: dict[str, Any] = {"retries": RETRIES, **({"timeout_s": FAILED_TIMEOUT_S} if failed else {})}
        weights, learner, *simulators = await art.gather(
            self._server.latest.options(**patience)(),
            self._learners[0].state.options(**patience)(),
            *self._states(failed),
            return_exceptions=True,
        )
        failure = next((state for state in (weights, learner) if isinstance(state, BaseException)), None)
        if failure is not None:
            logger.warning("no checkpoint was made after %d steps: %s", self._record.steps, failure)
            return
        self._note_newest(weights)
        states = [None if isinstance(state, BaseException) else state for state in simulators]
        for index, state in enumerate(states):  # a simulator that is being restarted starts new episodes
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
            "turn": batches.turn,
        }
        await self._write(tree, may_fail=may_fail or failed)

    def _states(self, failed: bool) -> Iterator[Any]:
        """Ask simulators for their states.

        In order of completion their states are not exact anyway, and a stuck simulator must not delay the checkpoint.
        """
        is_exact = self._plan.settings.stream_order == "deterministic" and not failed
        timeout_s = None if is_exact else STATE_TIMEOUT_S
        return (simulator.state.options(timeout_s=timeout_s)() for simulator in self._simulators)

    async def _resume_roles(self, batches: Stream) -> None:
        """Give the roles their states from the checkpoint, again if a role dies meanwhile."""
        saved = self._plan.checkpoint
        batches.version = self._plan.weights.version
        if saved is None:
            return
        batches.put_back(map(Fragment.from_data, saved["ahead"]), saved["turn"])
        told = [(learner, saved["learner"]) for learner in self._learners]
        await art.gather(*(role.resume.options(retries=RETRIES)(state) for role, state in told))
        told = [pair for pair in zip(self._simulators, saved["simulators"], strict=True) if pair[1] is not None]
        asked = (role.resume.options(retries=RETRIES)(state) for role, state in told)
        outcomes = await art.gather(*asked, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not is_from_user_code(outcome):
                raise outcome
        are_exact = [outcome is True for outcome in outcomes]  # an error means that the simulator starts new episodes
        if not all(are_exact) or len(told) < len(self._simulators):
            logger.warning("the resumed run is not exactly where it was: some environments began new episodes")
