"""Whatever a far end says in the conversation of a join: it is refused, nobody is enrolled, and nothing is used."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.applicant import Applicant, Joined
from actorrt.cluster.joining.half_open import HalfOpen
from actorrt.cluster.joining.refusal_log import LINES_PER_PERIOD, PERIOD_S, REMEMBERED_COUNT, RefusalLog
from actorrt.cluster.security import minting
from actorrt.cluster.security.card import Role
from actorrt.cluster.security.refusals import Reason, RefusedError
from tests.unit.cluster.kit import (
    NOW_S,
    VERSIONS,
    Meeting,
    MemoryTokenRows,
    card_of,
    draws,
    identity,
    issuer,
    threshold_of,
)

HERE, ALICE = issuer(), identity("alice")
THRESHOLD = threshold_of(HERE)
CERTIFICATE = card_of(ALICE, HERE).certificate
HELLO, CHALLENGE, PROOF, WELCOME = range(4)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=40) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from(("join", "challenge", "proof", "welcome", "refusal", "ask", "accepted", "", "\ud800"[:0]))


def start(uses: int | None = 1) -> Meeting:
    """Return a meeting with a token of one use, in which nothing was said."""
    rows = MemoryTokenRows()
    token = asyncio.run(minting.mint_token(rows, HERE.authority.fingerprint, ["h:1"], draws("t"), uses=uses))
    threshold = threshold_of(HERE)  # each with the same nonces, so that recorded messages fit
    return Meeting(threshold, Applicant(ALICE, Role.FULL, VERSIONS, b"", token=token), rows)


@cache
def recorded() -> tuple[bytes, ...]:
    """Return the messages of a join that succeeds."""
    meeting = start()
    asyncio.run(meeting.join())
    return tuple(meeting.sent)


def is_refused(meeting: Meeting, *said: bytes) -> bool:
    """Whether the entrance refuses one of these messages; then it must have done nothing."""
    try:
        for message in said:
            asyncio.run(meeting.answer(message))
    except RefusedError:
        is_nothing_used = all(row.uses_left == 1 for row, _ in meeting.rows.rows.values())
        return meeting.entrance.is_over and meeting.enrolled == [] and is_nothing_used
    return False


def changed_fields(message: bytes) -> st.SearchStrategy[bytes]:
    """Return messages in which one field has another value, or is missing."""
    kind, fields = msgpack.unpackb(message)

    def replace(name: str, value: Any, is_missing: bool) -> bytes:
        others = {key: item for key, item in fields.items() if key != name}
        return bytes(msgpack.packb([kind, others if is_missing else {**others, name: value}]))

    return st.builds(replace, st.sampled_from(sorted(fields)), VALUES, st.booleans())


def damaged(message: bytes) -> st.SearchStrategy[bytes]:
    """Return the message with one byte changed, cut off, or with bytes behind it."""

    def flip(at: int, change: int) -> bytes:
        found = bytearray(message)
        found[at] ^= change
        return bytes(found)

    positions = st.integers(0, len(message) - 1)
    return (
        st.builds(flip, positions, st.integers(1, 255))
        | positions.map(lambda at: message[:at])
        | st.binary(min_size=1, max_size=20).map(message.__add__)
    )


GARBAGE = st.binary(max_size=200) | st.tuples(KINDS, VALUES).map(msgpack.packb) | VALUES.map(msgpack.packb)


@given(GARBAGE)
def test_garbage_as_a_first_message_is_refused(garbage: bytes) -> None:
    assert is_refused(start(), garbage)


@given(GARBAGE | damaged(recorded()[PROOF]) | changed_fields(recorded()[PROOF]))
def test_garbage_or_a_damaged_proof_is_refused(garbage: bytes) -> None:
    if garbage != recorded()[PROOF]:
        assert is_refused(start(), recorded()[HELLO], garbage)


@given(damaged(recorded()[HELLO]) | changed_fields(recorded()[HELLO]))
def test_hello_that_is_changed_on_its_way_is_refused_at_the_latest_with_its_proof(changed: bytes) -> None:
    if changed != recorded()[HELLO]:
        assert is_refused(start(), changed, recorded()[PROOF])


@given(st.lists(st.sampled_from(range(4)), min_size=2, max_size=5))
def test_messages_out_of_turn_are_refused(order: list[int]) -> None:
    said = [recorded()[index] for index in order]
    meeting = start()
    if order[:2] == [HELLO, PROOF]:
        asyncio.run(meeting.answer(said[0]))
        asyncio.run(meeting.answer(said[1]))
        for message in said[2:]:  # a conversation that succeeded is over, too
            with pytest.raises(RefusedError, match="out of turn"):
                asyncio.run(meeting.answer(message))
        assert len(meeting.enrolled) == 1
    else:
        assert is_refused(meeting, *said)


@given(GARBAGE | damaged(recorded()[CHALLENGE]) | changed_fields(recorded()[CHALLENGE]))
def test_garbage_or_a_damaged_challenge_is_refused_or_leads_to_a_worthless_proof(garbage: bytes) -> None:
    if garbage == recorded()[CHALLENGE]:
        return
    meeting = start()
    hello = meeting.applicant.begin(THRESHOLD.card.certificate, NOW_S)
    try:
        proof = meeting.applicant.received(garbage, NOW_S)
    except RefusedError:
        assert meeting.applicant.is_over
        return
    assert isinstance(proof, bytes)
    assert is_refused(start(), hello, proof)


@given(GARBAGE | damaged(recorded()[WELCOME]) | changed_fields(recorded()[WELCOME]))
def test_garbage_or_a_damaged_welcome_is_refused_or_says_the_same_about_keys(garbage: bytes) -> None:
    meeting = start()
    meeting.applicant.begin(THRESHOLD.card.certificate, NOW_S)
    meeting.applicant.received(recorded()[CHALLENGE], NOW_S)
    try:
        joined = meeting.applicant.received(garbage, NOW_S)
    except RefusedError:
        assert meeting.applicant.is_over
        return
    assert isinstance(joined, Joined)  # only what TLS alone protects was changed
    assert joined.authority == HERE.authority
    assert joined.issuer is not None
    assert joined.issuer.private_key() == HERE.private_key()
    assert ALICE.owns(joined.card)


@given(st.binary(max_size=4), st.integers(0, 2**20))
def test_length_beyond_the_bound_is_refused_and_any_other_is_taken(prefix: bytes, most: int) -> None:
    length = int.from_bytes(prefix, "big")
    if length <= most:
        assert messages.length_of(prefix, most) == length
    else:
        with pytest.raises(RefusedError, match="are allowed here"):
            messages.length_of(prefix, most)


@given(st.integers(1, 6), st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60))
def test_half_open_connections_never_exceed_their_bound_and_the_greediest_host_loses_its_oldest(
    most: int, events: list[tuple[int, bool]]
) -> None:
    half_open: HalfOpen[int] = HalfOpen(most)
    model: list[tuple[int, str]] = []
    for number, (which, is_added) in enumerate(events):
        host = f"host {which}"
        if is_added:
            victim = half_open.add(number, host)
            assert (victim is None) == (len(model) < most)
            if victim is not None:
                counts = {name: sum(1 for _, other in model if other == name) for _, name in model}
                (gone,) = [entry for entry in model if entry[0] == victim]
                assert counts[gone[1]] == max(counts.values())
                assert gone == next(entry for entry in model if entry[1] == gone[1])
                model.remove(gone)
            model.append((number, host))
        elif model:
            entry = model.pop(which % len(model))
            half_open.remove(*entry)
            half_open.remove(*entry)
        half_open.check_invariants()
        assert len(half_open) == len(model)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(list(Reason)[:4]), st.floats(0, 40)), max_size=80))
def test_refusals_are_all_counted_and_logged_once_for_a_host_and_reason(
    events: list[tuple[int, Reason, float]],
) -> None:
    log, now, logged = RefusalLog(), 0.0, []
    for host, reason, later_s in events:
        now += later_s
        if log.note(f"host {host}", reason, now):
            logged.append((host, reason))
    assert sum(log.counts.values()) == len(events) == len(logged) + log.unlogged_count
    assert len({*logged}) == len(logged)
    assert {*logged} == {(host, reason) for host, reason, _ in events}


def test_strangers_of_many_addresses_neither_fill_the_log_nor_the_memory() -> None:
    log = RefusalLog()
    logged = sum(log.note(f"host {n}", Reason.NO_TLS, 0.0) for n in range(10_000))
    assert logged == LINES_PER_PERIOD
    later = sum(log.note(f"host {n}", Reason.NO_TLS, PERIOD_S * (1 + n // 30)) for n in range(10_000))
    assert later == 10_000 - LINES_PER_PERIOD
    assert len(log._logged) == REMEMBERED_COUNT
