"""Pure: the order in which wants are served: how much of the node each job, submitter and class holds.

Wants are compared by the resource of which they need the largest part of what the node has: for most of them the CPUs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from actorrt.ids import JobId, PeerId
from actorrt.node.leases.needs import Amounts

_DIGITS: Final = 9

Key: TypeAlias = tuple[object, ...]
Place: TypeAlias = tuple[float, ...]
"""A place in the line; smaller ones come first."""


class Holder(NamedTuple):
    """A class of a submitter. Its first item and its first two items stand for the job and the submitter."""

    job: JobId
    submitter: PeerId
    task_class: int


class Turns:
    """When each job, submitter and class was served last. Those that were served longer ago come first among equals."""

    def __init__(self) -> None:
        self._served: dict[Key, int] = {}

    def served(self, holder: Holder, number: int) -> None:
        """Note that a holder was served; later numbers are higher."""
        for level in (1, 2, 3):
            self._served[holder[:level]] = number

    def of(self, key: Key) -> int:
        """Return when the holder was served last."""
        return self._served.get(key, 0)

    def forget(self, keys: Iterable[Key]) -> None:
        """Forget holders that want nothing any more."""
        for key in keys:
            self._served.pop(key, None)


class Shares:
    """The shares of all holders of each resource.

    Args:
        total: the amounts of the node.
        turns: who was served when.
    """

    def __init__(self, total: Amounts, turns: Turns) -> None:
        self._total = total
        self._turns = turns
        self._held: dict[Key, dict[str, float]] = {}

    def add(self, holder: Holder, amounts: Amounts, sign: int = 1) -> None:
        """Add what a lease of the holder takes, or subtract it if `sign` is -1."""
        for level in (1, 2, 3):
            held = self._held.setdefault(holder[:level], {})
            for name, amount in amounts.items():
                held[name] = round(held.get(name, 0.0) + sign * amount, _DIGITS)

    def place(self, holder: Holder, name: str, depth: int) -> Place:
        """Return the place in the line of a holder, whose tasks are nested so deeply, by its shares of a resource.

        The job with the smallest share comes first, then its submitter with the smallest share, of these the one with
        the deepest tasks, then its deepest class, then its class with the smallest share.
        """
        job, submitter = holder[:1], holder[:2]
        of_job, of_submitter, of_class = (self._of(key, name) for key in (job, submitter, holder))
        turns = self._turns
        return of_job, turns.of(job), of_submitter, -depth, turns.of(submitter), of_class, turns.of(holder)

    def ranks(self, name: str, first: Holder, first_depth: int, second: Holder, second_depth: int) -> tuple[Key, Key]:
        """Return what decides between two holders but for their turns: the smaller one comes first."""
        if first.job != second.job:
            return (self._of(first[:1], name),), (self._of(second[:1], name),)
        if first.submitter != second.submitter:
            return (self._of(first[:2], name), -first_depth), (self._of(second[:2], name), -second_depth)
        return (-first_depth, self._of(first, name)), (-second_depth, self._of(second, name))

    def _of(self, key: Key, name: str) -> float:
        return round(self._held.get(key, {}).get(name, 0.0) / self._total[name], _DIGITS)
