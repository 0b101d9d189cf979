"""What is said of a run that failed: what ended it."""

from __future__ import annotations

from typing import Any

import actorrt as art

GRACE_S = 2.0  # within which a supervisor's death is known after what came of it


async def cause_of(error: art.ActorDiedError, down: Any) -> art.ActorDiedError:
    """Return what ended a run, where that is more than what the run's loop stumbled over.

    Whose supervisor dies ends with it, "since its parent ended": that says nothing to whoever waits for the run.

    Args:
        error: what the loop stumbled over.
        down: a monitor of the run's supervisor.
    """
    await art.wait([down], timeout_s=GRACE_S)
    if not down.done() or down.error() is not None:
        return error
    reason = down.value().reason
    why = "roles failed again and again" if reason.kind == "intensity" else "its roles ended with it"
    return art.ActorDiedError(f"the supervisor of the run is gone: {reason}; {why}", reason=reason)


def died_for_good(who: str, count: int, error: Exception) -> art.ActorDiedError:
    """Return what is said of a role that died `count` times in a row before it had done anything."""
    return art.ActorDiedError(f"{who} died {count} times in a row: {error}")


def is_users(error: Exception) -> bool:
    """Whether it was code of the user's that failed, an environment or a callback, so that every role is well."""
    return not isinstance(error, art.ActorRtError) or isinstance(error, art.RemoteActorError)
