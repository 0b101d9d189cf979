"""The rows of tokens and of revoked keys in the control store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

import msgpack

from actorrt.cluster.control.store import ControlStore
from actorrt.cluster.security.authority import Draw
from actorrt.cluster.security.token_rows import Reading, TokenRow
from actorrt.ids import ID_BYTES
from actorrt.protocol.cluster.control import MISSING, Change, Row, Write
from actorrt.protocol.verb import Record

logger = logging.getLogger(__name__)

TOKENS: Final = "tokens"
REVOCATIONS: Final = "revocations"


class StoredTokenRows:
    """The rows of tokens in a control store; see `TokenRows`.

    Args:
        store: the control store.
        draw: the source of the names of writes.
    """

    def __init__(self, store: ControlStore, draw: Draw) -> None:
        self._store = store
        self._draw = draw

    async def read(self, token_id: bytes) -> Reading:
        now_s = (await self._store.since(0, ())).now_s
        found = await self._store.read(TOKENS, token_id)
        if found is None or found.value is None:
            return Reading(None, MISSING, now_s)
        return Reading(TokenRow.from_packed(found.value), found.version, now_s)

    async def write(self, token_id: bytes, row: TokenRow | None, expected: int) -> bool:
        change = Change(TOKENS, token_id, None if row is None else row.packed(), expected)
        return (await self._store.write(Write([change], self._draw(ID_BYTES)))).is_committed

    async def ids(self) -> list[bytes]:
        return [row.key for row in (await self._store.since(0, (TOKENS,))).rows if row.value is not None]


class RevocationRow(Record):
    """The row of a revoked CURVE key, which is the key of the row; the time is that of the node that revoked it."""

    revoked_at: float


async def revoke_key(store: ControlStore, key: bytes, now_s: float, draw: Draw) -> None:
    """Revoke the CURVE key of a node. When this returns, the revocation is in the store.

    Members read it with the view: then they drop what comes under the key, and refuse its card.

    Raises:
        ControlUnavailableError: the store does not answer; the key may be revoked.
    """
    change = Change(REVOCATIONS, key, msgpack.packb(RevocationRow(revoked_at=now_s).pack()))
    await store.write(Write([change], draw(ID_BYTES)))


class Revocations:
    """The revoked CURVE keys that this node knows of, from the rows that it has read.

    Args:
        on_revoked: called once with each key that becomes revoked.
    """

    def __init__(self, on_revoked: Callable[[bytes], None] = lambda key: None) -> None:
        self._keys: set[bytes] = set()
        self._on_revoked = on_revoked

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def read(self, rows: Iterable[Row]) -> None:
        """Take rows of the control store as they arrive; rows of other tables are ignored.

        A revocation is never taken back: a key that is revoked stays so, even when its row is deleted.
        """
        for row in rows:
            if row.table == REVOCATIONS and row.value is not None and row.key not in self._keys:
                self._keys.add(row.key)
                logger.warning("the key %s is revoked", row.key.hex()[:16])
                self._on_revoked(row.key)
