"""The actors that are hosted in the tests' own process: in local mode, all of them."""

from __future__ import annotations

from weakref import WeakSet

from actorrt.actors.cells.cell import Cell
from actorrt.actors.endpoint.endpoint import System
from actorrt.actors.hosting.host import Host

_hosts: WeakSet[Host] = WeakSet()
_make_host = Host.__init__


def _note_host_and_make(host: Host, system: System) -> None:
    _make_host(host, system)
    _hosts.add(host)


Host.__init__ = _note_host_and_make  # type: ignore[method-assign]


def hosted_cells() -> list[Cell]:
    """Return the cells of all actors in this process."""
    return [cell for host in list(_hosts) for cell in host.cells()]
