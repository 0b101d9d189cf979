"""The starts that wait until a node has room for their actors, in order.

Starts with equal needs and placements wait in one line. A change of what is free lets the first of each line try, those
that have waited longest first; when it has found room, the next one of its line tries. So a small actor may start
before a large one that has waited for longer, and never before one of its kind.

Invariant: an entry is in its line from `enter` to `leave`, and waits at most once at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Final

from actorrt.actors.authority.record import ActorRecord
from actorrt.completion import Completion
from actorrt.errors import ActorStartError
from actorrt.ids import ActorId

logger = logging.getLogger(__name__)

MAX_WAITING_COUNT: Final = 10_000
SAY_AFTER_S: Final = 1.0
"""How long a start waits before the log says so."""


class NoRoomError(ActorStartError):
    """No node has room for the actor now; the text says what it waits for."""


class WaitingStarts:
    """The starts of one node that wait for room.

    Args:
        after: calls a function in so many seconds, and returns what cancels that.
    """

    def __init__(self, after: Callable[[float, Callable[[], None]], Callable[[], None]]) -> None:
        self._after = after
        self._lines: dict[Hashable, dict[ActorId, Entry]] = {}
        self._entries: dict[ActorId, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def enter(self, record: ActorRecord, line: Hashable) -> Entry:
        """Put a start at the end of its line.

        Raises:
            ActorStartError: too many starts wait.
        """
        if len(self._entries) >= MAX_WAITING_COUNT:
            raise ActorStartError(
                f"{record.label} did not start: {len(self._entries)} other actors wait for room already; stop actors, "
                "or add a node"
            )
        entry = Entry(self, record, line)
        entry.stop_saying = self._after(SAY_AFTER_S, entry.say)
        self._entries[record.actor_id] = self._lines.setdefault(line, {})[record.actor_id] = entry
        return entry

    def changed(self) -> None:
        """Called when more may be free than before: the first of each line tries again."""
        for line in list(self._lines.values()):
            _try_first(line)

    def left(self, entry: Entry) -> None:
        """Called when an entry leaves: the next one of its line tries."""
        entry.stop_saying()
        actor_id = entry.record.actor_id
        line = self._lines[entry.line]
        del self._entries[actor_id], line[actor_id]
        if line:
            _try_first(line)
        else:
            del self._lines[entry.line]

    def cancel(self, record: ActorRecord, error: ActorStartError) -> bool:
        """End the wait of a start with an error; return whether it waits."""
        entry = self._entries.get(record.actor_id)
        if entry is None:
            return False
        entry.fail(error)
        return True

    def lacks(self, actor_id: ActorId) -> str:
        """Return what an actor waits for, in words; an empty text if it does not wait."""
        entry = self._entries.get(actor_id)
        return "" if entry is None else entry.lacks

    def check_invariants(self) -> None:
        """Raise AssertionError if lines and entries contradict each other."""
        listed = {actor_id: entry for line in self._lines.values() for actor_id, entry in line.items()}
        assert listed == self._entries, "a start is in a line and not known, or known and in no line"
        assert all(self._lines.values()), "an empty line is kept"


class Entry:
    """One start that waits.

    Attributes:
        record, line: the actor, and its line.
        lacks: what it waits for, in words.
        stop_saying: cancels the line in the log.
    """

    def __init__(self, waiting: WaitingStarts, record: ActorRecord, line: Hashable) -> None:
        self.record = record
        self.line = line
        self.lacks = ""
        self.stop_saying: Callable[[], None] = lambda: None
        self._waiting = waiting
        self._turn: Completion[None] = Completion()
        self._error: ActorStartError | None = None

    async def next_turn(self, lacks: str) -> None:
        """Return when the start may try again.

        Args:
            lacks: what it waits for, in words.

        Raises:
            ActorStartError: its wait was ended.
        """
        self.lacks = lacks
        self._turn = Completion()
        if self._error is not None:
            raise self._error
        await self._turn

    def turn(self) -> None:
        """Let the start try again."""
        self._turn.set_value(None)

    def fail(self, error: ActorStartError) -> None:
        """End its wait."""
        self._error = error
        self._turn.set_error(error)

    def leave(self) -> None:
        """Called when the start has room, or has failed."""
        self._waiting.left(self)

    def say(self) -> None:
        """Log what it waits for."""
        logger.warning("%s %s", self.record.label, self.lacks)


def _try_first(line: dict[ActorId, Entry]) -> None:
    next(iter(line.values())).turn()
