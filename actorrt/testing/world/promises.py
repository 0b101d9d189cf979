"""What must be true of calls, whatever fails: it is checked while a world runs.

Watched are two places of the runtime: where a call is sent and ends (`CallTable.send`), and where a method is about to
run (`Execution._function`). The promises are those of `docs/messaging.md`.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any, Final

from actorrt.actors.calling.call_table import CallTable
from actorrt.actors.cells.deduplication import KEY_WINDOW_COUNT
from actorrt.actors.cells.execution import Execution
from actorrt.actors.refs import current
from actorrt.actors.refs.message import Message
from actorrt.actors.refs.reply import Reply
from actorrt.config import DEADLINE_VERDICT_S
from actorrt.errors import CallError
from actorrt.ids import ActorId, PeerId
from actorrt.testing.virtual.loop import VirtualLoop
from actorrt.testing.virtual.processes import SimulatedProcess
from actorrt.testing.world.findings import Findings, replace

LATE_S: Final = 1.0
"""How long after its deadline, and the moment in which its receiver may say whether it ran, a call may end."""

CallKey = tuple[PeerId, int]
"""A call: the endpoint of its caller, and its number there."""


class Promises:
    """Checks the promises about calls.

    Args:
        loop: the world's loop.
        findings: gets what is broken.
    """

    def __init__(self, loop: VirtualLoop, findings: Findings) -> None:
        self._loop = loop
        self._break = findings.add
        self._runs: dict[CallKey, int] = {}  # how often each call's method has begun
        self._allowed: dict[CallKey, int] = {}  # how often each call's method may begin
        self._unexecuted: set[CallKey] = set()  # the calls whose callers were told that they did not run
        self._newest: dict[tuple[PeerId, ActorId, int], int] = {}
        """The number of the newest call that ran, by caller, actor and incarnation."""
        self._open: dict[CallKey, tuple[Reply[Any], SimulatedProcess]] = {}  # the calls with deadlines
        self._keys_run: set[tuple[ActorId, str]] = set()
        self._keys_done: dict[tuple[ActorId, int], dict[str, int]] = {}
        """For each incarnation the keys that have an outcome, with the number of keys before."""

    def watch(self, undo: ExitStack) -> None:
        """Watch the calls of all processes until the end of `undo`."""
        send, function = CallTable.send, Execution._function

        def send_and_watch(table: CallTable, call: Reply[Any]) -> None:
            send(table, call)
            if call.call_id:
                self._sent(table._routes.own_peer, call)

        def note_and_run(execution: Execution, method: str) -> Any:
            message, (run, kind) = current.message.get(), function(execution, method)
            if message is not None:
                self._begins(message, execution._cell)

            def run_and_note(*args: Any, **kwargs: Any) -> Any:
                if message is not None:
                    self._runs_now(message, execution._cell)
                return run(*args, **kwargs)

            return run_and_note, kind

        handled = Execution._handled

        def note_and_handle(execution: Execution, message: Message) -> None:
            if message.options is not None and "key" in message.options and message.withdrawal is None:
                self._key_is_done(execution._cell, message.method, message.options["key"])
            handled(execution, message)

        replace(undo, Execution, "_handled", note_and_handle)
        replace(undo, CallTable, "send", send_and_watch)
        replace(undo, Execution, "_function", note_and_run)

    def _sent(self, peer: PeerId, call: Reply[Any]) -> None:
        key = (peer, call.call_id)
        self._allowed[key] = 1 + call.attempts_left
        if call.deadline is not None:
            self._open[key] = (call, self._loop.present)
        call.add_callback(partial(self._ended, key, call.deadline))

    def _ended(self, key: CallKey, deadline: float | None, call: Reply[Any]) -> None:
        """Called when a call has ended at its caller."""
        error, name = call.error(), f"{call.label}.{call.method}()"
        self._open.pop(key, None)
        runs = self._runs.get(key, 0)
        has_run = runs or self._has_run_for_key(call)
        if error is None and not has_run:
            self._break(f"{name} has a result, and never ran")
        if isinstance(error, CallError):
            if error.executed == "no":
                self._unexecuted.add(key)
                if runs:
                    self._break(f"{name} ran, and its caller is told that it did not: {error!r}")
            elif error.executed == "yes" and not has_run:
                self._break(f"{name} did not run, and its caller is told that it did: {error!r}")
        late_s = 0.0 if deadline is None else self._loop.time() - deadline - DEADLINE_VERDICT_S
        if deadline is not None and late_s > LATE_S and not self._loop.present.was_frozen_since(deadline):
            self._break(f"{name} ended {late_s:.3f} s after its deadline")

    def _has_run_for_key(self, call: Reply[Any]) -> bool:
        """Whether some call with the key of this call has run."""
        return (call.ref._actor_id, (call.options or {}).get("key")) in self._keys_run

    def look(self) -> None:
        """Look for calls that have not ended long after their deadlines."""
        for key, (call, process) in list(self._open.items()):
            if not process.is_alive:
                del self._open[key]
                continue
            assert call.deadline is not None, "only calls with deadlines are kept"
            now = self._loop.now() if process.clock is None else process.clock.read(self._loop.now())
            late_s = now - call.deadline - DEADLINE_VERDICT_S
            if late_s > LATE_S and not process.was_frozen_since(call.deadline):
                del self._open[key]
                self._break(f"{call.label}.{call.method}() has not ended {late_s:.3f} s after its deadline")

    def _begins(self, message: Message, cell: Any) -> None:
        """Called when a message begins to be handled; its arguments may still have to arrive."""
        if message.call_id and message.caller is not None and "retry" not in (message.options or {}):
            pair = (peer_of(message, cell), cell.actor_id, cell.incarnation)
            newest = self._newest.get(pair, 0)
            if message.call_id < newest:
                name = f"{cell.label}.{message.method}()"
                self._break(f"{name}, call {message.call_id} of its caller, begins after call {newest}")
            self._newest[pair] = max(newest, message.call_id)

    def _runs_now(self, message: Message, cell: Any) -> None:
        """Called when a method is about to run."""
        if not message.call_id or message.caller is None:
            return
        if message.options is not None and "key" in message.options:
            self._keys_run.add((cell.actor_id, message.options["key"]))
        key, name = (peer_of(message, cell), message.call_id), f"{cell.label}.{message.method}()"
        self._runs[key] = runs = self._runs.get(key, 0) + 1
        allowed = self._allowed.get(key, 1)
        if runs > allowed:
            self._break(f"{name} has begun {runs} times, and may begin {allowed} times")
        if key in self._unexecuted:
            self._break(f"{name} runs, after its caller was told that it did not")

    def _key_is_done(self, cell: Any, method: str, key: str) -> None:
        """Called when a call with a key has an outcome, which later calls of the key must get."""
        done = self._keys_done.setdefault((cell.actor_id, cell.incarnation), {})
        count, before = len(done), done.get(key)
        if before is not None and count - before <= KEY_WINDOW_COUNT:
            self._break(f"{cell.label}.{method}() is handled again for the key {key!r}, which has an outcome")
        done[key] = count


def peer_of(message: Message, cell: Any) -> PeerId:
    """Return the endpoint of the caller of a message that is handled in a cell."""
    peer: PeerId = getattr(message.caller, "peer", None) or cell.host.endpoint.peers.own_peer
    return peer
