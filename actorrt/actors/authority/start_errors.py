"""The errors of starts that fail, or that another event overtakes."""

from __future__ import annotations

from actorrt.actors.authority.record import ActorRecord
from actorrt.errors import ActorStartError
from actorrt.reasons import ExitReason


def stopped_early(record: ActorRecord) -> ActorStartError:
    """Make the error of a start that was overtaken by the order to stop."""
    return ActorStartError(f"{record.label} was stopped before it started")


def parent_ended(record: ActorRecord) -> ActorStartError:
    """Make the error of a spawn that was overtaken by the end of the actor that asked for it."""
    return ActorStartError(f"{record.label} did not start: the actor that spawned it has ended")


def start_too_late(record: ActorRecord, limit_s: float, waits_for: str) -> ActorStartError:
    """Make the error of a start that took longer than its options allow; the words say what it waited for."""
    return ActorStartError(
        f"{record.label} did not start within start_timeout_s={limit_s:g}: {waits_for}; give it more time, or see why "
        "that takes so long"
    )


def start_error(record: ActorRecord, error: Exception) -> ActorStartError:
    """Return the error of a start that raised `error`, whatever that was."""
    if isinstance(error, ActorStartError):
        return error
    reason = getattr(error, "reason", None)
    return ActorStartError(
        f"{record.label} did not start: {type(error).__name__}: {error}",
        reason=reason if isinstance(reason, ExitReason) else None,
    )
