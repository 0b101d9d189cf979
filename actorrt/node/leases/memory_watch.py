"""Ends workers whose tasks use more memory than they have reserved.

What counts is the memory that no file and no other process shares, beyond what the process had when it was lent.
Objects of the store that a task reads do not count. Memory is looked at now and then, so a process may use more for a
moment; the kernel's own limit is behind this one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from actorrt.background import in_background
from actorrt.config import MIB
from actorrt.ids import PeerId
from actorrt.node.placement.jobs import Worker
from actorrt.node.processes.process_stat import private_bytes
from actorrt.scopes import Scope

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.1
"""How often memory is looked at while a worker is lent that has a limit."""


class MemoryWatch:
    """Watches the workers that are lent with a limit.

    Args:
        scope: owns the timer.
        limits: returns the workers that are lent with a limit, with how many bytes they may use.
        kill: ends a worker.
    """

    def __init__(
        self, scope: Scope, limits: Callable[[], Mapping[Worker, float]], kill: Callable[[Worker], None]
    ) -> None:
        self._scope = scope
        self._limits = limits
        self._kill = kill
        self._at_start: dict[PeerId, int] = {}
        self._is_looking = False

    def lent(self, worker: Worker) -> None:
        """Called when a worker is lent: what it uses now is none of the tasks to come."""
        if worker not in self._limits() or worker.process is None or worker.pid is None:
            return
        used_bytes = private_bytes(worker.pid)
        if used_bytes is not None:
            self._at_start[worker.peer] = used_bytes
            self._begin()

    def ended(self, peer: PeerId) -> None:
        """Called when a process has ended."""
        self._at_start.pop(peer, None)

    def _begin(self) -> None:
        """Look at memory from now on, as long as a worker is lent with a limit."""
        if not self._is_looking and self._limits():
            self._is_looking = True
            in_background(self._scope.after, LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._is_looking = False
        for worker, limit_bytes in self._limits().items():
            at_start = self._at_start.get(worker.peer)
            used_bytes = None if at_start is None or worker.pid is None else private_bytes(worker.pid)
            if used_bytes is None or at_start is None or used_bytes - at_start <= limit_bytes or worker.memory_excess:
                continue
            used = f"{(used_bytes - at_start) / MIB:.0f} MiB"
            worker.memory_excess = f"its task used {used}, and has reserved memory_bytes={limit_bytes:.0f}"
            logger.warning("%s (pid %s) is killed: %s", worker.label, worker.pid, worker.memory_excess)
            self._kill(worker)
        self._begin()
