"""Preloads modules, so that workers find them imported when they start."""

from __future__ import annotations

from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.actors.refs.operation import Operation
from actorrt.protocol.nodes import Preload


def preload(*modules: str, apart: bool = False) -> Operation[None]:
    """Have the node import modules once, so that workers that start after this find them imported.

    This is worth it for modules that take long to import and that most actors need; if only some actors need them, give
    these the option `preload` instead. The order is sent at once, and the
    operation ends when the node has it. If a module can't be imported, or starts threads, the node logs that, and
    workers import it themselves. They also do so on a node that was started apart: it serves other jobs, too, to which
    the same names may mean other modules.

    Modules are imported in the environment that the node was started in: those that read the environment when they
    are imported do not see `env_vars`. Random numbers that they draw then are the same in all workers.

    Args:
        *modules: their full names.
        apart: whether only actors with the option `preload=modules` need them. Their processes are forked from a
            process of the node that imports the modules. It is started now, not when the first of these actors starts.

    Raises:
        ValueError: an argument is not the name of a module.
        RuntimeStateError: the runtime is not running; or, from the result, it was shut down.
    """
    for name in modules:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"preload({name!r}): give modules by their full names, such as 'gymnasium.envs'")
    endpoint = current_endpoint()

    async def order() -> None:
        await endpoint.control.request(endpoint.node, Preload(modules=list(modules), job=endpoint.job, apart=apart))

    return endpoint.operate(f"the order to preload {', '.join(modules)}", order)
