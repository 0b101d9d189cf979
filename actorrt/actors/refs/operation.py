"""The outcome of a spawn, a lookup, a stop and the like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from actorrt.actors.refs import current
from actorrt.actors.refs.message_waits import waiter_of
from actorrt.completion import Completion, Waiter

T = TypeVar("T")


class Operation(Completion[T]):
    """The outcome of a spawn, a lookup, a stop and the like. Await it, or take its `result()` in plain code.

    Cancelling the only coroutine that awaits it cancels the operation.

    Args:
        what: what it is, for its errors.
        cancel: stops it.
        parts: it ends with all of these, so a wait for it is a wait for each of them.
        choices: yields items of which some end it, in the order in which they are best tried.
    """

    __slots__ = ("_cancel", "choices", "parts", "what")

    def __init__(
        self,
        what: str,
        cancel: Callable[[], None] | None = None,
        parts: Sequence[Any] = (),
        choices: Callable[[], Iterator[Any]] = lambda: iter(()),
    ) -> None:
        super().__init__()
        self.what = what
        self._cancel = cancel
        self.parts = parts
        self.choices = choices

    def _waiter(self) -> Waiter:
        message = current.message.get()
        if message is None:
            any(part._is_awaited_among(self.parts) for part in self.parts if isinstance(part, Completion))
            return super()._waiter()
        return waiter_of(message, self) or super()._waiter()

    @property
    def _subject(self) -> str:  # type: ignore[override]
        return self.what

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        """Set what `cancel` does."""
        self._cancel = cancel

    def cancel(self) -> None:
        """Stop the operation. Without effect if it has ended."""
        if not self._is_done and self._cancel is not None:
            self._cancel()

    def _abandoned(self) -> None:
        self.cancel()

    def __repr__(self) -> str:
        return f"<{self.what}: {'done' if self._is_done else 'pending'}>"
