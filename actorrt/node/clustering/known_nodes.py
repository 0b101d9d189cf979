"""The addresses of other nodes, kept in a file, by which a node that starts again finds its cluster."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence

from actorrt.machine.disk import Disk

logger = logging.getLogger(__name__)


class KnownNodes:
    """The TLS addresses of the other members, as they were when they last changed.

    Args:
        path: the file.
        disk: keeps it.
    """

    def __init__(self, path: str, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._kept: list[str] | None = None

    def addresses(self) -> list[str]:
        """Return the addresses, each `host:port`; none if the file is missing or damaged."""
        try:
            found = json.loads(bytes(self._disk.read(self._path)))
        except (OSError, ValueError):
            return []
        return [str(address) for address in found] if isinstance(found, list) else []

    def keep(self, addresses: Sequence[str]) -> None:
        """Keep the addresses, unless they are the same, or there are none: then the last ones stay."""
        if not addresses or list(addresses) == self._kept:
            return
        draft = f"{self._path}.draft"
        try:
            file = self._disk.create(draft)
            try:
                file.write(json.dumps(list(addresses)).encode())
                file.sync()
            finally:
                file.close()
            self._disk.rename(draft, self._path)
            self._disk.sync_directory(os.path.dirname(self._path))
        except OSError as error:
            logger.warning("the addresses of the other nodes could not be kept in %s: %s", self._path, error)
            return
        self._kept = list(addresses)
