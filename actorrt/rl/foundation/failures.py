"""Finds the cause of a run's failure, and how often a role may fail before the run does."""

from __future__ import annotations

import asyncio
from typing import Any

import actorrt as art

RAISES_LIMIT = 3  # so many rollouts of one simulator in a row may raise before the error is final
DEATHS_LIMIT = 6  # so many deaths of one role in a row, without any result between, end the run
GRACE_S = 2.0  # a supervisor's death is known at most this long after its consequences


class GroupLostError(Exception):
    """A learner can't learn any more, since another one of its group has died or does not answer."""


async def cause_of(error: art.ActorRtError, down: Any) -> art.ActorRtError:
    """Return what ended a run: the end of its supervisor if that caused the error, else the error.

    When a supervisor dies, its roles end "since its parent ended", and after the loss of the node a call says only that
    nothing can be asked any more. Neither tells a user the cause; the end of the supervisor does.

    Args:
        error: the error that the run's loop got.
        down: a monitor of the run's supervisor. This function consumes it.
    """
    try:
        async with asyncio.timeout(GRACE_S):
            reason = (await down).reason
    except TimeoutError:
        return error
    except art.ActorRtError as end:  # nothing is left that could tell how the supervisor ended
        is_node_lost = isinstance(end, art.ActorDiedError) and end.reason is not None and end.reason.kind == "node_lost"
        return end if is_node_lost else error
    return art.ActorDiedError(f"the supervisor of the run is gone: {reason}; its roles ended with it", reason=reason)


def died_for_good(role: str, count: int, error: Exception) -> art.ActorDiedError:
    """Return the error for a role that died `count` times in a row without any result; its reason is `intensity`."""
    text = f"{role} died {count} times in a row"
    reason = art.ExitReason(art.ExitKind.INTENSITY, f"{text}, without any result between")
    final = art.ActorDiedError(f"{text}: {error}", reason=reason)
    final.__cause__ = error
    return final


def leaves_state(error: Exception) -> bool:
    """Whether the roles that hold the state of a run still live after this error, so that they can be asked for it."""
    if isinstance(error, art.ActorDiedError):
        return error.reason is not None and error.reason.kind is art.ExitKind.INTENSITY
    return is_from_user_code(error)


def is_from_user_code(error: Exception) -> bool:
    """Whether the user's own code failed, an environment or a callback; all roles are fine then."""
    return not isinstance(error, art.ActorRtError) or isinstance(error, art.RemoteActorError)
