"""Pure: what a lease reserves, and what a node has left for leases."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Final, NamedTuple, Self, TypeAlias

from actorrt.protocol.leases import WantLeases

Amounts: TypeAlias = Mapping[str, float]

CPUS: Final = "cpus"
GPUS: Final = "gpus"
MEMORY: Final = "memory_bytes"
_DIGITS: Final = 9
"""Sums are rounded, so that many fractions that are added and subtracted leave exactly 0."""


class Need(NamedTuple):
    """What one lease of a class reserves, and the environment of its worker.

    Attributes:
        amounts: the names and amounts above 0, sorted.
        env_vars: the environment variables, sorted.
    """

    amounts: tuple[tuple[str, float], ...]
    env_vars: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, asked: WantLeases) -> Self:
        """Return what a notice asks for."""
        fixed = {CPUS: asked.cpus, GPUS: asked.gpus, MEMORY: asked.memory_bytes or 0}
        amounts = {name: amount for name, amount in {**asked.resources, **fixed}.items() if amount}
        return cls(tuple(sorted(amounts.items())), tuple(sorted(asked.env_vars.items())))

    @property
    def is_light(self) -> bool:
        """Whether it reserves nothing, so that submitters share one worker."""
        return not self.amounts

    @property
    def has_gpus(self) -> bool:
        """Whether its worker gets devices, which the worker keeps for its life."""
        return GPUS in dict(self.amounts)


class Room:
    """What a node has left for leases, while leases are granted one after another.

    Args:
        total: the amounts of the node.
        by_actors: the amounts that actors have reserved.
        kept_cpus: the CPUs that actors leave to tasks in any case. If there are any, actors and tasks share CPUs: a
            lease gets all the CPUs that it needs when no other lease has any.
    """

    def __init__(self, total: Amounts, by_actors: Amounts, kept_cpus: float) -> None:
        self._total_cpus = total.get(CPUS, 0.0)
        self._is_shared = kept_cpus > 0
        self._cpus_taken = 0.0
        self._left = {name: amount - by_actors.get(name, 0.0) for name, amount in total.items()}
        self._left[CPUS] = max(self._left.get(CPUS, 0.0), kept_cpus)
        self._cpus_at_most = self._total_cpus if self._is_shared else self._left[CPUS]

    def copy(self) -> Room:
        """Return a room in which the same is left."""
        made = copy(self)
        made._left = dict(self._left)
        return made

    def take(self, amounts: Amounts) -> None:
        """Take amounts, whether they are left or not."""
        self._add(amounts, 1)

    def give(self, amounts: Amounts) -> None:
        """Give amounts back."""
        self._add(amounts, -1)

    def _add(self, amounts: Amounts, sign: int) -> None:
        for name, amount in amounts.items():
            self._left[name] = round(self._left.get(name, 0.0) - sign * amount, _DIGITS)
        self._cpus_taken = round(self._cpus_taken + sign * amounts.get(CPUS, 0.0), _DIGITS)

    def lacking(self, amounts: Amounts) -> list[str]:
        """Return the names of which a lease with these amounts finds too little."""
        return [name for name, amount in amounts.items() if not self._fits(name, amount)]

    def _fits(self, name: str, amount: float) -> bool:
        if amount <= self._left.get(name, 0.0):
            return True
        return name == CPUS and self._is_shared and not self._cpus_taken and amount <= self._total_cpus

    def cpus_can_come(self, amounts: Amounts) -> bool:
        """Whether there would be enough CPUs if all other leases were returned."""
        return amounts.get(CPUS, 0.0) <= self._cpus_at_most

    @property
    def is_overdrawn(self) -> bool:
        """Whether leases have taken more CPUs than there are."""
        return self._left[CPUS] < 0
