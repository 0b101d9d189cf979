"""Finding actors by name."""

from __future__ import annotations

from typing import Any

from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.actors.policy import checks
from actorrt.actors.refs.operation import Operation
from actorrt.actors.refs.ref import ActorRef


def lookup(name: str, timeout_s: float = 0, namespace: str | None = None) -> Operation[ActorRef[Any]]:
    """Find the live actor that has a name.

    Args:
        name: the name it was spawned with.
        timeout_s: seconds to wait until an actor has the name; 0 asks once.
        namespace: where the name lives; None: in the namespace of the caller.

    Raises:
        NameNotFoundError: (from the result) no live actor has the name.
        TypeError, ValueError: an argument of a wrong type, or out of range.
    """
    checks.text("name", name)
    checks.number(0)("timeout_s", timeout_s)
    checks.optional(checks.text)("namespace", namespace)
    return current_endpoint().lookups.by_name(name, timeout_s, namespace)
