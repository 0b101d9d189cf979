"""Pure: the decisions about an actor without a supervisor: `supervision` of a single child."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from actorrt.actors.policy.childspec import ChildSpec
from actorrt.actors.policy.instructions import Forget, GiveUp, Instruction, RetryAfter
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.policy.supervision import Supervision
from actorrt.reasons import ExitReason

_ITSELF: Final = ""  # the id of the only child


@dataclass(frozen=True, slots=True)
class RestartDecision:
    """What follows an end.

    Attributes:
        is_gone: whether the actor is gone; else it starts again in `delay_s` seconds.
        reason: why the actor is gone; None: the reason of its last end.
    """

    is_gone: bool
    reason: ExitReason | None = None
    delay_s: float = 0.0


class SelfRestart:
    """Supervises one actor by its own `restart`, `max_restarts` and `period_s`."""

    def __init__(self, options: ActorOptions, random: Callable[[], float]) -> None:
        self._supervision = Supervision(random, max_restarts=options.max_restarts, period_s=options.period_s)
        self._spec = ChildSpec(_ITSELF, options.restart, options.backoff)

    @property
    def restart_count(self) -> int:
        return sum(child.restart_count for child in self._supervision.children())

    def begin(self) -> None:
        """Called when the actor is being started for the first time."""
        self._supervision.start_requested([self._spec])

    def started(self, now: float) -> None:
        """Called when the actor runs."""
        self._supervision.child_started(_ITSELF, now)

    def start_failed(self, reason: ExitReason, now: float) -> RestartDecision:
        """Called when a start of the actor has failed."""
        return self._decision(self._supervision.child_start_failed(_ITSELF, reason, now))

    def exited(self, reason: ExitReason, now: float, had_handled_message: bool) -> RestartDecision:
        """Called when the actor has ended, unless that was ordered."""
        return self._decision(
            self._supervision.child_exited(_ITSELF, reason, now, had_handled_message=had_handled_message)
        )

    def delay_over(self) -> None:
        """Called when the delay of the last decision has passed."""
        self._supervision.retry_due(_ITSELF)

    def _decision(self, instructions: list[Instruction]) -> RestartDecision:
        delay_s = sum(i.delay_s for i in instructions if isinstance(i, RetryAfter))
        reason = next((i.reason for i in instructions if isinstance(i, GiveUp)), None)
        return RestartDecision(any(isinstance(i, Forget | GiveUp) for i in instructions), reason, delay_s)
