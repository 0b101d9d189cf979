"""What is said of a run that failed: what ended it."""

from __future__ import annotations

import asyncio
from typing import Any

import actorrt as art

RAISES_LIMIT = 3  # rollouts of one simulator that raise so often, without a fragment between, raise for good
DEATHS_LIMIT = 6  # in a row; a back-off between restarts keeps their supervisor from ever giving up
GRACE_S = 2.0  # within which a supervisor's death is known after what came of it


async def cause_of(error: art.ActorRtError, down: Any) -> art.ActorRtError:
    """Return what ended a run, where that is more than what the run's loop stumbled over.

    A role whose supervisor dies ends with it, "since its parent ended", and a call after the node was lost says that
    nothing can be asked any more: neither says why to whoever waits for the run. The supervisor's end does.

    Args:
        error: what the loop stumbled over.
        down: a monitor of the run's supervisor; waited for, so it is of no use afterwards.
    """
    try:
        async with asyncio.timeout(GRACE_S):
            reason = (await down).reason
    except TimeoutError:
        return error
    except art.ActorRtError as end:  # nobody is left to say how the supervisor ended
        is_node_lost = isinstance(end, art.ActorDiedError) and end.reason is not None and end.reason.kind == "node_lost"
        return end if is_node_lost else error
    why = "roles failed again and again" if reason.kind == "intensity" else "its roles ended with it"
    return art.ActorDiedError(f"the supervisor of the run is gone: {reason}; {why}", reason=reason)


def died_for_good(who: str, count: int, error: Exception) -> art.ActorDiedError:
    """Return what is said of a role that died `count` times in a row before it had done anything."""
    return art.ActorDiedError(f"{who} died {count} times in a row: {error}")


def is_users(error: Exception) -> bool:
    """Whether it was code of the user's that failed, an environment or a callback, so that every role is well."""
    return not isinstance(error, art.ActorRtError) or isinstance(error, art.RemoteActorError)
