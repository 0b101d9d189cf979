"""The network of a runtime in local mode, so that tests can cut, stall and delay its connections.

async with art.Runtime(mode="local") as runtime:
    counter = await Counter.options(isolation="process").spawn()
    net = network(runtime)
    here, there = addresses(runtime, counter)
    net.cut(here, there)
    ...
    net.heal()
"""

from __future__ import annotations

from typing import Any

from actorrt.actors.refs.ref import ActorRef
from actorrt.node.driver.local_connection import LocalConnection
from actorrt.node.driver.runtime import Runtime
from actorrt.transport.memory.network import MemoryNetwork


def network(runtime: Runtime) -> MemoryNetwork:
    """Return the network of a runtime in local mode.

    Raises:
        ValueError: the runtime is not in local mode, or not started.
    """
    connection = runtime._connection
    if not isinstance(connection, LocalConnection):
        raise ValueError(f"{runtime} has no network in memory: give it mode='local', and start it")
    return connection.network


def addresses(runtime: Runtime, actor: ActorRef[Any]) -> tuple[str, str]:
    """Return the addresses of the runtime's own endpoint, and of the endpoint where an actor was last seen.

    Raises:
        ValueError: the actor has not been seen.
    """
    seen = runtime.system.routes.sighting(actor._actor_id) or actor._seen
    if seen is None:
        raise ValueError(f"{actor!r} has not been seen anywhere: call it first")
    return runtime.system.peers.own.address, seen.endpoint.address
