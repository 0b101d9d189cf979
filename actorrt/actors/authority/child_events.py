"""The notices of a registry to supervisors about their children.

Each event is a notice to the endpoint of the supervisor. All notices use one lane, so the supervisor's shell sees them
in the order in which they happened: a child's start before its exit. The answer to a spawn takes another way, and may
come after these notices.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.wire.control import Control
from actorrt.ids import ActorId, PeerAddress
from actorrt.protocol.hosts import ChildExited, ChildStarted, ChildWithdrawn
from actorrt.reasons import ExitReason


class ChildEvents:
    """Sends the notices of one registry.

    Args:
        control: carries the notices.
        record_of: returns the record of a supervisor, or None.
    """

    def __init__(self, control: Control, record_of: Callable[[ActorId], ActorRecord | None]) -> None:
        self._control = control
        self._record_of = record_of

    def started(self, record: ActorRecord) -> None:
        """Tell the supervisor that its child runs for the first time."""
        if record.supervisor is None:
            return
        home = self.home_of_supervisor(record)
        if home is not None:
            notice = ChildStarted(supervisor=record.supervisor, child=record.actor_id, card=record.card())
            self._control.notify(home, notice)

    def exited(self, record: ActorRecord, reason: ExitReason, cause: Hashable) -> bool:
        """Tell the supervisor that an incarnation of its child ended; return whether a supervisor runs."""
        home = self.home_of_supervisor(record)
        if record.supervisor is None or home is None:
            return False
        notice = ChildExited(
            supervisor=record.supervisor,
            child=record.actor_id,
            reason=reason,
            had_handled_message=record.had_handled_message,
            is_administrative=record.is_administrative,
            cause=cause,
        )
        self._control.notify(home, notice)
        return True

    def withdrawn(self, record: ActorRecord) -> bool:
        """Tell the supervisor to remove a child that does not run now; return whether a supervisor runs."""
        home = self.home_of_supervisor(record)
        if record.supervisor is None or home is None:
            return False
        self._control.notify(home, ChildWithdrawn(supervisor=record.supervisor, child=record.actor_id))
        return True

    def home_of_supervisor(self, record: ActorRecord) -> PeerAddress | None:
        """Return where the supervisor of a record runs, if it has one that runs.

        A supervisor that another node started here is not known: it runs where the order of the spawn came from. A
        record has no supervisor any more when the supervisor has ended.
        """
        if record.supervisor is None:
            return None
        supervisor = self._record_of(record.supervisor)
        return record.order.beside_peer_address if supervisor is None else supervisor.home
