"""Rows of tokens and revocations in a control store that other nodes may write to at the same time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from actorrt.cluster.control.log import MemoryLog
from actorrt.cluster.control.store import LocalControlStore
from actorrt.cluster.security import minting, token_rows
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.stored_rows import REVOCATIONS, Revocations, StoredTokenRows, revoke_key
from actorrt.machine.threads import OsThreads
from actorrt.protocol.cluster.control import MISSING
from actorrt.scopes import Scope
from tests.unit.cluster.kit import NOW_S, draws, issuer

FINGERPRINT = issuer().authority.fingerprint
KEY, OTHER_KEY = b"k" * 32, b"o" * 32


class Wall:
    now_s = NOW_S


@pytest.fixture
async def store() -> AsyncIterator[LocalControlStore]:
    crashes: list[BaseException] = []
    scope = Scope("store", crashes.append)
    store = LocalControlStore(MemoryLog(), OsThreads(), scope, lambda: Wall.now_s)
    Wall.now_s = NOW_S
    await store.open()
    yield store
    await store.close()
    await scope.close()
    assert crashes == []


async def test_token_is_made_used_up_and_revoked_in_the_store(store: LocalControlStore) -> None:
    rows = StoredTokenRows(store, draws("rows"))
    token = await minting.mint_token(rows, FINGERPRINT, ["h:1"], draws("mint"), minutes=10, uses=1)
    reading = await rows.read(token.id)
    assert reading.now_s == NOW_S
    used = token_rows.use(reading, KEY).row
    assert used is not None
    assert used.expires_at == NOW_S + 600
    assert await rows.write(token.id, used, reading.version)
    assert token_rows.use(await rows.read(token.id), KEY).row is None
    with pytest.raises(RefusedError) as caught:
        token_rows.use(await rows.read(token.id), OTHER_KEY)
    assert caught.value.reason is Reason.TOKEN_USED_UP
    assert await minting.revoke_token(rows, token.id)
    with pytest.raises(RefusedError, match="revoked"):
        token_rows.use(await rows.read(token.id), KEY)


async def test_second_of_two_writes_by_the_same_version_is_refused(store: LocalControlStore) -> None:
    here, there = StoredTokenRows(store, draws("here")), StoredTokenRows(store, draws("there"))
    token = await minting.mint_token(here, FINGERPRINT, ["h:1"], draws("mint"), uses=1)
    readings = [await rows.read(token.id) for rows in (here, there)]
    used = [token_rows.use(reading, key).row for reading, key in zip(readings, (KEY, OTHER_KEY), strict=True)]
    assert await here.write(token.id, used[0], readings[0].version)
    assert not await there.write(token.id, used[1], readings[1].version)
    assert (await there.read(token.id)).row == used[0]


async def test_deleted_and_missing_tokens_are_unknown_and_not_listed(store: LocalControlStore) -> None:
    rows = StoredTokenRows(store, draws("rows"))
    token = await minting.mint_token(rows, FINGERPRINT, ["h:1"], draws("mint"))
    assert await rows.ids() == [token.id]
    assert await rows.write(token.id, None, (await rows.read(token.id)).version)
    assert await rows.ids() == []
    for token_id in (token.id, b"unknown!"):
        assert (await rows.read(token_id))[:2] == (None, MISSING)


async def test_expiry_counts_by_the_clock_of_the_store(store: LocalControlStore) -> None:
    rows = StoredTokenRows(store, draws("rows"))
    token = await minting.mint_token(rows, FINGERPRINT, ["h:1"], draws("mint"), minutes=1)
    Wall.now_s += 61
    with pytest.raises(RefusedError, match="expired 1 seconds ago"):
        token_rows.use(await rows.read(token.id), KEY)
    Wall.now_s += 86_400
    other = await minting.mint_token(rows, FINGERPRINT, ["h:1"], draws("other"))
    assert await rows.ids() == [other.id]


async def test_revoked_key_reaches_every_reader_of_the_store_once_and_for_good(store: LocalControlStore) -> None:
    heard: list[bytes] = []
    revocations = Revocations(heard.append)
    await revoke_key(store, KEY, NOW_S, draws("revoke"))
    await revoke_key(store, KEY, NOW_S + 1, draws("again"))
    for _ in range(2):
        revocations.read((await store.since(0, (REVOCATIONS,))).rows)
    assert KEY in revocations
    assert OTHER_KEY not in revocations
    assert (heard, len(revocations)) == ([KEY], 1)
