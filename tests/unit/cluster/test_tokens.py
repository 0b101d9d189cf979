"""Join tokens: their text, their rows, and how they are made, used and revoked."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorrt.cluster.security import minting, token_rows
from actorrt.cluster.security.proofs import hash_of_secret, is_secret_proven, prove_secret, transcript_of
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.token import PREFIX, Token
from actorrt.cluster.security.token_rows import Reading, TokenRow
from actorrt.errors import ControlUnavailableError
from tests.unit.cluster.kit import NOW_S, MemoryTokenRows, draws, issuer

FINGERPRINT = issuer().authority.fingerprint
TOKEN = Token(b"identify", b"s" * 20, FINGERPRINT, ("10.0.0.1:7001", "[fe80::1]:7002"))
TEXT = TOKEN.text()
KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def row(uses_left: int | None = None, *, bound_keys: list[bytes] | None = None, is_revoked: bool = False) -> TokenRow:
    return TokenRow(
        secret_hash=hash_of_secret(TOKEN.secret),
        uses_left=uses_left,
        expires_at=NOW_S + 60,
        bound_keys=bound_keys or [],
        is_revoked=is_revoked,
    )


def refusal(text: str) -> str:
    with pytest.raises(RefusedError) as caught:
        Token.parse(text)
    assert caught.value.reason is Reason.TOKEN_MALFORMED
    return str(caught.value)


# The text


def test_token_reads_as_it_was_written() -> None:
    assert Token.parse(TEXT) == TOKEN


def test_token_is_one_word_of_lower_case_letters_and_digits() -> None:
    assert TEXT.startswith(PREFIX)
    assert TEXT.removeprefix(PREFIX).isalnum()
    assert TEXT.islower()
    assert len(Token(b"i" * 8, b"s" * 20, FINGERPRINT, ("10.0.0.1:7001",)).text()) < 160


def test_line_breaks_spaces_and_capitals_of_pasting_do_no_harm() -> None:
    pasted = f"  {TEXT[:50]}\n    {TEXT[50:90].upper()}\r\n{TEXT[90:]}\n"
    assert Token.parse(pasted) == TOKEN


def test_text_that_is_no_token_is_refused_with_what_to_do() -> None:
    assert "a token begins with art1. (`actorrt token` makes one)" in refusal("tcp://10.0.0.1:7001")
    assert "a token begins with" in refusal("")


def test_token_of_another_version_is_refused_by_its_version() -> None:
    assert "it begins with art2., and this version reads art1." in refusal(TEXT.replace("art1.", "art2."))


def test_token_that_was_cut_off_is_refused_with_what_to_do() -> None:
    assert "damaged or cut off: copy it again" in refusal(TEXT[:-1])
    assert "damaged or cut off" in refusal(PREFIX)


@given(st.integers(len(PREFIX), len(TEXT) - 2), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_every_wrong_character_is_noticed(at: int, character: str) -> None:
    # The last character is left out: it has bits that stand for nothing.
    damaged = TEXT[:at] + character + TEXT[at + 1 :]
    if damaged != TEXT:
        assert refusal(damaged)


@given(st.one_of(st.text(), st.text("abcdefghijklmnopqrstuvwxyz234567=.", max_size=300).map(PREFIX.__add__)))
def test_any_text_is_refused_in_words(text: str) -> None:
    assert refusal(text)


def test_overlong_text_is_refused_before_it_is_read() -> None:
    assert "it has 5000 characters" in refusal(PREFIX + "a" * 4_995)


@pytest.mark.parametrize("addresses", [(), ("10.0.0.1",), (":7001",), ("host:0",), ("host:70000",), ("h:1",) * 9])
def test_token_without_a_usable_address_is_not_made(addresses: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"addresses|HOST:PORT"):
        Token(b"i" * 8, b"s" * 20, FINGERPRINT, addresses).text()


def test_secret_is_not_in_the_representation() -> None:
    assert "ssss" not in repr(TOKEN)
    assert TOKEN.secret.hex() not in repr(TOKEN)


# The row


def test_row_reads_as_it_was_written_and_garbage_is_refused() -> None:
    one = row(3, bound_keys=[KEY], is_revoked=True)
    assert TokenRow.from_packed(one.packed()) == one
    for garbage in (b"", b"\xc1", b"\x80", b"\x93\x01\x02\x03", b"\xdf\xff\xff\xff\xff"):
        with pytest.raises(ValueError):
            TokenRow.from_packed(garbage)


def test_use_takes_one_of_the_uses_and_is_bound_to_the_key() -> None:
    used = token_rows.use(Reading(row(2), 1, NOW_S), KEY).row
    assert used is not None
    assert (used.uses_left, used.bound_keys) == (1, [KEY])


def test_repeated_use_by_the_same_key_costs_nothing_even_when_the_token_is_used_up() -> None:
    assert token_rows.use(Reading(row(0, bound_keys=[KEY]), 1, NOW_S), KEY).row is None


def test_token_of_any_number_of_uses_stays_as_it_is() -> None:
    assert token_rows.use(Reading(row(None), 1, NOW_S), KEY).row is None


@pytest.mark.parametrize(
    ("reading", "reason", "words"),
    [
        (Reading(None, 0, NOW_S), Reason.TOKEN_UNKNOWN, "the cluster has no such token"),
        (Reading(row(0, bound_keys=[OTHER_KEY]), 1, NOW_S), Reason.TOKEN_USED_UP, "used up"),
        (Reading(row(), 1, NOW_S + 60 + 120), Reason.TOKEN_EXPIRED, "expired 2 minutes ago"),
        (Reading(row(is_revoked=True), 1, NOW_S), Reason.TOKEN_REVOKED, "revoked"),
        (Reading(row(1, bound_keys=[KEY], is_revoked=True), 1, NOW_S), Reason.TOKEN_REVOKED, "revoked"),
    ],
    ids=["unknown", "used up", "expired", "revoked", "revoked after this key used it"],
)
def test_token_that_admits_nobody_is_refused_with_the_reason(reading: Reading, reason: Reason, words: str) -> None:
    with pytest.raises(RefusedError, match=words) as caught:
        token_rows.use(reading, KEY)
    assert caught.value.reason is reason
    assert "actorrt token" in str(caught.value)


# The proof of the secret


def test_secret_is_proven_for_one_transcript_only() -> None:
    first, second = transcript_of([b"a", b"bc"]), transcript_of([b"ab", b"c"])
    assert first != second
    proof = prove_secret(TOKEN.secret, first)
    assert is_secret_proven(hash_of_secret(TOKEN.secret), proof, first)
    assert not is_secret_proven(hash_of_secret(TOKEN.secret), proof, second)
    assert not is_secret_proven(hash_of_secret(b"other"), proof, first)


def test_reader_of_the_control_store_can_make_no_proof_from_the_hash() -> None:
    transcript = transcript_of([b"a"])
    kept = hash_of_secret(TOKEN.secret)
    assert not is_secret_proven(kept, prove_secret(kept, transcript), transcript)


@given(st.binary(max_size=64))
def test_garbage_proves_nothing(garbage: bytes) -> None:
    assert not is_secret_proven(hash_of_secret(TOKEN.secret), garbage, transcript_of([b"a"]))


# Made and revoked


async def test_minted_token_is_valid_for_its_minutes_by_the_clock_of_the_store() -> None:
    rows = MemoryTokenRows(now_s=5_000.0)
    token = await minting.mint_token(rows, FINGERPRINT, ["h:1"], draws("mint"), minutes=10, uses=3)
    kept = (await rows.read(token.id)).row
    assert kept is not None
    assert (kept.expires_at, kept.uses_left, kept.secret_hash) == (5_600.0, 3, hash_of_secret(token.secret))
    assert Token.parse(token.text()) == token
    assert token.secret not in kept.packed()


@pytest.mark.parametrize("options", [{"minutes": 0}, {"minutes": -1}, {"uses": 0}, {"uses": 1_001}, {"minutes": 1e9}])
async def test_token_of_impossible_numbers_is_not_made(options: dict[str, int]) -> None:
    rows = MemoryTokenRows()
    with pytest.raises(ValueError, match=r"minutes=|uses="):
        await minting.mint_token(rows, FINGERPRINT, ["h:1"], draws("mint"), **options)
    assert rows.rows == {}


async def test_rows_that_expired_a_day_ago_are_deleted_when_a_token_is_made() -> None:
    rows = MemoryTokenRows()
    old = await minting.mint_token(rows, FINGERPRINT, ["h:1"], draws("old"))
    rows.now_s += 80_000
    recent = await minting.mint_token(rows, FINGERPRINT, ["h:1"], draws("recent"))
    assert {*rows.rows} == {old.id, recent.id}
    rows.now_s += 20_000
    new = await minting.mint_token(rows, FINGERPRINT, ["h:1"], draws("new"))
    assert {*rows.rows} == {recent.id, new.id}


async def test_revoked_token_admits_nobody() -> None:
    rows = MemoryTokenRows()
    token = await minting.mint_token(rows, FINGERPRINT, ["h:1"], draws("mint"))
    assert await minting.revoke_token(rows, token.id)
    assert await minting.revoke_token(rows, token.id)
    with pytest.raises(RefusedError, match="revoked"):
        token_rows.use(await rows.read(token.id), KEY)
    assert not await minting.revoke_token(rows, b"unknown!")


async def test_without_the_store_no_token_is_made() -> None:
    rows = MemoryTokenRows()
    rows.is_away = True
    with pytest.raises(ControlUnavailableError):
        await minting.mint_token(rows, FINGERPRINT, ["h:1"], draws("mint"))


async def test_revocation_wins_over_uses_at_the_same_time() -> None:
    rows = MemoryTokenRows()
    token = await minting.mint_token(rows, FINGERPRINT, ["h:1"], draws("mint"), uses=900)

    async def use(number: int) -> None:
        reading = await rows.read(token.id)
        await asyncio.sleep(0)
        used = token_rows.use(reading, number.to_bytes(32, "big")).row
        assert used is not None
        await rows.write(token.id, used, reading.version)

    await asyncio.gather(*(use(number) for number in range(20)), minting.revoke_token(rows, token.id))
    kept = (await rows.read(token.id)).row
    assert kept is not None
    assert kept.is_revoked
