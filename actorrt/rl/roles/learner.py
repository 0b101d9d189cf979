"""The learner: improves the policy one batch at a time, and publishes it.

The algorithm's update rule, which the settings make, improves the policy; `stream` decides what a batch holds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import actorrt as art
from actorrt.rl.foundation.memory import keep_freed_memory
from actorrt.rl.networks.network import limit_threads
from actorrt.rl.networks.optimiser import Vector
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.roles.parameters import publish, resolve
from actorrt.rl.rollouts.trajectory import Batch, Fragment
from actorrt.rl.rollouts.transitions import Transitions
from actorrt.rl.spaces.array_spaces import Array
from actorrt.rl.spaces.finite import require_finite
from actorrt.rl.spaces.normaliser import merged


class Group(Protocol):
    """Several learners that act as one, as an update rule uses them; see `learner_group.LearnerGroup`."""

    def share(self, rows: Transitions) -> Transitions: ...

    def average(self, gradient: Vector) -> None: ...

    def agree(self, state: Any) -> Any: ...

    def close(self) -> None: ...


class UpdateRule(Protocol):
    """The algorithm's part of the learner."""

    def __call__(self, fragments: tuple[Fragment, ...], remaining: float) -> dict[str, float]: ...

    def parameters(self) -> Array: ...

    def state(self) -> dict[str, Any]: ...

    def resume(self, state: dict[str, Any]) -> None: ...

    def join(self, group: Group) -> None: ...


class LearnerSettings(Protocol):
    """An algorithm's settings as the learner uses them: they make the update rule."""

    def update_rule(self, spec: PolicySpec, parameters: Array, seed: int) -> UpdateRule: ...


class Learner(art.Actor):
    """Learns from batches and publishes each new version of the parameters.

    The update rule is made in a thread when the actor starts, while the first fragments are being collected, since
    torch's import takes seconds.

    Args:
        settings: of the algorithm, such as `PPOSettings`.
        policy: spec of the policy.
        params: ref or name of the `ParameterServer`, which also has the initial parameters.
        steps: environment steps of the whole run; schedules end there.
        seed: seed of the run.
        threads: number of torch's threads. Small networks are many times slower with two threads than with one, since
            every operation waits for both.
        rank: index among several learners; only the first one publishes.
        count: number of learners. They are restarted together, so their incarnations are the same.
    """

    _restored: dict[str, Any] | None = None

    def __init__(
        self,
        settings: LearnerSettings,
        policy: PolicySpec,
        params: Any,
        steps: int,
        seed: int = 0,
        threads: int = 1,
        rank: int = 0,
        count: int = 1,
    ) -> None:
        if steps < 1:
            raise ValueError(f"a run has at least 1 step: steps={steps}")
        self._settings, self._spec, self._params = settings, policy, params
        self._steps, self._seed, self._threads = steps, seed, threads
        self._rank, self._count = rank, count
        self._learnt_steps = 0
        self._group: Group | None = None

    async def on_start(self) -> None:
        """Get the newest parameters and begin to make the update rule."""
        meeting = f"{self._params}/learners-{self.context.incarnation}"  # the same for all learners
        self._params = await resolve(self._params)
        self._version, parameters, _ = await self._params.latest()
        maker = ThreadPoolExecutor(1, "update rule")
        self._making = asyncio.get_running_loop().run_in_executor(maker, self._make, parameters, meeting)
        maker.shutdown(wait=False)  # its thread ends when the rule is made

    def _make(self, parameters: Array, meeting: str) -> UpdateRule:
        rule = self._settings.update_rule(self._spec, parameters, self._seed)
        limit_threads(self._threads)
        if "torch" in sys.modules:
            keep_freed_memory()
        if self._restored is not None:
            rule.resume(self._restored)
        if self._count > 1:
            self._group = self._meet(meeting)
            rule.join(self._group)
        return rule

    def _meet(self, meeting: str) -> Group:
        """Connect to the other learners: the first one opens a store and publishes its port."""
        from actorrt.rl.roles.learner_group import TIMEOUT_S, LearnerGroup, find_store, open_store

        if self._rank == 0:
            store = open_store(self._count)
            art.publish(meeting, store.port)
        else:
            store = find_store(art.latest(meeting, timeout_s=TIMEOUT_S).result().value, self._count)
        return LearnerGroup(store, self._rank, self._count)

    def snapshot(self) -> Any:
        """Return the update rule's state; the next incarnation continues from it and the published parameters."""
        if not self._making.done():
            return None
        rule = self._making.result()
        return getattr(rule, "snapshot", rule.state)()  # a rule may have more than a snapshot should hold

    def restore(self, state: Any) -> None:
        """Keep the last incarnation's state for the update rule; the parameters are the published ones."""
        self._restored = state

    async def update(self, batch: Batch, learnt_steps: int | None = None) -> dict[str, float]:
        """Learn from a batch and publish the new parameters.

        Args:
            batch: the batch.
            learnt_steps: transitions that the run has learnt from before, which decide the values of schedules; None
                takes this incarnation's own count.

        Returns:
            The update rule's metrics, and `policy_version`, `learnt_steps` and `learn_s`.

        Raises:
            ValueError: the batch holds no transition; nothing changes.
            DivergedError: the new parameters are infinite or NaN. They are not published, but this learner keeps them.
        """
        if batch.step_count == 0:
            raise ValueError("a batch holds at least one transition to learn from; this one holds none")
        rule = await self._made()
        limit_threads(self._threads)  # again: OpenMP keeps the number for each thread, and this one learns
        start = time.perf_counter()
        if learnt_steps is not None:
            self._learnt_steps = learnt_steps
        metrics = rule(batch.fragments, max(0.0, 1.0 - self._learnt_steps / self._steps))
        parameters = rule.parameters()
        require_finite(parameters, f"the update to version {self._version + 1}", metrics)
        self._learnt_steps += batch.step_count
        self._version += 1
        learn_s = time.perf_counter() - start
        seen = merged(fragment.seen for fragment in batch.fragments)
        if self._rank == 0:
            await publish(self._params, parameters, self._version, seen)
        counters = {"policy_version": self._version, "learnt_steps": self._learnt_steps, "learn_s": learn_s}
        return metrics | counters

    async def state(self) -> dict[str, Any]:
        """Return the state that another learner needs to continue from the published parameters."""
        return (await self._made()).state()

    async def resume(self, state: dict[str, Any]) -> None:
        """Take over another learner's `state`, with the parameters that were published with it."""
        (await self._made()).resume(state)

    async def _made(self) -> UpdateRule:
        """Return the update rule when it is made. A cancelled call that waits for it does not stop the making."""
        return await asyncio.shield(self._making)

    async def on_stop(self, reason: Any) -> None:
        """Wait until the update rule is made, since its thread can't be cancelled; then leave the group."""
        await asyncio.wait([self._making])
        if self._group is not None:
            self._group.close()
