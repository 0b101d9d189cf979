"""The processes of a machine: the daemon, its workers, and the drivers that are connected to it.

The package has the name of a public function: `actorrt.node(id)` is the placement on one node. Whoever imports a module
of the package, as the runtime itself does, makes `actorrt.node` the package; so the package can be called.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from actorrt.actors.policy import node_placement


class _CallablePackage(ModuleType):
    """A package that stands for a function too."""

    def __call__(self, id: str | bytes) -> node_placement.OnNode:
        return node_placement.node(id)

    def __reduce__(self) -> Any:
        """Pickle it by its name, as other modules are."""
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _CallablePackage
