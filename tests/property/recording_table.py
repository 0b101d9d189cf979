"""An object table that records the calls of its methods, for the error of an object that breaks an invariant."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any

from actorrt.invariants import BrokenInvariantError
from actorrt.store.table.table import ObjectTable

RECORDED = (
    *("declare", "locate", "set_origin", "create", "contain", "seal", "abort", "fail", "acquire", "arrive", "transit"),
    *("settle", "release", "pin", "unpin", "free", "move", "lose", "subscribe", "disconnect", "sweep", "tick"),
    *("keep", "claim", "fetch_failed"),
)


class RecordingTable(ObjectTable):
    """A table that records calls. Its `BrokenInvariantError` has the calls about the object as notes."""

    def __init__(self) -> None:
        super().__init__()
        self._story: list[tuple[str, tuple[Any, ...]]] = []
        for name in RECORDED:
            setattr(self, name, self._recorded(name, getattr(self, name)))

    def _recorded(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def recorded(*arguments: Any, **more: Any) -> Any:
            self._story.append((name, (*arguments, *more.items())))
            return method(*arguments, **more)

        return recorded

    def check_invariants(self) -> None:
        try:
            super().check_invariants()
        except BrokenInvariantError as error:
            for line in self.story(error.subject):
                error.add_note(line)
            raise

    def story(self, object_id: Hashable) -> list[str]:
        """Return the calls about an object, and the calls about no object in particular."""
        return [
            f"{name}{arguments}"
            for name, arguments in self._story
            if object_id in arguments or not any(isinstance(argument, bytes) for argument in arguments)
        ]
