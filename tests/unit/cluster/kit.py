"""Parts of clusters for tests: authorities, identities and token rows whose time and randomness the test decides."""

from __future__ import annotations

import hashlib
from typing import Final

from actorrt.cluster.security.authority import Draw, Issuer
from actorrt.cluster.security.card import Card, Role
from actorrt.cluster.security.identity import Identity
from actorrt.cluster.security.token_rows import Reading, TokenRow
from actorrt.errors import ControlUnavailableError
from actorrt.protocol.cluster.control import MISSING

NOW_S: Final = 1_800_000_000.0
DAY_S: Final = 86_400.0


def draws(seed: str) -> Draw:
    """Return a source of bytes that look random and follow from the seed."""
    count = 0

    def draw(length: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(f"{seed}/{count}".encode()).digest(length)

    return draw


def issuer(name: str = "this cluster", now_s: float = NOW_S) -> Issuer:
    return Issuer.make(draws(name), now_s)


def identity(name: str) -> Identity:
    return Identity.make(draws(name))


def card_of(owner: Identity, by: Issuer, role: Role = Role.FULL, now_s: float = NOW_S) -> Card:
    return by.issue(owner.node, owner.keys.public, owner.public_key, role, draws("card"), now_s)


class MemoryTokenRows:
    """The rows of tokens in memory, with a clock that the test sets.

    Attributes:
        now_s: the time by the store's clock.
        is_away: whether the store does not answer.
    """

    def __init__(self, now_s: float = NOW_S) -> None:
        self.now_s = now_s
        self.is_away = False
        self.rows: dict[bytes, tuple[TokenRow, int]] = {}
        self.reads_count = 0
        self.writes_count = 0
        self._version = MISSING

    async def read(self, token_id: bytes) -> Reading:
        self._check()
        self.reads_count += 1
        row, version = self.rows.get(token_id, (None, MISSING))
        return Reading(row, version, self.now_s)

    async def write(self, token_id: bytes, row: TokenRow | None, expected: int) -> bool:
        self._check()
        if self.rows.get(token_id, (None, MISSING))[1] != expected:
            return False
        self.writes_count += 1
        self._version += 1
        if row is None:
            self.rows.pop(token_id, None)
        else:
            self.rows[token_id] = (row, self._version)
        return True

    async def ids(self) -> list[bytes]:
        self._check()
        return list(self.rows)

    def _check(self) -> None:
        if self.is_away:
            raise ControlUnavailableError("the control store is away: a test says so")
