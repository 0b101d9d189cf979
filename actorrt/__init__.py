"""actorrt: an actor runtime for Python, built on asyncio, made for reinforcement learning.

The public API, and nothing else. Names are loaded when they are first used, so that importing the package is
cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from actorrt.config import VERSION as __version__

__all__ = [
    "Actor",
    "ActorDiedError",
    "ActorGroup",
    "ActorRef",
    "ActorRtError",
    "ActorStartError",
    "ActorUnavailableError",
    "AuthenticationError",
    "Backoff",
    "CallCancelledError",
    "CallError",
    "CallTimeoutError",
    "Child",
    "DeadlockError",
    "Down",
    "Exit",
    "ExitKind",
    "ExitReason",
    "MailboxFullError",
    "NameNotFoundError",
    "NameTakenError",
    "ObjectLostError",
    "ObjectNotFoundError",
    "ObjectRef",
    "ObjectStoreFullError",
    "PeerUnreachableError",
    "PlacementError",
    "Poison",
    "RemoteActorError",
    "Reply",
    "Runtime",
    "RuntimeStateError",
    "SerializationError",
    "Stream",
    "Supervisor",
    "WireVersionError",
    "allocate",
    "allocate_many",
    "as_completed",
    "free",
    "gather",
    "init",
    "latest",
    "lookup",
    "monitor",
    "offload",
    "pin",
    "poison",
    "preload",
    "publish",
    "put",
    "put_async",
    "put_many",
    "run",
    "shutdown",
    "store_stats",
    "wait",
]

if TYPE_CHECKING:
    from actorrt.actors.actor import Actor
    from actorrt.actors.backoff import Backoff
    from actorrt.actors.childspec import Child
    from actorrt.actors.group import ActorGroup
    from actorrt.actors.links import Exit
    from actorrt.actors.lookup import lookup
    from actorrt.actors.monitors import Down, monitor
    from actorrt.actors.objects import (
        allocate,
        allocate_many,
        free,
        latest,
        pin,
        publish,
        put,
        put_async,
        put_many,
        store_stats,
    )
    from actorrt.actors.offload import offload
    from actorrt.actors.poison import Poison, poison
    from actorrt.actors.preloading import preload
    from actorrt.actors.ref import ActorRef
    from actorrt.actors.reply import Reply
    from actorrt.actors.streams import Stream
    from actorrt.actors.supervisor import Supervisor
    from actorrt.actors.waiting import as_completed, gather, wait
    from actorrt.errors import (
        ActorDiedError,
        ActorRtError,
        ActorStartError,
        ActorUnavailableError,
        AuthenticationError,
        CallCancelledError,
        CallError,
        CallTimeoutError,
        DeadlockError,
        MailboxFullError,
        NameNotFoundError,
        NameTakenError,
        ObjectLostError,
        ObjectNotFoundError,
        ObjectStoreFullError,
        PeerUnreachableError,
        PlacementError,
        RemoteActorError,
        RuntimeStateError,
        SerializationError,
        WireVersionError,
    )
    from actorrt.node.driver.runtime import Runtime, run
    from actorrt.node.driver.session import init, shutdown
    from actorrt.reasons import ExitKind, ExitReason
    from actorrt.store.published import Latest
    from actorrt.store.ref import ObjectRef

_HOMES = {
    "actorrt.actors.actor": ("Actor",),
    "actorrt.actors.backoff": ("Backoff",),
    "actorrt.actors.childspec": ("Child",),
    "actorrt.actors.group": ("ActorGroup",),
    "actorrt.actors.monitors": ("Down", "monitor"),
    "actorrt.actors.objects": (
        "allocate",
        "allocate_many",
        "free",
        "latest",
        "pin",
        "publish",
        "put",
        "put_async",
        "put_many",
        "store_stats",
    ),
    "actorrt.actors.links": ("Exit",),
    "actorrt.actors.lookup": ("lookup",),
    "actorrt.actors.offload": ("offload",),
    "actorrt.actors.poison": ("Poison", "poison"),
    "actorrt.actors.preloading": ("preload",),
    "actorrt.actors.ref": ("ActorRef",),
    "actorrt.actors.reply": ("Reply",),
    "actorrt.actors.streams": ("Stream",),
    "actorrt.actors.supervisor": ("Supervisor",),
    "actorrt.actors.waiting": ("as_completed", "gather", "wait"),
    "actorrt.errors": (
        "ActorDiedError",
        "ActorRtError",
        "ActorStartError",
        "ActorUnavailableError",
        "AuthenticationError",
        "CallCancelledError",
        "CallError",
        "CallTimeoutError",
        "DeadlockError",
        "MailboxFullError",
        "NameNotFoundError",
        "NameTakenError",
        "ObjectLostError",
        "ObjectNotFoundError",
        "ObjectStoreFullError",
        "PeerUnreachableError",
        "RemoteActorError",
        "RuntimeStateError",
        "SerializationError",
        "WireVersionError",
    ),
    "actorrt.node.driver.runtime": ("Runtime", "run"),
    "actorrt.node.driver.session": ("init", "shutdown"),
    "actorrt.reasons": ("ExitKind", "ExitReason"),
    "actorrt.store.published": ("Latest",),
    "actorrt.store.ref": ("ObjectRef",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"actorrt has no {name!r}; see actorrt.__all__")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
