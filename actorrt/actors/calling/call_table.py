"""The pending calls: those that were sent, or wait to be sent, and have not ended.

A call always ends: with its reply, its error, its deadline or its cancellation. If the endpoint that had the call is
lost, the actor's authority is asked what has become of the actor, and the call ends with the answer (`losses`). All
state belongs to the loop's thread; other threads hand their calls over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from typing import Any

from actorrt import errors
from actorrt.actors.calling.deadly_calls import DEADLY_COUNT, DeathCounter
from actorrt.actors.calling.routes import Routes
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.actors.refs.reply import Reply
from actorrt.actors.wire.failures import as_executed
from actorrt.actors.wire.origins import Origins
from actorrt.config import DEADLINE_VERDICT_S
from actorrt.ids import PeerId, short
from actorrt.invariants import about
from actorrt.machine.clock import Clock
from actorrt.reasons import ExitKind, ExitReason

logger = logging.getLogger(__name__)


class CallTable:
    """The pending calls of one endpoint.

    Args:
        threads: the endpoint's loop.
        clock: the time.
        routes: send the calls.
        deaths: counts the deaths of actors that calls have caused.
        origins: where methods raised their exceptions; None if that can't be known.
        dead_letter: called when a tell fails that was not cancelled, with the actor's label, the method and the reason.

    Attributes:
        closed_by: the error of the calls that are made from now on; None while calls are sent.
        late_reply_count: how many outcomes have arrived for calls that had ended.
        is_watched: whether somebody looks at the pending calls from time to time.
        begin_watch: called when a call is sent while nobody does.
    """

    def __init__(
        self,
        threads: LoopThread,
        clock: Clock,
        routes: Routes,
        deaths: DeathCounter,
        origins: Origins | None,
        dead_letter: Callable[[str, str, str], None],
    ) -> None:
        self._threads = threads
        self._clock = clock
        self._routes = routes
        self._origins = origins
        self._dead_letter = dead_letter
        self._pending: dict[int, Reply[Any]] = {}
        self._last_id = 0
        self.deaths = deaths
        self.closed_by: errors.ActorRtError | None = None
        self.late_reply_count = 0
        self.is_watched = False
        self.begin_watch: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def newest_id(self) -> int:
        """The number of the newest call."""
        return self._last_id

    def up_to(self, newest_id: int) -> list[Reply[Any]]:
        """Return the pending calls up to a number, oldest first."""
        return [call for call_id, call in self._pending.items() if call_id <= newest_id]

    def at(self, peers: Container[PeerId]) -> list[Reply[Any]]:
        """Return the pending calls that are at one of these endpoints, oldest first."""
        return [call for call in self._pending.values() if call.peer in peers]

    def get(self, call_id: int) -> Reply[Any] | None:
        """Return a pending call; None if it has ended."""
        return self._pending.get(call_id)

    def send(self, call: Reply[Any]) -> None:
        """Send a captured call; it is pending from now on."""
        if call._is_done:  # cancelled before it left
            return
        if self.closed_by is not None:
            call.set_error(self.closed_by)
            return
        self._last_id = call_id = self._last_id + 1
        call.call_id = call_id
        if not self.is_watched:
            self.begin_watch()
        self._pending[call_id] = call
        if call.deadline is not None and call.timer is None:
            left = call.deadline - self._clock.now()
            call.timer = self._threads.call_later(max(0.0, left), self.expire, call)
        routes = self._routes
        routes.send(call.ref._route or routes.of(call.ref), call)

    def take(self, call_id: int) -> Reply[Any] | None:
        """Remove and return a pending call, which ends now; None if it has ended already."""
        call = self._pending.pop(call_id, None)
        if call is None:
            self.late_reply_count += 1
        elif call.timer is not None:
            call.timer.cancel()
        return call

    def failed(self, call_id: int, error: BaseException) -> None:
        """Called when the error of a call is known."""
        call = self._pending.get(call_id)
        if call is None:
            self.late_reply_count += 1
        elif call.has_retries and isinstance(error, errors.ActorUnavailableError) and error.executed == "maybe":
            traceback = "\n".join(getattr(error, "__notes__", ()))
            self.killed(call, ExitReason(ExitKind.ERROR, str(error), traceback), error)
        else:
            self.fail(call, error)

    def killed(self, call: Reply[Any], reason: ExitReason, error: errors.ActorUnavailableError) -> None:
        """Called when the call has ended its actor, which restarts: send it again, unless it does so every time."""
        if self.deaths.is_deadly(call, reason):
            message = (
                f"{call.label}.{call.method}() ended its actor {DEADLY_COUNT} times and was set aside; poison() has "
                f"it: {reason}"
            )
            self.fail(call, errors.ActorUnavailableError(message, executed="maybe"))
        elif call.attempts_left > 0:
            self.send_again(call)
        else:
            self.fail(call, error)

    def send_again(self, call: Reply[Any]) -> None:
        """Send a call once more; an earlier copy may have run."""
        call.attempts_left -= 1
        call.is_repeated = True
        call.peer = None
        self._routes.send(self._routes.of(call.ref), call)

    def fail(self, call: Reply[Any], error: BaseException) -> None:
        """End a call, or a tell, with an error that arose here."""
        if call.call_id:
            self.take(call.call_id)
            self._note_origin(call)
        elif not isinstance(error, errors.CallCancelledError):  # a tell, whose sender may not look at the outcome
            self._dead_letter(call.label, call.method, str(error))
        if call.is_repeated and isinstance(error, errors.CallError) and error.executed == "no":
            error = errors.from_data({**errors.to_data(error), "executed": "maybe"})  # an earlier copy may have run
        call.set_error(error)

    def _note_origin(self, call: Reply[Any]) -> None:
        if self._origins is not None:
            origin = self._origins.take(self._routes.own_peer, call.call_id)
            if origin is not None:
                call.raised_at(origin)

    def unreadable(self, call_id: int, error: BaseException) -> None:
        """Called when an item of a call can't be opened: withdraw the call, and end it with that error."""
        call = self._pending.get(call_id)
        if call is not None:
            self._routes.recall(call, is_late=False)
            self.fail(call, as_executed(error))

    def cancel(self, call: Reply[Any]) -> None:
        """Withdraw a call, from any thread."""
        self._threads.on_loop(lambda: self._withdraw(call))

    def _withdraw(self, call: Reply[Any]) -> None:
        if call.done():
            return
        executed: errors.Executed = "no" if call.peer is None else "maybe"
        self._routes.recall(call, is_late=False)
        message = f"{call.label}.{call.method}() was cancelled by its caller"
        self.fail(call, errors.CallCancelledError(message, executed=executed))

    def expire(self, call: Reply[Any]) -> None:
        """Called at the deadline: withdraw the call, and give the receiver a moment to say whether it ran."""
        call.timer = None
        if call.peer is None:
            self._time_out(call, "no")
            return
        self._routes.recall(call, is_late=True)
        if not call.done():
            patience_s = DEADLINE_VERDICT_S + self._routes.round_trip_s(call.peer)
            call.timer = self._threads.call_later(patience_s, self._time_out, call, "maybe")

    def _time_out(self, call: Reply[Any], executed: errors.Executed) -> None:
        call.timer = None
        message = f"{call.label}.{call.method}() did not end by its deadline"
        self.fail(call, errors.CallTimeoutError(message, executed=executed))

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError, with the call concerned, if one can't end any more."""
        waiting = self._routes.waiting_calls()
        for call_id, call in self._pending.items():
            with about(call_id):
                assert call_id == call.call_id, f"it is filed as {call_id}: {_story(call)}"
                assert not call.done(), f"it has ended, and is pending: {_story(call)}"
                assert call.peer is not None or call in waiting, f"it neither waits nor has left: {_story(call)}"

    def close(self, error: errors.ActorRtError, later: errors.ActorRtError | None = None) -> None:
        """End every call with `error`, and those to come with `later`, or with `error` too.

        If a callback of one call raises, the other calls end nevertheless.
        """
        self.closed_by = later or error
        for call in list(self._pending.values()):
            try:
                self.fail(call, error)
            except Exception as defect:
                self._threads.scope.fail(defect)


def _story(call: Reply[Any]) -> str:
    place = "nowhere" if call.peer is None else short(call.peer)
    return f"call {call.call_id} to {call.label}.{call.method}(), at {place}, repeated: {call.is_repeated}"
