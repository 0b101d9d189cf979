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
    "ControlUnavailableError",
    "DeadlockError",
    "Down",
    "Exit",
    "ExitKind",
    "ExitReason",
    "MailboxFullError",
    "NameNotFoundError",
    "NameTakenError",
    "NodeInfo",
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
    "TaskDiedError",
    "WireVersionError",
    "allocate",
    "allocate_many",
    "as_completed",
    "current_task",
    "free",
    "gather",
    "init",
    "latest",
    "lookup",
    "map",
    "monitor",
    "node",
    "nodes",
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
    "task",
    "wait",
]

if TYPE_CHECKING:
    from actorrt.actors.api.actor import Actor
    from actorrt.actors.api.lookup import lookup
    from actorrt.actors.api.monitoring import monitor
    from actorrt.actors.api.nodes import NodeInfo, nodes
    from actorrt.actors.api.objects import (
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
    from actorrt.actors.api.offload import offload
    from actorrt.actors.api.poisoned import poison
    from actorrt.actors.api.preloading import preload
    from actorrt.actors.calling.deadly_calls import Poison
    from actorrt.actors.calling.streams import Stream
    from actorrt.actors.policy.backoff import Backoff
    from actorrt.actors.policy.node_placement import node
    from actorrt.actors.refs.ends import Down, Exit
    from actorrt.actors.refs.group import ActorGroup
    from actorrt.actors.refs.ref import ActorRef
    from actorrt.actors.refs.reply import Reply
    from actorrt.actors.refs.waiting import as_completed, gather, wait
    from actorrt.actors.supervisors.child import Child
    from actorrt.actors.supervisors.supervisor import Supervisor
    from actorrt.errors import (
        ActorDiedError,
        ActorRtError,
        ActorStartError,
        ActorUnavailableError,
        AuthenticationError,
        CallCancelledError,
        CallError,
        CallTimeoutError,
        ControlUnavailableError,
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
        TaskDiedError,
        WireVersionError,
    )
    from actorrt.node.driver.runtime import Runtime, run
    from actorrt.node.driver.session import init, shutdown
    from actorrt.reasons import ExitKind, ExitReason
    from actorrt.store.client.published import Latest
    from actorrt.store.client.ref import ObjectRef
    from actorrt.tasks.api.current_task import current_task
    from actorrt.tasks.api.mapping import map
    from actorrt.tasks.api.task import task

_HOMES = {
    "actorrt.actors.api.actor": ("Actor",),
    "actorrt.actors.policy.backoff": ("Backoff",),
    "actorrt.actors.policy.node_placement": ("node",),
    "actorrt.actors.supervisors.child": ("Child",),
    "actorrt.actors.refs.group": ("ActorGroup",),
    "actorrt.actors.api.monitoring": ("monitor",),
    "actorrt.actors.api.nodes": ("NodeInfo", "nodes"),
    "actorrt.actors.api.objects": (
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
    "actorrt.actors.api.lookup": ("lookup",),
    "actorrt.actors.api.offload": ("offload",),
    "actorrt.actors.api.poisoned": ("poison",),
    "actorrt.actors.calling.deadly_calls": ("Poison",),
    "actorrt.actors.api.preloading": ("preload",),
    "actorrt.actors.refs.ref": ("ActorRef",),
    "actorrt.actors.refs.ends": ("Down", "Exit"),
    "actorrt.actors.refs.reply": ("Reply",),
    "actorrt.actors.calling.streams": ("Stream",),
    "actorrt.actors.supervisors.supervisor": ("Supervisor",),
    "actorrt.actors.refs.waiting": ("as_completed", "gather", "wait"),
    "actorrt.errors": (
        "ActorDiedError",
        "ActorRtError",
        "ActorStartError",
        "ActorUnavailableError",
        "AuthenticationError",
        "ControlUnavailableError",
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
        "PlacementError",
        "RemoteActorError",
        "RuntimeStateError",
        "SerializationError",
        "TaskDiedError",
        "WireVersionError",
    ),
    "actorrt.node.driver.runtime": ("Runtime", "run"),
    "actorrt.node.driver.session": ("init", "shutdown"),
    "actorrt.reasons": ("ExitKind", "ExitReason"),
    "actorrt.store.client.published": ("Latest",),
    "actorrt.store.client.ref": ("ObjectRef",),
    "actorrt.tasks.api.current_task": ("current_task",),
    "actorrt.tasks.api.mapping": ("map",),
    "actorrt.tasks.api.task": ("task",),
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
