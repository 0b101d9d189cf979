"""Pure: the modules that successive zygotes import for users, in addition to `zygote.PRELOAD`.

A module is given up, with a warning, if it can't be imported, if it starts threads, or if the zygote ends while it
imports the module. Nothing else fails then: workers import the module themselves.

    ordered ──asked──▶ imported        asked of each new zygote again
                 └───▶ given up        never asked again
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any


class Preloads:
    """The modules that were ordered, and those that the running zygote has not answered for."""

    def __init__(self) -> None:
        self._sys_path_of: dict[str, list[str]] = {}
        self._given_up: set[str] = set()
        self._unanswered: deque[str] = deque()
        self._culprit: tuple[str, str] | None = None

    def copy(self) -> Preloads:
        """Return the orders that were not given up, for other zygotes."""
        copied = Preloads()
        copied._sys_path_of.update(self._sys_path_of)
        return copied

    @property
    def is_awaited(self) -> bool:
        """Whether the running zygote has not answered for a module."""
        return bool(self._unanswered)

    def order(self, modules: Sequence[str], sys_path: Sequence[str]) -> list[dict[str, Any]]:
        """Order modules; return the requests to the running zygote for those that are new."""
        fresh = [name for name in dict.fromkeys(modules) if name not in self._sys_path_of.keys() | self._given_up]
        self._sys_path_of.update((name, list(sys_path)) for name in fresh)
        return self._asked(fresh)

    def of_next_zygote(self) -> list[dict[str, Any]]:
        """Return the requests to a zygote that has just been started."""
        self._unanswered.clear()
        return self._asked(list(self._sys_path_of))

    def _asked(self, modules: Sequence[str]) -> list[dict[str, Any]]:
        self._unanswered.extend(modules)
        return [{"kind": "preload", "module": name, "sys_path": self._sys_path_of[name]} for name in modules]

    def answered(self, module: str, problem: str | None) -> None:
        """Called when the zygote has imported a module, or could not because of `problem`."""
        self._unanswered.remove(module)
        if problem is not None:
            self._give_up(module)

    def zygote_will_exit(self, module: str, problem: str) -> None:
        """Called when the zygote has announced that it exits because of a module."""
        self._culprit = (module, problem)

    def zygote_ended(self) -> tuple[str, str] | None:
        """Give up the module that ended the zygote, if there is one; return the module and the problem."""
        culprit, self._culprit = self._culprit, None
        if culprit is None and self._unanswered:
            culprit = (self._unanswered[0], "the zygote ended while it imported it")
        if culprit is not None:
            self._give_up(culprit[0])
        return culprit

    def _give_up(self, module: str) -> None:
        del self._sys_path_of[module]
        self._given_up.add(module)
