"""What must be true of supervisors, and of actors that have none: restarts follow the rules of intensity.

Each decision about a failure is compared with the interpreter of the published rules (`restart_rules`). The interpreter
is told the causes as the world knows them: children that died with one process have one cause, whatever the runtime
says. A supervisor also hears of each end as of an event that fits what it knows: one that does not is a defect.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.policy.instructions import ChildState, GiveUp
from actorrt.actors.policy.supervision import Supervision
from actorrt.actors.supervisors.shell import Shell
from actorrt.ids import ActorId, PeerId
from actorrt.reasons import ExitKind, ExitReason
from actorrt.testing.virtual.processes import SimulatedProcess
from actorrt.testing.world.findings import Findings, replace
from actorrt.testing.world.hosts import Hosts
from actorrt.testing.world.restart_rules import Intensity, is_restarted

_WITH_PROCESS: Final = (ExitKind.KILLED, ExitKind.CRASHED, ExitKind.OUT_OF_MEMORY, ExitKind.NODE_LOST)
"""How an actor ends whose process has died."""


class Supervising:
    """Checks every decision about a failure.

    Args:
        hosts: the hosts.
        findings: gets what is broken.
    """

    def __init__(self, hosts: Hosts, findings: Findings) -> None:
        self._hosts = hosts
        self._findings = findings
        self._rules: WeakKeyDictionary[Supervision, Intensity] = WeakKeyDictionary()
        self._died_in: dict[ActorId, PeerId] = {}
        """The endpoint with which an incarnation of an actor has died, until its end is heard of."""
        self._cause: Hashable = None
        self._is_deciding = False

    def watch(self, undo: ExitStack) -> None:
        """Watch supervisors and the deaths of processes until the end of `undo`."""
        self._watch_deaths(undo)
        self._watch_shells(undo)
        self._watch_decisions(undo)

    def _watch_deaths(self, undo: ExitStack) -> None:
        crash = SimulatedProcess.crash

        def note_and_crash(process: SimulatedProcess) -> None:
            endpoint = self._hosts.endpoint(process)
            if endpoint is not None and process.is_alive:
                cells = (cell for cell in endpoint.population.cells() if cell.state is not CellState.ENDED)
                self._died_in.update((cell.actor_id, endpoint.peers.own_peer) for cell in cells)
            crash(process)

        replace(undo, SimulatedProcess, "crash", note_and_crash)

    def _watch_shells(self, undo: ExitStack) -> None:
        exited, restarted, fail = Shell.child_exited, Shell.children_restarted, Shell._raised

        def exited_and_caused(shell: Shell, event: Any) -> None:
            with self._caused(event.child, event.reason, event.cause):
                exited(shell, event)

        def restarted_and_caused(shell: Shell, event: Any) -> None:
            failed = event.failed
            with ExitStack() as caused:
                if failed is not None:
                    caused.enter_context(
                        self._caused(failed.child, getattr(failed.error, "reason", None), failed.cause)
                    )
                restarted(shell, event)

        def raise_and_note(shell: Shell, due: Any, error: Exception) -> None:
            if callable(due):
                self._findings.add(f"{shell._cell.label} hears of what can't be: {error!r}")
            fail(shell, due, error)

        replace(undo, Shell, "child_exited", exited_and_caused)
        replace(undo, Shell, "children_restarted", restarted_and_caused)
        replace(undo, Shell, "_raised", raise_and_note)

    @contextmanager
    def _caused(self, child: ActorId, reason: ExitReason | None, told: Hashable) -> Iterator[None]:
        """Let the cause of a failure be known while the body runs."""
        endpoint = self._died_in.pop(child, told)
        self._cause = endpoint if reason is not None and reason.kind in _WITH_PROCESS else told
        try:
            yield
        finally:
            self._cause = None

    def _watch_decisions(self, undo: ExitStack) -> None:
        exited, start_failed = Supervision.child_exited, Supervision.child_start_failed

        def exit_and_check(made: Supervision, id: str, reason: ExitReason, now: float, **how: Any) -> Any:
            with self._compared(made, id, reason, now, is_asked=how.get("is_administrative", False)):
                return exited(made, id, reason, now, **how)

        def fail_and_check(made: Supervision, id: str, reason: ExitReason, now: float, **how: Any) -> Any:
            with self._compared(made, id, reason, now, is_asked=False):
                return start_failed(made, id, reason, now, **how)

        replace(undo, Supervision, "child_exited", exit_and_check)
        replace(undo, Supervision, "child_start_failed", fail_and_check)

    @contextmanager
    def _compared(
        self, supervision: Supervision, id: str, reason: ExitReason, now: float, *, is_asked: bool
    ) -> Iterator[None]:
        """Compare the decision that the body makes with the rules."""
        child = supervision._children.get(id)
        has_intensity = supervision._quorum is None and supervision._end is None
        if self._is_deciding or child is None or not has_intensity or is_asked or child.is_to_end:
            yield  # a part of another decision, or no failure
            return
        is_start = child.state is ChildState.STARTING
        is_failure = child.was_started if is_start else is_restarted(child.spec.restart, reason)
        self._is_deciding = True
        try:
            yield
        finally:
            self._is_deciding = False
        if is_failure:
            self._check(supervision, id, now)

    def _check(self, supervision: Supervision, id: str, now: float) -> None:
        window, end = supervision._window, supervision._end
        rules = self._rules.setdefault(supervision, Intensity(window.max_restarts, window.period_s))
        is_over = isinstance(end, GiveUp) and end.reason.kind is ExitKind.INTENSITY
        if rules.is_exceeded_by(now, self._cause) != is_over:
            does = "gives up" if is_over else "goes on"
            self._findings.add(
                f"the supervisor of {id or 'itself'!r} {does} after {len(rules.failures)} failures within "
                f"{rules.period_s:g} s, and max_restarts is {rules.max_restarts}"
            )
