"""Pure: the state of one child of a `Supervision`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from actorrt.actors.policy.backoff import RestartPace
from actorrt.actors.policy.childspec import ChildSpec
from actorrt.actors.policy.instructions import ChildState
from actorrt.actors.policy.options import RestartType
from actorrt.protocol.manner import Manner
from actorrt.reasons import ExitReason

LIVE_STATES: Final = (ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING)
"""The states in which there is an incarnation, or one is being started."""


@dataclass(slots=True, eq=False)
class SupervisedChild:
    """One child of a supervisor.

    Attributes:
        spec: its specification.
        position: its place in the start order; never used twice.
        pace: the delays of its restarts.
        was_started: whether an incarnation has run.
        has_actor: whether it was started and has not been forgotten since.
        is_doomed: whether it is to end with its group or with the supervisor.
        manner: how it is to end in that case.
        is_withdrawn: whether it is to end by somebody's order.
    """

    spec: ChildSpec
    position: int
    pace: RestartPace
    state: ChildState = ChildState.WAITING
    was_started: bool = False
    has_actor: bool = False
    is_doomed: bool = False
    manner: Manner = Manner.ORDERLY
    is_withdrawn: bool = False
    restart_count: int = 0
    last_reason: ExitReason | None = None

    @property
    def is_live(self) -> bool:
        """Whether there is an incarnation, or one is being started."""
        return self.state in LIVE_STATES

    @property
    def is_to_end(self) -> bool:
        """Whether its end is ordered, so that the reason of the end decides nothing."""
        return self.is_doomed or self.is_withdrawn

    @property
    def starts_with_group(self) -> bool:
        """Whether a restart of its group starts it."""
        if self.is_doomed:  # OTP: a temporary child that its sibling's death stopped is not started again
            return not self.is_withdrawn and self.spec.restart is not RestartType.TEMPORARY
        return self.state in (ChildState.WAITING, ChildState.BACKING_OFF)
