"""Monitors: the public function."""

from __future__ import annotations

from typing import Any

from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.actors.refs.ends import Down
from actorrt.actors.refs.operation import Operation
from actorrt.actors.refs.ref import ActorRef, require_ref


def monitor(ref: ActorRef[Any], *, restarts: bool = False) -> Operation[Down]:
    """Return an operation that ends with a `Down` when the actor is gone for good; at once if it is gone already.

    Args:
        ref: the actor to watch.
        restarts: end also when an incarnation ends and another follows. It is about the newest incarnation that this
            process has heard of, and whose end no monitor of restarts here has told.

    The Down comes after every message and reply that the actor had sent to this process, when its children have ended
    and its name is free again.

    Raises:
        TypeError: `ref` is not a ref.
    """
    return current_endpoint().monitors.watch(require_ref("monitor", ref), restarts)
