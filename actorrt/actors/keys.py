"""Effectively once: what became of calls that carried a key, for one incarnation of an actor.

A call whose key is known is not handled again: it waits for the first one's outcome, or gets it at once. The
outcome is kept as it was, for `KEY_WINDOW_COUNT` keys, the oldest forgotten first; a key that comes back after
that is handled as new. The next incarnation knows nothing of it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from actorrt.errors import CallError

if TYPE_CHECKING:
    from actorrt.actors.mailbox import Message
    from actorrt.actors.payload import Payloads

KEY_WINDOW_COUNT: Final = 10_000


class _Outcome:
    """Of one key: the calls that wait for it, then its value or error."""

    __slots__ = ("error", "is_there", "value", "waiting", "where")

    def __init__(self) -> None:
        self.waiting: list[Message] = []
        self.is_there = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.where = ""


class Keys:
    """The keyed calls of one incarnation.

    Args:
        payloads: copies outcomes, so that what the actor changes afterwards is not seen.
    """

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._outcomes: OrderedDict[str, _Outcome] = OrderedDict()

    def is_first(self, message: Message, key: str) -> bool:
        """Whether the message is to be handled; one that is not gets the first one's outcome, now or later."""
        outcome = self._outcomes.get(key)
        if outcome is None:
            self._outcomes[key] = _Outcome()
            if len(self._outcomes) > KEY_WINDOW_COUNT:
                self._outcomes.popitem(last=False)
            return True
        if outcome.is_there:
            _tell(message, outcome)
        else:
            outcome.waiting.append(message)
        return False

    def succeeded(self, key: str, value: Any) -> None:
        """The first call of the key returned."""
        self._end(key, self._payloads.copy(value), None, "")

    def failed(self, key: str, error: BaseException, where: str) -> None:
        """The first call of the key raised; that is its outcome for the others, too."""
        self._end(key, None, error, where)

    def _end(self, key: str, value: Any, error: BaseException | None, where: str) -> None:
        outcome = self._outcomes.get(key)
        if outcome is None:
            return  # so many others came meanwhile that it was forgotten
        outcome.is_there, outcome.value, outcome.error, outcome.where = True, value, error, where
        waiting, outcome.waiting = outcome.waiting, []
        for message in waiting:
            _tell(message, outcome)

    def withdrawn(self, key: str) -> list[Message]:
        """The first call of the key was not handled to its end: forget the key, and return who waited for it."""
        outcome = self._outcomes.pop(key, None)
        return [] if outcome is None else outcome.waiting


def _tell(message: Message, outcome: _Outcome) -> None:
    if message.caller is None or not message.call_id:
        return
    if outcome.error is None:
        message.caller.succeed(message.call_id, outcome.value)
    elif isinstance(outcome.error, CallError) and not outcome.where:
        message.caller.refuse(message.call_id, outcome.error)
    else:
        message.caller.fail(message.call_id, outcome.error, outcome.where)
