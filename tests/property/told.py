"""Object tables that remember what they were told, for the error of an object that is not as it has to be."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any

from actorrt.invariants import BrokenInvariantError
from actorrt.store.table.table import ObjectTable

TOLD = (
    *("declare", "locate", "set_origin", "create", "contain", "seal", "abort", "fail", "acquire", "arrive", "transit"),
    *("settle", "release", "pin", "unpin", "free", "move", "lose", "subscribe", "disconnect", "sweep", "tick"),
)


class ToldTable(ObjectTable):
    """A table that checks itself after each word, and tells the story of the object that a rule is broken for."""

    def __init__(self) -> None:
        super().__init__()
        self._story: list[tuple[str, tuple[Any, ...]]] = []
        for name in TOLD:
            setattr(self, name, self._noted(name, getattr(self, name)))

    def _noted(self, name: str, tell: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(tell)
        def told(*arguments: Any, **more: Any) -> Any:
            self._story.append((name, (*arguments, *more.items())))
            return tell(*arguments, **more)

        return told

    def check_invariants(self) -> None:
        try:
            super().check_invariants()
        except BrokenInvariantError as error:
            for line in self.story(error.subject):
                error.add_note(line)
            raise

    def story(self, object_id: Hashable) -> list[str]:
        """Return what was said of an object, and what was said of all."""
        return [
            f"{name}{arguments}"
            for name, arguments in self._story
            if object_id in arguments or not any(isinstance(argument, bytes) for argument in arguments)
        ]
