"""What a registry tells supervisors of their children.

Each event is a notice to where the supervisor runs. All go on one lane, so the supervisor's shell sees them in the
order in which they happened: a child's start before its exit. The answer to a spawn goes another way and may be late.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from actorrt.actors.authority.record import Record
from actorrt.actors.wire.control import Control
from actorrt.ids import ActorId
from actorrt.reasons import ExitReason


class ChildEvents:
    """Tells supervisors of their children.

    Args:
        control: carries the notices.
        record_of: knows the supervisors.
    """

    def __init__(self, control: Control, record_of: Callable[[ActorId], Record | None]) -> None:
        self._control = control
        self._record_of = record_of

    def started(self, record: Record) -> None:
        """A child runs for the first time; `card` is what its ref needs."""
        if record.supervisor is not None:
            self._tell(record, "child_started", card=record.card_data())

    def exited(self, record: Record, reason: ExitReason, cause: Hashable) -> bool:
        """An incarnation of a child ended; return whether there is a supervisor to decide what follows."""
        return self._tell(
            record,
            "child_exited",
            reason=reason.to_data(),
            had_handled_message=record.had_handled_message,
            is_administrative=record.is_administrative,
            cause=cause,
        )

    def withdrawn(self, record: Record) -> bool:
        """Somebody wants a child ended that does not run now; return whether there is a supervisor to remove it."""
        return self._tell(record, "child_withdrawn")

    def _tell(self, record: Record, verb: str, **data: Any) -> bool:
        supervisor = None if record.supervisor is None else self._record_of(record.supervisor)
        if supervisor is None or supervisor.home is None:
            return False
        self._control.notify(
            supervisor.home, verb, {"supervisor": supervisor.actor_id, "child": record.actor_id, **data}
        )
        return True
