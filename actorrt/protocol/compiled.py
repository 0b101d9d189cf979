"""Compiles every record and its form when this module is imported.

Other processes compile a record when they first use it, since most of them use few. The zygote imports this module
once, so that no worker has to compile anything, and workers share the memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Final

from actorrt.protocol import authorities, hosts, leases, nodes, objects, processes
from actorrt.protocol.annotations import record_form
from actorrt.protocol.record_type import compile_init
from actorrt.protocol.verb import VERBS, Record, answer_form

MODULES: Final[tuple[ModuleType, ...]] = (authorities, hosts, leases, nodes, objects, processes)
"""The modules that define verbs, for each kind of process that answers them, and of leases; they fill `VERBS`."""


def records(base: type[Record] = Record) -> Iterator[type[Record]]:
    """Yield every record but the base classes, which have no fields."""
    for cls in base.__subclasses__():
        if hasattr(cls, "record_fields"):
            yield cls
        yield from records(cls)


def compile_records() -> None:
    """Compile `__init__` and the form of each record, and the form of each answer."""
    for record in records():
        compile_init(record)
        record_form(record)
    for request in VERBS.values():
        answer_form(request)


compile_records()
