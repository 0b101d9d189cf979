"""Calls that were set aside: the public function."""

from __future__ import annotations

from actorrt.actors.calling.deadly_calls import Poison
from actorrt.actors.endpoint.current_endpoint import current_endpoint


def poison() -> list[Poison]:
    """Return the calls of this process that were set aside, oldest first.

    A call with `retries=` is set aside when it has ended its actor three times: it fails with
    `ActorUnavailableError`, and is not sent again, whatever is left of its retries. The newest 1,000 are kept.
    """
    return list(current_endpoint().pending.deaths.set_aside)
