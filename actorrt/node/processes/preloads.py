"""Pure: the modules that zygotes import beside their own, since users asked for it.

A module that can't be imported, that starts threads, or over which a zygote ends is given up, and
told of; nothing else fails of it, since workers import for themselves what they do not find imported.

    ordered ──asked──▶ imported        asked of each new zygote again
                 └───▶ given up        never asked again
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any


class Preloads:
    """What was ordered, and what the running zygote has not answered yet."""

    def __init__(self) -> None:
        self._sys_path_of: dict[str, list[str]] = {}
        self._given_up: set[str] = set()
        self._unanswered: deque[str] = deque()
        self._culprit: tuple[str, str] | None = None

    def order(self, modules: Sequence[str], sys_path: Sequence[str]) -> list[dict[str, Any]]:
        """Return what to ask the running zygote, for those modules that it was not asked for yet."""
        fresh = [name for name in dict.fromkeys(modules) if name not in self._sys_path_of.keys() | self._given_up]
        self._sys_path_of.update((name, list(sys_path)) for name in fresh)
        return self._asked(fresh)

    def of_next_zygote(self) -> list[dict[str, Any]]:
        """Return what to ask a zygote that has just been started."""
        self._unanswered.clear()
        return self._asked(list(self._sys_path_of))

    def _asked(self, modules: Sequence[str]) -> list[dict[str, Any]]:
        self._unanswered.extend(modules)
        return [{"kind": "preload", "module": name, "sys_path": self._sys_path_of[name]} for name in modules]

    def answered(self, module: str, problem: str | None) -> None:
        """The zygote has imported a module or, where there is a problem, not."""
        self._unanswered.remove(module)
        if problem is not None:
            self._give_up(module)

    def zygote_will_exit(self, module: str, problem: str) -> None:
        """The zygote has said that it will end for a module's sake."""
        self._culprit = (module, problem)

    def zygote_ended(self) -> tuple[str, str] | None:
        """Return the module that the zygote ended over, if it was one, and the problem; the next one is spared it."""
        culprit, self._culprit = self._culprit, None
        if culprit is None and self._unanswered:
            culprit = (self._unanswered[0], "the zygote ended while it imported it")
        if culprit is not None:
            self._give_up(culprit[0])
        return culprit

    def _give_up(self, module: str) -> None:
        del self._sys_path_of[module]
        self._given_up.add(module)
