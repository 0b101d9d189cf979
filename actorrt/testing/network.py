"""Gives tests the network of a runtime in local mode, so that they can cut, stall and delay its connections.

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
    """Return the addresses of the runtime's own endpoint, and of the endpoint where an actor last ran.

    Raises:
        ValueError: the runtime has no message of the actor yet.
    """
    seen = runtime.endpoint.routes.sighting(actor._actor_id) or actor._seen
    if seen is None:
        raise ValueError(f"it is not known where {actor!r} runs: call it first")
    return runtime.endpoint.peers.own.address, seen.peer_address.address
