"""Pure: the decisions about an actor outside any supervisor: `supervision` for it alone, one child of nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from actorrt.actors.policy.childspec import ChildSpec
from actorrt.actors.policy.instructions import Forget, GiveUp, Instruction, RetryAfter
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.policy.supervision import Supervision
from actorrt.reasons import ExitReason

_ITSELF: Final = ""  # it has no id among others


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows an end: the actor is gone, for `reason` if its own was not the last word, or starts again."""

    is_gone: bool
    reason: ExitReason | None = None
    delay_s: float = 0.0


class SelfRestart:
    """Supervises one actor by its own `restart`, `max_restarts` and `period_s`."""

    Decision: TypeAlias = Decision

    def __init__(self, options: ActorOptions, random: Callable[[], float]) -> None:
        self._supervision = Supervision(random, max_restarts=options.max_restarts, period_s=options.period_s)
        self._spec = ChildSpec(_ITSELF, options.restart, options.backoff)

    @property
    def restart_count(self) -> int:
        return sum(child.restart_count for child in self._supervision.children())

    def begin(self) -> None:
        """The actor is being started for the first time."""
        self._supervision.start_requested([self._spec])

    def started(self, now: float) -> None:
        """It runs."""
        self._supervision.child_started(_ITSELF, now)

    def start_failed(self, reason: ExitReason, now: float) -> Decision:
        """Its start failed."""
        return self._decision(self._supervision.child_start_failed(_ITSELF, reason, now))

    def exited(self, reason: ExitReason, now: float, had_handled_message: bool) -> Decision:
        """It ended, and not by order."""
        return self._decision(
            self._supervision.child_exited(_ITSELF, reason, now, had_handled_message=had_handled_message)
        )

    def delay_over(self) -> None:
        """The delay of the last decision has passed."""
        self._supervision.retry_due(_ITSELF)

    def _decision(self, instructions: list[Instruction]) -> Decision:
        delay_s = sum(i.delay_s for i in instructions if isinstance(i, RetryAfter))
        reason = next((i.reason for i in instructions if isinstance(i, GiveUp)), None)
        return Decision(any(isinstance(i, Forget | GiveUp) for i in instructions), reason, delay_s)
