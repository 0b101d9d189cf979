"""Pure: who comes next: how much of the node each job, submitter and class holds.

What is shared is the *dominant share*, as in dominant resource fairness (Ghodsi and others, 2011): the largest part
that a holder has of any resource of the node. For classes that need CPUs only, this is the share of the CPUs.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from actorrt.ids import JobId, PeerId
from actorrt.node.leases.needs import Amounts

_DIGITS: Final = 9

Place: TypeAlias = tuple[float, float, int, float, float]
"""A place in the line: smaller ones come first."""


class Holder(NamedTuple):
    """A class of a submitter. Its first item and its first two items stand for the job and the submitter."""

    job: JobId
    submitter: PeerId
    task_class: int


class Shares:
    """The shares of all holders.

    Args:
        total: the amounts of the node.
    """

    def __init__(self, total: Amounts) -> None:
        self._total = total
        self._held: dict[tuple[object, ...], dict[str, float]] = {}

    def add(self, holder: Holder, amounts: Amounts, sign: int = 1) -> None:
        """Add what a lease of the holder reserves, or subtract it if `sign` is -1."""
        for level in (1, 2, 3):
            held = self._held.setdefault(holder[:level], {})
            for name, amount in amounts.items():
                held[name] = round(held.get(name, 0.0) + sign * amount, _DIGITS)

    def place(self, holder: Holder, depth: int, turn: float) -> Place:
        """Return the place of a holder in the line.

        The job with the smallest share comes first, then its submitter with the smallest share, then deeper tasks, then
        the class with the smallest share, then the class that was served longest ago.

        Args:
            holder, depth: the class, and the depth of its tasks.
            turn: a number that grows with each time that a class is served.
        """
        return self._of(holder[:1]), self._of(holder[:2]), -depth, self._of(holder), turn

    def _of(self, key: tuple[object, ...]) -> float:
        held = self._held.get(key, {})
        return max((round(amount / self._total[name], _DIGITS) for name, amount in held.items() if amount), default=0.0)
