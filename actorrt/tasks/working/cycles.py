"""Finds tasks that wait for themselves, over any number of processes, and ends one wait of each such cycle.

A search begins at a wait of a task that has lasted for a while, or at a returned ref that is followed for as long; see
`actorrt.actors.hosting.deadlock`. A task that was not begun waits for its arguments, a task that runs for what its code
waits for, and one that has returned a ref for that ref. Plain code also waits for the task that runs in the place of
its wait. A plain wait with `timeout_s` ends by itself, and is no part of a cycle.

Several waits of one cycle may find it. The one whose name comes first ends at once; another ends only if it finds the
same cycle again.
"""

from __future__ import annotations

import itertools
from collections.abc import Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from weakref import ref as weak_ref

from actorrt.actors.hosting.deadlock import LOOK_EVERY_S
from actorrt.actors.policy.suspects import Suspects
from actorrt.actors.refs.message_waits import pending_parts, waits_of
from actorrt.background import in_background
from actorrt.completion import Completion
from actorrt.errors import DeadlockError
from actorrt.ids import ObjectId, PeerId
from actorrt.protocol.processes import FindCycleOfTask, WaitCycle
from actorrt.store.client.ref import ObjectRef
from actorrt.tasks.policy.task import TaskState
from actorrt.tasks.submitting.task_ref import TaskRef
from actorrt.tasks.working.attempt import Attempt, OwnListener

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint
    from actorrt.tasks.submitting.submission import Submission
    from actorrt.tasks.submitting.submitter import Submitter
    from actorrt.tasks.working.worker import TaskWorker

PROBE_EVERY_S: Final = 10.0
"""The longest pause between two searches from one wait."""

Waiting: TypeAlias = "Attempt | TaskRef[Any]"
"""An attempt that runs, or the ref of a task that has returned another ref."""


class _Suspected:
    """What is known of a wait from which searches begin.

    Attributes:
        start: its name in searches.
        completion: what it waits for first.
        since: since when.
        was_found: whether a search has found a cycle.
    """

    __slots__ = ("completion", "since", "start", "was_found")

    def __init__(self, start: bytes) -> None:
        self.start = start
        self.completion: Any = None
        self.since = 0.0
        self.was_found = False

    def waits_for(self, completion: Completion[Any], now: float) -> float:
        """Note what it waits for. Return since when it has waited for that."""
        if self.completion is None or self.completion() is not completion:
            self.completion, self.since, self.was_found = weak_ref(completion), now, False
        return self.since


class TaskCycles:
    """The part of an endpoint that searches for cycles of its tasks.

    Args:
        endpoint: the endpoint.
        submitter: its submitter.

    Attributes:
        worker: its worker, if it runs tasks.
    """

    def __init__(self, endpoint: ActorEndpoint, submitter: Submitter) -> None:
        self._endpoint = endpoint
        self._submitter = submitter
        self._own_peer = endpoint.peers.own_peer
        self._probes = endpoint.probes
        self._clock = endpoint.clock
        self._suspects: Suspects[Waiting] = Suspects(LOOK_EVERY_S, PROBE_EVERY_S)
        self._suspected: dict[Waiting, _Suspected] = {}
        self._numbers = itertools.count(1)
        self.worker: TaskWorker | None = None
        endpoint.probes.tasks = self
        endpoint.control.handle(FindCycleOfTask.by(self._serve))

    # Suspects

    def suspect(self, waiting: Waiting) -> None:
        """Called when a task has begun to wait for longer than a moment."""
        if waiting not in self._suspected:
            number = next(self._numbers).to_bytes(8, "big")
            self._suspected[waiting] = _Suspected(self._own_peer + number)
        if self._suspects.suspect(waiting):
            in_background(self._endpoint.scope.after, LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        for waiting in self._suspects.look(self._clock.now(), self._waiting_since):
            probing = self._endpoint.scope.start(self._probe(waiting), f"probe of {self._label(waiting)}")
            probing.add_done_callback(lambda _, waiting=waiting: self._probed(waiting))  # type: ignore[misc]
        if self._suspects.is_looking:
            in_background(self._endpoint.scope.after, LOOK_EVERY_S, self._look)

    def _probed(self, waiting: Waiting) -> None:
        suspected = self._suspected.get(waiting)
        self._suspects.probed(waiting, is_again=suspected is not None and suspected.was_found)

    def _waiting_since(self, waiting: Waiting) -> float | None:
        now = self._clock.now()
        if not self._is_in_hand(waiting):
            del self._suspected[waiting]
            return None
        completion = next(iter(self._waits(waiting)), None)
        return now if completion is None else self._suspected[waiting].waits_for(completion, now)

    def _is_in_hand(self, waiting: Waiting) -> bool:
        if isinstance(waiting, TaskRef):
            return waiting in self._submitter.arriving and not waiting.is_complete
        worker = self.worker
        if worker is None or waiting not in worker.running():
            return False
        return waiting.coroutine is not None or (worker.awaited is not None and worker.plain[-1] is waiting)

    def _waits(self, waiting: Waiting) -> Iterator[Completion[Any]]:
        """Yield the replies and refs that something waits for."""
        if isinstance(waiting, TaskRef):
            followed = None if waiting.is_complete else self._submitter.arriving.get(waiting)
            if isinstance(followed, ObjectRef):
                yield from pending_parts(followed)
        elif waiting.coroutine is not None:
            for wait in waits_of(waiting.coroutine):
                yield from pending_parts(wait.completion)
        elif self.worker is not None and self.worker.plain[-1:] == [waiting] and self.worker.awaited is not None:
            yield from pending_parts(self.worker.awaited)

    # Searches

    async def _probe(self, waiting: Waiting) -> None:
        suspected = self._suspected.get(waiting)
        first = next(self._waits(waiting), None)
        if suspected is None or first is None:
            return
        label = self._label(waiting)
        found = await self._probes.follow(label, self._waits(waiting), suspected.start, set())
        if found is None or next(self._waits(waiting), None) is not first:
            suspected.was_found = False
        elif suspected.was_found or suspected.start <= found.first:
            path = " -> ".join(found.path)
            text = f"{label} would wait for itself: {path}; let one of them not wait for the next"
            self._end(waiting, first, DeadlockError(text))
        else:
            suspected.was_found = True

    def _end(self, waiting: Waiting, first: Completion[Any], error: DeadlockError) -> None:
        """End a wait with an error, in the code that waits."""
        if isinstance(waiting, TaskRef):
            waiting.set_error(error)
        elif waiting.coroutine is None:
            if waiting.interrupt is not None:
                waiting.interrupt.set_error(error)
        else:
            for wait in waits_of(waiting.coroutine):
                if first in pending_parts(wait.completion) and not wait.future.done():
                    wait.future.set_exception(error)
                    return

    async def _serve(self, peer: PeerId, asked: FindCycleOfTask) -> WaitCycle | None:
        attempt = None if self.worker is None else self.worker.attempts.get((peer, asked.sequence))
        if attempt is None or not attempt.has_begun:
            return None
        return await self._behind_attempt(attempt, asked.start, {*asked.seen})

    def behind(
        self, ref: ObjectRef[Any], start: bytes, seen: set[bytes]
    ) -> Coroutine[Any, Any, WaitCycle | None] | None:
        """Follow the wait for a ref; return None if it is not the result of a task of this process."""
        return ref.submitter.cycles.behind_task(ref, start, seen) if isinstance(ref, TaskRef) else None

    def promised(self, object_id: ObjectId) -> TaskRef[Any] | None:
        """Return the ref of the task of this process that makes an object; None if none does."""
        return self._submitter.promises.ref(object_id)

    async def behind_task(self, ref: TaskRef[Any], start: bytes, seen: set[bytes]) -> WaitCycle | None:
        """Follow the wait for the result of a task that was submitted here."""
        name = self._own_peer + id(ref).to_bytes(8, "big") + b"ref"
        if name in seen:
            return None
        seen.add(name)
        task, label = ref.task, self._label(ref)
        if task is None:
            return await self._behind(ref, self._waits(ref), start, seen)
        if task.state is TaskState.WAITING:
            return await self._probes.follow(label, _inputs(task), start, seen)
        if task.state is not TaskState.ASSIGNED:
            return None
        if task.lease is not None:
            asked = FindCycleOfTask(sequence=task.sequence, start=start, seen=list(seen))
            return await self._probes.ask(task.lease.worker, asked)
        for attempt in [] if self.worker is None else self.worker.running():
            if isinstance(attempt.listener, OwnListener) and attempt.listener.task is task:
                return await self._behind_attempt(attempt, start, seen)
        return None

    async def _behind_attempt(self, attempt: Attempt, start: bytes, seen: set[bytes]) -> WaitCycle | None:
        """Follow the waits of an attempt that runs here, and of those that run in the places of its waits."""
        assert self.worker is not None, "an attempt has a worker"
        plain = self.worker.plain
        above = plain[plain.index(attempt) + 1 :] if attempt in plain else []
        labels = [self._label(one) for one in (attempt, *above)]
        for number, one in enumerate((attempt, *above)):
            known = self._suspected.get(one)
            if known is not None and known.start == start:
                return WaitCycle(peer=self._own_peer, call=0, path=labels[: number + 1], first=start)
        top = above[-1] if above else attempt
        found = await self._behind(top, self._waits(top), start, seen)
        if found is None:
            return None
        return WaitCycle(peer=found.peer, call=found.call, path=labels[:-1] + found.path, first=found.first)

    async def _behind(
        self, waiting: Waiting, waits: Iterable[Completion[Any]], start: bytes, seen: set[bytes]
    ) -> WaitCycle | None:
        known, label = self._suspected.get(waiting), self._label(waiting)
        if known is not None and known.start == start:
            return WaitCycle(peer=self._own_peer, call=0, path=[label], first=start)
        found = await self._probes.follow(label, waits, start, seen)
        if found is None or known is None or known.start >= found.first:
            return found
        return WaitCycle(peer=found.peer, call=found.call, path=found.path, first=known.start)

    def check_invariants(self) -> None:
        """Raise AssertionError if the suspects contradict themselves."""
        self._suspects.check_invariants()

    def _label(self, waiting: Waiting) -> str:
        return f"task {waiting.name if isinstance(waiting, TaskRef) else _name_of(waiting)}()"


def _inputs(task: Submission) -> Iterator[Completion[Any]]:
    for _, value in task.inputs:
        yield from pending_parts(value)


def _name_of(attempt: Attempt) -> str:
    return "?" if attempt.in_hand is None else attempt.in_hand.name
