"""A worker of tasks: it takes attempts in, runs them one after the other, and answers.

Plain functions run outside the loop (in a process of its own, see `turns`) or as a step of it (in local mode).
Coroutines run on the loop. What a task waits for and nobody has begun runs here: in the place of a plain wait, or next
where a coroutine waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from actorrt import errors
from actorrt.actors.wire.failures import error_to_data
from actorrt.actors.wire.outlet import Outlet
from actorrt.actors.wire.payload import Captured
from actorrt.actors.wire.plain_values import is_plain_value
from actorrt.actors.wire.transits import Transit
from actorrt.completion import Completion
from actorrt.ids import ObjectId, PeerId, short
from actorrt.interrupts import let_through
from actorrt.protocol.leases import TaskBlocked, TaskUnblocked, WornOut
from actorrt.store.client.ref import ObjectRef
from actorrt.store.connection.connection import NotReadyError
from actorrt.tasks.submitting import in_hand
from actorrt.tasks.submitting.in_hand import TaskInHand
from actorrt.tasks.submitting.task_ref import TaskRef
from actorrt.tasks.working.arguments import OpenedArguments
from actorrt.tasks.working.attempt import Attempt, RemoteListener
from actorrt.tasks.working.functions import LoadedFunction, LoadedFunctions
from actorrt.tasks.working.helping import Helping
from actorrt.tasks.working.inbox import Inbox
from actorrt.tasks.working.parents import Parents

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint

PATIENCE_S: Final = 0.002
"""How long a task may wait before its worker says so, and its CPUs are lent on."""


class TaskWorker:
    """The worker of one endpoint.

    Args:
        endpoint: the endpoint.
        work_came: called when an attempt is to be run.
        hand_over: runs a function on the loop, where a task may have ended outside of it.
        waits_long: called with an attempt that may have waited for a while.

    Attributes:
        inbox: the attempts that have not begun.
        functions: the functions that are loaded.
        attempts: the attempts of other processes that have not ended, by process and number.
        plain: those whose plain functions run, each in the place of a wait of the one before.
        helping: runs what they wait for.
        awaited: what plain code waits for now; None if it does not wait, or not without limit.
        clock: the time.
    """

    def __init__(
        self,
        endpoint: ActorEndpoint,
        work_came: Callable[[], None],
        hand_over: Callable[[Callable[[], Any]], Any],
        waits_long: Callable[[Attempt], None],
    ) -> None:
        self._endpoint = endpoint
        self.clock = endpoint.clock
        self._peers = endpoint.peers
        self._payloads = endpoint.payloads
        self._store = endpoint.store
        self._work_came = work_came
        self._hand_over = hand_over
        self._waits_long = waits_long
        self.inbox: Inbox[Attempt] = Inbox()
        self._outlets: dict[PeerId, Outlet] = {}
        self.functions = LoadedFunctions(endpoint.store, endpoint)
        self.attempts: dict[tuple[PeerId, int], Attempt] = {}
        self._leases: dict[PeerId, int] = {}
        self._remakes: dict[tuple[PeerId, int], ObjectId] = {}  # those of attempts that come next
        self._coroutines: set[Attempt] = set()
        self.plain: list[Attempt] = []
        self._blocked: set[int] = set()
        self._waits_count = 0
        self._is_worn_out = False
        self._parents = Parents()
        self.awaited: Completion[Any] | None = None
        self.helping = Helping(self, endpoint)

    @property
    def waits_in_plain_code(self) -> bool:
        """Whether plain code waits now, so that nothing that comes is begun."""
        return self._waits_count > 0

    @property
    def running_count(self) -> int:
        """How many coroutines of tasks run."""
        return len(self._coroutines)

    # What submitters say

    def came(self, peer: PeerId, envelope: Sequence[Any], buffers: Sequence[Any]) -> None:
        """Called when a TASK has arrived."""
        _, lease, sequence, function, body, inputs, left_s, number, attempt_number, depth = envelope
        listener = RemoteListener(self._outlet(peer), self._hand_over, lease, sequence)
        if self._waits_count or self._is_worn_out:
            listener.skip()  # what it waits for may be behind this one
            self._remakes.pop((peer, sequence), None)
            return
        deadline = None if left_s is None else self.clock.now() + left_s
        task_id = f"{short(peer)}-{number}"
        loaded = self.functions.sent(peer, function)
        attempt = Attempt(
            listener, peer, sequence, loaded, body, inputs, buffers, deadline, task_id, attempt_number, depth
        )
        if self._remakes:
            attempt.object_id = self._remakes.pop((peer, sequence), None)
        self.attempts[peer, sequence] = attempt
        self._leases[peer] = lease
        self.inbox.came(attempt)
        self._work_came()

    def remakes(self, peer: PeerId, sequence: int, object_id: ObjectId) -> None:
        """Called when a REMAKE has arrived: the result of an attempt that comes next is put as that object."""
        self._remakes[peer, sequence] = object_id

    def gives_back(self, peer: PeerId, sequence: int) -> None:
        """Called when a GIVE_BACK has arrived. Give an attempt back that has not begun."""
        attempt = self.attempts.get((peer, sequence))
        if attempt is not None and not attempt.has_begun and not attempt.is_withdrawn:
            attempt.is_withdrawn = True
            self._skip(attempt)

    def withdrawn(self, peer: PeerId, sequence: int, *, is_late: bool) -> None:
        """Called when a WITHDRAW has arrived. Drop an attempt that has not begun, and cancel a coroutine."""
        attempt = self.attempts.get((peer, sequence))
        if attempt is not None:
            self.give_up(attempt, is_late)
        else:
            self._parents.given_up(peer, sequence)

    def give_up(self, attempt: Attempt, is_late: bool) -> None:
        """Called when nobody waits for an attempt any more."""
        attempt.is_withdrawn, attempt.is_late = True, is_late
        if attempt.in_hand is not None:
            attempt.in_hand.cancel_children()
        if attempt.coroutine is not None:
            if attempt in self._coroutines and not attempt.cancel_coroutine():  # else it has ended, or will
                self._coroutine_ended(attempt)
                self._never_runs(attempt)
        elif attempt.interrupt is not None:
            attempt.interrupt.set_value(None)
        elif not attempt.has_begun:
            self._never_runs(attempt)

    def _never_runs(self, attempt: Attempt) -> None:
        self._fail(attempt, errors.CallCancelledError("it was withdrawn before it began", executed="no"), "no", 0.0)

    def _outlet(self, peer: PeerId) -> Outlet:
        outlet = self._outlets.get(peer)
        if outlet is None:
            outlet = self._outlets[peer] = Outlet(peer, self._peers.link_to, self._endpoint.scope.after)
        return outlet

    def peer_gone(self, peer: PeerId) -> None:
        """Called when a submitter is gone: drop its attempts, and cancel its coroutines."""
        self._outlets.pop(peer, None)
        self._leases.pop(peer, None)
        self._parents.peer_gone(peer)
        self.functions.peer_gone(peer)
        if self._endpoint.crash_notes is not None:
            self._endpoint.crash_notes.forget_submitter(peer)
        for key in [key for key in self.attempts if key[0] == peer]:
            self.withdrawn(*key, is_late=False)
            self.attempts.pop(key, None)

    # Running

    def begin_next(self) -> None:
        """Begin the next attempt: a plain function runs to its end, a coroutine to where it first waits."""
        attempt = self.inbox.next()
        if attempt is not None and not self._endpoint.scope.is_closed:
            self.begin(attempt)

    def begin_soon(self, attempt: Attempt) -> None:
        """Queue an attempt before all others."""
        self.inbox.came(attempt, is_next=True)
        self._work_came()

    def begin(self, attempt: Attempt) -> None:
        """Begin an attempt: a plain function runs to its end."""
        loaded = attempt.function
        if loaded.function is None:
            assert loaded.error is not None
            self._fail(attempt, loaded.error, "no", 0.0)
            return
        if attempt.values is not None:
            self._call(attempt, loaded, *attempt.values)
            return
        try:
            opened = OpenedArguments(self._payloads, attempt)
            missing = opened.missing()
            if missing:
                self._endpoint.scope.start(self._when_there(attempt, loaded, opened), f"arguments of {loaded.name}")
                return
            args, kwargs = opened.values()
        except NotReadyError:
            self._endpoint.scope.start(self._when_there(attempt, loaded, opened), f"arguments of {loaded.name}")
            return
        except BaseException as error:  # whatever unpickling a user's value raises ends this one attempt
            let_through(error)
            self._fail(attempt, error, "no", 0.0)
            return
        self._call(attempt, loaded, args, kwargs)

    async def _when_there(self, attempt: Attempt, loaded: LoadedFunction, opened: OpenedArguments) -> None:
        """Wait for arguments in the store, and put the attempt first in the queue."""
        try:
            attempt.values = await opened.arrive()
        except Exception as error:  # it is lost, or whatever unpickling a user's value raises
            if not attempt.is_withdrawn:
                self._fail(attempt, error, "no", 0.0)
            return
        if attempt.is_withdrawn:
            return
        if self._waits_count:
            self._skip(attempt)  # what the plain code waits for may be behind this one
            return
        self.begin_soon(attempt)

    def _call(self, attempt: Attempt, loaded: LoadedFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        attempt.has_begun = True
        loaded.calls_count += 1
        if loaded.is_worn_out and not self._is_worn_out:
            self._wear_out()
        notes = self._endpoint.crash_notes
        if notes is not None and attempt.sequence:
            notes.begin_task(attempt.peer, attempt.sequence)
        context = copy_context()
        task = TaskInHand(loaded.name, attempt.task_id, attempt.number, attempt.deadline, attempt.depth, self.helping)
        attempt.in_hand = task
        context.run(in_hand.task.set, task)
        if loaded.is_async:
            run = self._run_coroutine(attempt, loaded, args, kwargs)
            self._coroutines.add(attempt)
            attempt.coroutine = self._endpoint.scope.start(run, f"task {loaded.name}", context=context)
        else:
            self._run_plain(attempt, loaded, context.run, args, kwargs)

    def _wear_out(self) -> None:
        """Take no further attempts: the node replaces this process when those in hand have ended."""
        self._is_worn_out = True
        self._give_back_queued()
        self._hand_over(lambda: self._endpoint.control.notify(self._endpoint.node, WornOut()))

    def _give_back_queued(self) -> None:
        for attempt in self.inbox.give_back():
            self._skip(attempt)

    def _skip(self, attempt: Attempt) -> None:
        """Give back an attempt that has not begun."""
        attempt.listener.skip()
        self.attempts.pop((attempt.peer, attempt.sequence), None)

    def _run_plain(
        self,
        attempt: Attempt,
        loaded: LoadedFunction,
        run: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        assert loaded.function is not None
        begun_at = self.clock.now()
        self.plain.append(attempt)
        try:
            result = run(loaded.function, *args, **kwargs)
        except BaseException as error:  # the task's own
            let_through(error)
            self._fail(attempt, error, "yes", self.clock.now() - begun_at, loaded)
        else:
            self._succeed(attempt, loaded, result, self.clock.now() - begun_at)
        finally:
            self.plain.pop()

    async def _run_coroutine(
        self, attempt: Attempt, loaded: LoadedFunction, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        assert loaded.function is not None
        begun_at = self.clock.now()
        try:
            result = await loaded.function(*args, **kwargs)
        except asyncio.CancelledError as error:
            self._coroutine_ended(attempt)
            if self._endpoint.is_closed:
                raise
            kind = errors.CallTimeoutError if attempt.is_late else errors.CallCancelledError
            withdrawn = kind(f"task {loaded.name}() was withdrawn", executed="maybe")
            self._fail(attempt, withdrawn if attempt.is_withdrawn else error, "yes", self.clock.now() - begun_at)
        except BaseException as error:  # the task's own
            let_through(error)
            self._coroutine_ended(attempt)
            self._fail(attempt, error, "yes", self.clock.now() - begun_at, loaded)
        else:
            self._coroutine_ended(attempt)
            self._succeed(attempt, loaded, result, self.clock.now() - begun_at)

    def _coroutine_ended(self, attempt: Attempt) -> None:
        self._coroutines.discard(attempt)
        if not self._coroutines and not self.plain:
            self.goes_on()  # so that the node keeps this worker when the lease is returned

    # Waiting inside tasks

    def wait_begins(self, awaited: Completion[Any] | None) -> Completion[None] | None:
        """Called when plain code begins to wait: what is queued here goes elsewhere, since the wait may need it.

        Args:
            awaited: what it waits for; None if it waits for a limited time.

        Returns:
            What ends when the wait is broken off; None if no task is in hand.
        """
        self._waits_count += 1
        self.awaited = awaited
        self._give_back_queued()
        if not self.plain:
            return None
        interrupt = self.plain[-1].interrupt = Completion()
        return interrupt

    def wait_ends(self) -> None:
        """Called when plain code has waited.

        Raises:
            CallCancelledError, CallTimeoutError: the task in hand was withdrawn meanwhile.
            DeadlockError: it waited for itself.
        """
        self._waits_count -= 1
        self.awaited = None
        if not self.plain:
            return
        attempt = self.plain[-1]
        interrupt, attempt.interrupt = attempt.interrupt, None
        if attempt.is_withdrawn:
            kind = errors.CallTimeoutError if attempt.is_late else errors.CallCancelledError
            raise kind("the task that waits here was withdrawn", executed="maybe")
        if interrupt is not None:
            error = interrupt.error()
            if error is not None:
                raise error

    def waits(self) -> None:
        """Called when the tasks in hand may have waited for a while: tell the node, which lends their CPUs on."""
        if not self._coroutines and not self._waits_count:
            return  # they have ended meanwhile
        for lease in set(self._leases.values()) - self._blocked:
            self._blocked.add(lease)
            self._endpoint.control.notify(self._endpoint.node, TaskBlocked(lease=lease))
        for attempt in [*self.plain[-1:], *self._coroutines]:
            self._waits_long(attempt)

    def running(self) -> list[Attempt]:
        """Return the attempts whose functions run here."""
        return [*self.plain, *self._coroutines]

    def goes_on(self) -> None:
        """Called when a task in hand no longer waits."""
        for lease in self._blocked:
            self._endpoint.control.notify(self._endpoint.node, TaskUnblocked(lease=lease))
        self._blocked.clear()

    # Outcomes

    def _ended(self, attempt: Attempt) -> None:
        if self.attempts.pop((attempt.peer, attempt.sequence), None) is not None and attempt.in_hand is not None:
            self._parents.ended(attempt.peer, attempt.sequence, attempt.in_hand)

    def _succeed(self, attempt: Attempt, loaded: LoadedFunction, result: Any, duration_s: float) -> None:
        loaded.cost.took(duration_s)
        try:
            captured = self._captured(attempt, result)
        except Exception as error:  # a result that can't be copied, stored or sent is the error of its task
            self._fail(attempt, error, "yes", duration_s)
            return
        self._ended(attempt)
        attempt.listener.succeed(captured, duration_s)

    def _captured(self, attempt: Attempt, result: Any) -> Captured:
        """Fix a result. One with refs inside goes through the store, which keeps their objects as long as it."""
        store = self._store
        if attempt.object_id is not None and store is not None and not isinstance(result, ObjectRef):
            captured = self._in_transit(store.put(result, object_id=attempt.object_id))
            self._note_sealed(attempt, captured)
        elif is_plain_value(result):
            return Captured((result,))
        elif store is not None and isinstance(result, ObjectRef):
            followed = result.in_store() if isinstance(result, TaskRef) else result
            captured = self._in_transit(followed)
        else:
            captured = self._payloads.capture_value(result)
            if captured.transit is not None and store is not None and type(captured.body) is bytes:
                captured.transit.call_ended()
                captured = self._in_transit(store.put(result))
            self._note_sealed(attempt, captured)
        if captured.transit is not None:
            self._endpoint.transits.left(attempt.peer, captured.transit)
        return captured

    def _note_sealed(self, attempt: Attempt, captured: Captured) -> None:
        """Tell the submitter if what was put here is sealed already in its store."""
        is_sealed = self._store is not None and not self._store.has_deferred and not self._peers.node_of(attempt.peer)
        if is_sealed and type(captured.body) is dict:
            captured.body["is_sealed"] = True

    def _in_transit(self, ref: ObjectRef[Any]) -> Captured:
        assert self._store is not None
        token = self._store.new_token()
        self._store.begin_transit(ref, token, 1)
        body: dict[str, Any] = {"object": ref.id, "token": token}
        if ref.maker is not None:
            body["maker"] = ref.maker  # the task that is followed can be cancelled, too
        return Captured(body, (), Transit(self._store, [token], 1, [ref]))

    def _fail(
        self,
        attempt: Attempt,
        error: BaseException,
        executed: errors.Executed,
        duration_s: float,
        loaded: LoadedFunction | None = None,
    ) -> None:
        if loaded is not None:
            loaded.cost.took(duration_s)
        self._ended(attempt)
        where = f"task {attempt.function.name}() in process {self._endpoint.surroundings.pid}"
        attempt.listener.fail(error_to_data(error, where), executed, duration_s)

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError if what is in hand contradicts itself."""
        assert self._waits_count <= len(self.plain), f"{self._waits_count} waits in {len(self.plain)} plain tasks"
        for attempt in self._coroutines:
            assert attempt.coroutine is not None, f"task {attempt.task_id} runs without a coroutine"
            assert not attempt.coroutine.done(), f"task {attempt.task_id} has ended, and is in hand"
