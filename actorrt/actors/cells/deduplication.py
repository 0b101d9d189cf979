"""Effectively once: the outcomes of calls that carried a key, for one incarnation of an actor.

A call is looked at when it is taken from the mailbox. A call whose key is known is not handled again: it gets the
outcome of the first call of that key, at once or when there is one. Outcomes are kept unchanged for `KEY_WINDOW_COUNT`
keys. The oldest key is forgotten first, and its next call is handled as new. The next incarnation knows nothing of
earlier keys.

Invariant: a key is running, or its outcome is kept, or it is unknown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from actorrt.actors.refs.message import Message

KEY_WINDOW_COUNT: Final = 10_000


class _Outcome(NamedTuple):
    """How the first call of a key ended."""

    value: Any
    error: BaseException | None
    where: str


class Deduplication:
    """The keyed calls of one incarnation.

    Args:
        copy: copies results, so that later changes by the actor are not seen.
        answer: gives a result to the caller of a message.
    """

    def __init__(self, copy: Callable[[Any], Any], answer: Callable[[Message, Any], None]) -> None:
        self._copy = copy
        self._answer = answer
        self._running: dict[str, list[Message]] = {}  # the first call of the key, and those that wait for it
        self._outcomes: OrderedDict[str, _Outcome] = OrderedDict()

    def __len__(self) -> int:
        return len(self._outcomes)

    def is_first(self, message: Message, key: str) -> bool:
        """Whether the message is to be handled; one that is not gets the first one's outcome, now or later."""
        outcome = self._outcomes.get(key)
        if outcome is not None:
            self._tell(message, outcome)
            return False
        running = self._running.setdefault(key, [])
        running.append(message)
        return len(running) == 1

    def succeeded(self, message: Message, key: str, value: Any) -> None:
        """Called when a method returned: answer all calls of the key, if the message was the first of them."""
        if self._is_running(message, key):
            self._end(key, _Outcome(self._copy(value), None, ""))

    def failed(self, message: Message, key: str, error: BaseException, where: str) -> None:
        """Called when a method raised: the other calls of the key get the same error."""
        if self._is_running(message, key):
            error = BaseException.with_traceback(error, None)  # nothing that its frames hold is kept
            self._end(key, _Outcome(None, error, where))

    def _is_running(self, message: Message, key: str) -> bool:
        running = self._running.get(key)
        return running is not None and running[0] is message

    def _end(self, key: str, outcome: _Outcome) -> None:
        running = self._running.pop(key)
        self._outcomes[key] = outcome
        if len(self._outcomes) > KEY_WINDOW_COUNT:
            self._outcomes.popitem(last=False)
        for message in running[1:]:
            self._tell(message, outcome)

    def withdrawn(self, message: Message, key: str) -> list[Message]:
        """Called when a message was not handled to its end: return the calls that waited for its outcome."""
        return self._running.pop(key)[1:] if self._is_running(message, key) else []

    def take_waiting(self) -> list[Message]:
        """Remove and return every call that waits for the outcome of another."""
        waiting = [message for running in self._running.values() for message in running[1:]]
        self._running.clear()
        return waiting

    def _tell(self, message: Message, outcome: _Outcome) -> None:
        if outcome.error is None:
            self._answer(message, outcome.value)
        elif message.call_id and message.caller is not None:
            message.caller.fail(message.call_id, outcome.error, outcome.where, "yes")
