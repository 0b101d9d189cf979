"""Pure: requests for the source of modules, which the node of a driver has and other nodes of its job may lack."""

from __future__ import annotations

from actorrt.ids import JobId
from actorrt.protocol.verb import Record, Request, verb


class ModuleText(Record):
    """A module, as the node of the driver finds it in the import path of the driver.

    Attributes:
        origin: its file there; for a folder without `__init__.py`, an empty text.
        source: the contents of that file; None if there is none, if it is no text of Python, or if it is too large.
        is_package: whether it has modules inside.
        is_installed: whether it lies among installed packages, of which each machine has its own.
    """

    origin: str
    source: bytes | None
    is_package: bool
    is_installed: bool


@verb("read_module", asked_by="a node where the job is a guest")
class ReadModule(Request[ModuleText | None]):
    """Return a module of the driver's code; None if the driver can't import one of this name.

    Attributes:
        name: its full name, with dots.

    Raises:
        ActorStartError: the job has ended.
    """

    job: JobId
    name: str
