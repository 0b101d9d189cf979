"""Pure: how the objects were made that one submitter's tasks have left in a store, so that lost ones are made again.

The origin of an object is its task: function, arguments and options. An origin is kept while a ref to the object lives,
and while the origin of another object needs it. The bytes of arguments in a store are not kept by it: an argument is
another task's result, which has an origin, or an object that can't be made again.

Origins take at most `MAX_BYTES`. Beyond that the oldest are dropped, and what needs them can't be made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from actorrt.config import MIB
from actorrt.ids import ObjectId
from actorrt.invariants import about

MAX_BYTES: Final = 64 * MIB
"""How much memory the origins of one submitter take."""
ORIGIN_BYTES: Final = 700
"""About how much memory an origin takes beside its arguments."""
MAX_RUNS_COUNT: Final = 3
RUNS_WITHIN_S: Final = 60.0
"""A task runs again at most so often within so long: an object that is lost again and again is given up."""
DOUBTFUL_COUNT: Final = 512
"""So many origins whose refs here are gone are looked at together: other processes may have refs."""


class Need(NamedTuple):
    """An object that a task takes.

    Attributes:
        label: which argument it is, in words.
        object_id: the object.
        origin: the number of its origin; 0: no task of this submitter has made it.
        name: the function that has made it, if a task of this submitter has.
    """

    label: str
    object_id: ObjectId
    origin: int
    name: str


class Origin:
    """How one object was made.

    Args:
        number: of the origin; the origins that it needs have smaller ones.
        object_id: the object.
        name: the task's function.
        needs: the objects that the task takes, other than values that are kept with its arguments.
        size_bytes: about how much memory it takes.
        refusal: why the task can't run again; empty if it can.
        payload: what the shell needs to run the task again; opaque here.

    Attributes:
        is_held: whether this process may have a ref to the object.
        is_gone: whether nobody refers to the object any more.
        copies: objects that are copies of it.
        dependants_count: how many needs of other origins it satisfies.
        runs_at: when the task ran again.
    """

    __slots__ = (
        "copies",
        "dependants_count",
        "is_gone",
        "is_held",
        "name",
        "needs",
        "number",
        "object_id",
        "payload",
        "refusal",
        "runs_at",
        "size_bytes",
    )

    def __init__(
        self,
        number: int,
        object_id: ObjectId,
        name: str,
        needs: Sequence[Need],
        size_bytes: int,
        refusal: str,
        payload: Any,
    ) -> None:
        self.number = number
        self.object_id = object_id
        self.name = name
        self.needs = needs
        self.size_bytes = size_bytes
        self.refusal = refusal
        self.payload = payload
        self.copies: tuple[ObjectId, ...] = ()
        self.is_held = True
        self.is_gone = False
        self.dependants_count = 0
        self.runs_at: tuple[float, ...] = ()

    @property
    def object_ids(self) -> tuple[ObjectId, ...]:
        """The object and its copies."""
        return (self.object_id, *self.copies)

    @property
    def is_needed(self) -> bool:
        """Whether its object may be asked for, or another origin needs it."""
        return not self.is_gone or self.dependants_count > 0

    def may_run(self, now: float) -> bool:
        """Whether the task may run once more by now."""
        return sum([now - at < RUNS_WITHIN_S for at in self.runs_at]) < MAX_RUNS_COUNT

    def runs(self, now: float) -> None:
        """Called when the task runs again."""
        self.runs_at = (*self.runs_at[1 - MAX_RUNS_COUNT :], now)


class Origins:
    """The origins of one submitter.

    Args:
        max_bytes: how much memory they may take.

    Attributes:
        size_bytes: how much memory they take.
        dropped_count: how many were dropped at the bound.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._by_number: dict[int, Origin] = {}  # oldest first
        self._numbers: dict[ObjectId, int] = {}
        self._doubtful: dict[int, None] = {}  # those that are not held here, and not known to be gone
        self._last_number = 0
        self.size_bytes = 0
        self.dropped_count = 0

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[Origin]:
        """Yield every origin, oldest first."""
        return iter(self._by_number.values())

    def get(self, number: int) -> Origin | None:
        """Return an origin; None if it is not needed any more, or was dropped."""
        return self._by_number.get(number)

    def of(self, object_id: ObjectId) -> Origin | None:
        """Return the origin of an object; None if it has none here."""
        return self._by_number.get(self._numbers.get(object_id, 0))

    def need(self, label: str, object_id: ObjectId) -> Need:
        """Describe an object that a task takes."""
        origin = self.of(object_id)
        return Need(label, object_id, 0, "") if origin is None else Need(label, object_id, origin.number, origin.name)

    def made(
        self, object_id: ObjectId, name: str, needs: Sequence[Need], size_bytes: int, *, refusal: str = "", payload: Any
    ) -> Origin:
        """Note how an object was made that this process has a ref to."""
        self._last_number += 1
        size_bytes += ORIGIN_BYTES
        origin = Origin(self._last_number, object_id, name, needs, size_bytes, refusal, payload)
        self._by_number[origin.number] = origin
        self._numbers[object_id] = origin.number
        self.size_bytes += size_bytes
        for below in self._below(origin):
            below.dependants_count += 1
        while self.size_bytes > self._max_bytes and len(self._by_number) > 1:
            self.dropped_count += 1
            for below in self._remove(next(iter(self._by_number.values()))):
                self._remove_unneeded(below)
        return origin

    def copied(self, number: int, object_id: ObjectId) -> None:
        """Called when another object is a copy of an origin's."""
        origin = self._by_number.get(number)
        if origin is not None and object_id not in self._numbers:
            origin.copies = (*origin.copies, object_id)
            self._numbers[object_id] = number

    def _below(self, origin: Origin) -> Iterator[Origin]:
        """Yield the origins of what a task takes, one for each need."""
        for need in origin.needs:
            below = self._by_number.get(need.origin)
            if below is not None:
                yield below

    def let_go(self, number: int) -> None:
        """Called when this process has no ref to an object any more."""
        origin = self._by_number.get(number)
        if origin is not None:
            origin.is_held = False
            self._doubtful[number] = None

    @property
    def has_many_doubtful(self) -> bool:
        """Whether it is time to look which objects nobody refers to any more."""
        return len(self._doubtful) >= DOUBTFUL_COUNT

    def doubtful(self) -> list[Origin]:
        """Return origins whose objects this process has no refs to, those first that were looked at longest ago."""
        numbers = [number for number, _ in zip(self._doubtful, range(DOUBTFUL_COUNT), strict=False)]
        return [self._by_number[number] for number in numbers]

    def looked_at(self, origins: Iterable[tuple[Origin, bool]]) -> None:
        """Called when it is known which objects nobody refers to any more: each origin, and whether that is so."""
        for origin, is_gone in origins:
            if origin.number not in self._doubtful:
                continue
            del self._doubtful[origin.number]
            if is_gone:
                origin.is_gone = True
                self._remove_unneeded(origin)
            else:
                self._doubtful[origin.number] = None

    def runs(self, origin: Origin, now: float) -> None:
        """Called when the task of an origin runs again: its object exists from now on."""
        origin.runs(now)
        origin.is_gone = False
        if not origin.is_held and origin.number in self._by_number:
            self._doubtful[origin.number] = None

    def _remove_unneeded(self, origin: Origin) -> None:
        """Remove an origin that is not needed, and those that only it has needed."""
        unneeded = [] if origin.is_needed else [origin]
        while unneeded:
            unneeded += [below for below in self._remove(unneeded.pop()) if not below.is_needed]

    def _remove(self, origin: Origin) -> list[Origin]:
        """Remove an origin; return those that it has needed, and that nothing else needs."""
        del self._by_number[origin.number]
        for object_id in origin.object_ids:
            del self._numbers[object_id]
        self._doubtful.pop(origin.number, None)
        self.size_bytes -= origin.size_bytes
        freed = []
        for below in self._below(origin):
            below.dependants_count -= 1
            if below.dependants_count == 0:
                freed.append(below)
        return freed

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError, with the origin concerned, if the origins contradict each other."""
        assert self.size_bytes == sum(origin.size_bytes for origin in self), "the bytes are not those of the origins"
        assert self.size_bytes <= self._max_bytes or len(self) == 1, "the bound is exceeded"
        objects = [object_id for origin in self for object_id in origin.object_ids]
        assert sorted(objects) == sorted(self._numbers), "an object has two origins, or an origin has no object"
        dependants: dict[int, int] = {}
        for origin in self:
            for need in origin.needs:
                dependants[need.origin] = dependants.get(need.origin, 0) + 1
        for number, origin in self._by_number.items():
            with about(number):
                assert origin.number == number, "it has another number"
                assert all(need.origin < number for need in origin.needs), "it needs what was made later"
                assert origin.dependants_count == dependants.get(number, 0), f"it has {origin.dependants_count}"
                assert origin.is_needed, "nothing needs it, and it is kept"
                is_doubtful = not origin.is_held and not origin.is_gone
                assert is_doubtful == (number in self._doubtful), "it is looked at, or is not, and should not be"
