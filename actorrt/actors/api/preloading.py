"""Modules that workers find imported when they start."""

from __future__ import annotations

from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.actors.refs.operation import Operation
from actorrt.protocol.nodes import Preload


def preload(*modules: str) -> Operation[None]:
    """Have the node import modules once, so that workers that start after this find them imported.

    Worth it for what takes long to import and many actors need. The order is given at once; what it returns resolves
    when the node has it. A module that can't be imported, or starts threads, is logged by the node, and workers import
    it themselves; so they do on a node of its own, which serves other jobs, too, and may mean other modules by the
    same names.

    Modules are imported in the environment that the node was started in: those that read the environment when they
    are imported do not see `env_vars`. What they draw at random then, all workers have.

    Args:
        *modules: their full names.

    Raises:
        ValueError: what is given is no module's name.
        RuntimeStateError: the runtime is not running; or, from the result, it was shut down.
    """
    for name in modules:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"preload({name!r}): give modules by their full names, such as 'gymnasium.envs'")
    system = current_endpoint()

    async def order() -> None:
        await system.control.request(system.node, Preload(modules=list(modules), job=system.job))

    return system.operate(f"the order to preload {', '.join(modules)}", order)
