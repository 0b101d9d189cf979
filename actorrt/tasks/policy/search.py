"""Pure: which tasks to run again, so that lost objects are made again, and no others.

An object is missing if the store does not have it. The tasks of the wanted objects run again, and those of missing
objects that these take, and so on. The store is asked for more objects each time, through tasks that are not known to
be needed yet: a chain of 10,000 lost results takes some 20 questions. Nothing here recurses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from actorrt.config import MIB
from actorrt.ids import ObjectId, short
from actorrt.tasks.policy.origins import MAX_BYTES, MAX_RUNS_COUNT, RUNS_WITHIN_S, Need, Origin, Origins

MAX_ASKED_COUNT: Final = 1_000


class Search:
    """One search.

    Args:
        origins: the origins of the submitter.
        wanted: those of the objects that are to be made again.
        being_made: the objects that are being made again already.
        now: the time.

    Attributes:
        wanted: the origins of what is to be made again.
    """

    def __init__(
        self, origins: Origins, wanted: Iterable[Origin], being_made: Collection[ObjectId], now: float
    ) -> None:
        self._origins = origins
        self.wanted = list(wanted)
        self._being_made = being_made
        self._now = now
        self._is_here: dict[ObjectId, bool] = {}
        self._missing: dict[int, Origin] = {origin.number: origin for origin in self.wanted}
        self._open = deque(self.wanted)  # missing, and not all of their needs are known
        self._ask_count = 1

    # Asking

    def to_ask(self) -> list[ObjectId]:
        """Return the objects to look for next; none when it is known what to run."""
        self._close()
        asked: dict[ObjectId, None] = {}
        queue = deque(self._open)
        while queue and len(asked) < self._ask_count:
            for need in queue.popleft().needs:
                if need.object_id in self._is_here or need.object_id in asked or need.object_id in self._being_made:
                    continue
                asked[need.object_id] = None
                below = self._origins.get(need.origin)
                if below is not None:
                    queue.append(below)
        self._ask_count = min(2 * self._ask_count, MAX_ASKED_COUNT)
        return list(asked)

    def answered(self, object_ids: Sequence[ObjectId], are_here: Iterable[bool]) -> None:
        """Called when it is known which objects the store has."""
        self._is_here.update(zip(object_ids, are_here, strict=True))

    def vanished(self, object_id: ObjectId, origin: Origin | None) -> None:
        """Called when an object turns out to be missing that was there: it is wanted now, and there is more to ask."""
        self._is_here[object_id] = False
        if origin is not None and origin.number not in self._missing:
            self._missing[origin.number] = origin
            self.wanted.append(origin)
        self._open = deque(self._missing.values())

    def _close(self) -> None:
        """Go through the missing ones whose needs are known now; what these take and is missing becomes open."""
        still_open: deque[Origin] = deque()
        while self._open:
            origin = self._open.popleft()
            is_known = True
            for need in origin.needs:
                if need.object_id in self._being_made:
                    continue
                is_here = self._is_here.get(need.object_id)
                is_known = is_known and is_here is not None
                below = self._origins.get(need.origin)
                if is_here is False and below is not None and below.number not in self._missing:
                    self._missing[below.number] = below
                    self._open.append(below)
            if not is_known:
                still_open.append(origin)
        self._open = still_open

    # What follows

    def refusals(self) -> dict[int, str]:
        """Return why missing objects can't be made again, by the numbers of their origins."""
        why: dict[int, str] = {}
        for number in sorted(self._missing):  # what a task takes has smaller numbers
            origin = self._missing[number]
            refusal = self._refusal(origin)
            for need in origin.needs if not refusal else ():
                if self._is_here.get(need.object_id) is False:
                    refusal = _why_gone(origin, need, self._origins.get(need.origin)) or why.get(need.origin, "")
                    if refusal:
                        break
            if refusal:
                why[number] = refusal
        return why

    def _refusal(self, origin: Origin) -> str:
        if origin.refusal:
            return origin.refusal
        if not origin.may_run(self._now):
            return f"task {origin.name}() has run again {MAX_RUNS_COUNT} times within {RUNS_WITHIN_S:.0f} s already"
        return ""

    def runs(self, refusals: Collection[int]) -> list[Origin]:
        """Return the origins whose tasks run again: each after those that it needs."""
        chosen = {origin.number: origin for origin in self.wanted if origin.number not in refusals}
        queue = list(chosen.values())
        while queue:
            for need in queue.pop().needs:
                below = self._missing.get(need.origin)
                if below is not None and below.number not in chosen and self._is_here.get(need.object_id) is False:
                    chosen[below.number] = below
                    queue.append(below)
        return [chosen[number] for number in sorted(chosen)]


def _why_gone(origin: Origin, need: Need, below: Origin | None) -> str:
    """Return why a missing object that a task takes can't be made again; empty if it has an origin."""
    if below is not None:
        return ""
    taken = f"{need.label} of task {origin.name}()"
    if need.origin:
        return (
            f"{taken}, the result of task {need.name}(), is gone, and how it was made has been dropped: "
            f"at most {MAX_BYTES // MIB} MiB of that are kept"
        )
    return (
        f"{taken}, object {short(need.object_id)}, is gone, and is not made again: no task that this process has "
        "submitted made it; keep a ref to what is put as long as results are needed that were made from it"
    )
