"""The conversation of a join, without sockets: who is admitted, who is refused, and with which words."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.applicant import Applicant
from actorrt.cluster.joining.messages import Versions
from actorrt.cluster.security import minting
from actorrt.cluster.security.authority import Issuer
from actorrt.cluster.security.card import Role
from actorrt.cluster.security.identity import Identity
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.token import Token
from actorrt.transport.zeromq.security import CurveKeys
from tests.unit.cluster.kit import (
    DAY_S,
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

HERE = issuer()
ALICE = identity("alice")


@pytest.fixture
def rows() -> MemoryTokenRows:
    return MemoryTokenRows()


async def token_for(rows: MemoryTokenRows, *, by: Issuer = HERE, uses: int | None = None) -> Token:
    return await minting.mint_token(rows, by.authority.fingerprint, ["10.0.0.1:7001"], draws("token"), uses=uses)


def by_token(token: Token, who: Identity = ALICE, role: Role = Role.FULL, versions: Versions = VERSIONS) -> Applicant:
    return Applicant(who, role, versions, b"about", token=token)


def by_card(who: Identity = ALICE, role: Role = Role.FULL) -> Applicant:
    return Applicant(who, role, VERSIONS, b"", authority=HERE.authority)


async def refused(meeting: Meeting) -> tuple[Reason, str]:
    with pytest.raises(RefusedError) as caught:
        await meeting.join()
    assert meeting.welcome is None
    assert meeting.enrolled == []
    return caught.value.reason, str(caught.value)


# Admitted


async def test_full_node_with_a_token_gets_its_card_the_authority_with_its_key_and_the_view(rows: Any) -> None:
    meeting = Meeting(threshold_of(HERE), by_token(await token_for(rows)), rows)
    joined = await meeting.join()
    assert joined.authority == HERE.authority
    assert joined.issuer is not None
    assert joined.issuer.private_key() == HERE.private_key()
    assert HERE.authority.check(joined.card.certificate, NOW_S).node == ALICE.node
    assert joined.card.role is Role.FULL
    assert (joined.view, joined.seen_host, joined.entry.node) == (b"the view", "10.0.0.9", identity("entry").node)
    (joiner,) = meeting.enrolled
    assert (joiner.node, joiner.key, joiner.about, joiner.has_token) == (ALICE.node, ALICE.keys.public, b"about", True)


async def test_driver_node_gets_a_card_and_no_key_of_the_authority(rows: Any) -> None:
    meeting = Meeting(threshold_of(HERE), by_token(await token_for(rows), role=Role.DRIVER), rows)
    joined = await meeting.join()
    assert (joined.card.role, joined.issuer) == (Role.DRIVER, None)
    assert HERE.private_key() not in b"".join(meeting.sent)


@pytest.mark.parametrize("role", Role)
async def test_node_that_has_joined_joins_again_by_its_card_and_gets_a_new_one(rows: Any, role: Role) -> None:
    card = card_of(ALICE, HERE, role)
    meeting = Meeting(threshold_of(HERE), by_card(role=role), rows, card.certificate, server_clock_s=NOW_S + 60)
    joined = await meeting.join()
    assert joined.card.not_after_s == card.not_after_s + 60
    assert (joined.issuer, joined.card.role) == (None, role)
    assert rows.reads_count == 0
    assert HERE.private_key() not in b"".join(meeting.sent)


async def test_secret_of_the_token_and_secret_keys_are_in_no_message(rows: Any) -> None:
    token = await token_for(rows)
    meeting = Meeting(threshold_of(HERE), by_token(token, role=Role.DRIVER), rows)
    await meeting.join()
    said = b"".join(meeting.sent)
    assert [secret for secret in (token.secret, ALICE.keys.secret) if secret in said] == []


async def test_join_that_is_repeated_uses_the_token_once(rows: Any) -> None:
    token = await token_for(rows, uses=1)
    for _ in range(3):
        await Meeting(threshold_of(HERE), by_token(token), rows).join()
    assert rows.rows[token.id][0].uses_left == 0
    reason, _ = await refused(Meeting(threshold_of(HERE), by_token(token, identity("bob")), rows))
    assert reason is Reason.TOKEN_USED_UP


async def test_nodes_that_join_at_the_same_time_never_use_more_than_there_is(rows: Any) -> None:
    token = await token_for(rows, uses=1)
    first = Meeting(threshold_of(HERE), by_token(token), rows)
    second = Meeting(threshold_of(HERE), by_token(token, identity("bob")), rows)

    class Rival(MemoryTokenRows):
        """Lets another node join between the reading and the writing of a row."""

        async def write(self, *args: Any) -> bool:
            second.rows = rows
            await second.join()
            return await rows.write(*args)

        async def read(self, token_id: bytes) -> Any:
            return await rows.read(token_id)

    first.rows = Rival()
    reason, _ = await refused(first)
    assert reason is Reason.TOKEN_USED_UP
    assert rows.rows[token.id][0].bound_keys == [identity("bob").keys.public]


async def test_clocks_four_minutes_apart_do_no_harm(rows: Any) -> None:
    for clock_s in (NOW_S - 240, NOW_S + 240):
        await Meeting(threshold_of(HERE), by_token(await token_for(rows)), rows, clock_s=clock_s).join()
        rows.rows.clear()


# Refused: the token


async def test_wrong_secret_is_refused(rows: Any) -> None:
    token = dataclasses.replace(await token_for(rows, uses=1), secret=b"w" * 20)
    reason, text = await refused(Meeting(threshold_of(HERE), by_token(token), rows))
    assert reason is Reason.TOKEN_WRONG
    assert "actorrt token" in text
    assert rows.rows[token.id][0].uses_left == 1


async def test_hash_in_the_control_store_is_no_secret(rows: Any) -> None:
    token = await token_for(rows)
    stolen = dataclasses.replace(token, secret=rows.rows[token.id][0].secret_hash)
    assert (await refused(Meeting(threshold_of(HERE), by_token(stolen), rows)))[0] is Reason.TOKEN_WRONG


async def test_unknown_expired_and_revoked_tokens_are_refused_with_their_reasons(rows: Any) -> None:
    token = await token_for(rows)
    unknown = dataclasses.replace(token, id=b"unknown!")
    assert (await refused(Meeting(threshold_of(HERE), by_token(unknown), rows)))[0] is Reason.TOKEN_UNKNOWN
    rows.now_s += 16 * 60
    reason, text = await refused(Meeting(threshold_of(HERE), by_token(token), rows))
    assert reason is Reason.TOKEN_EXPIRED
    assert "expired 60 seconds ago" in text
    rows.now_s = NOW_S
    await minting.revoke_token(rows, token.id)
    assert (await refused(Meeting(threshold_of(HERE), by_token(token), rows)))[0] is Reason.TOKEN_REVOKED


async def test_expiry_counts_by_the_clock_of_the_store_alone(rows: Any) -> None:
    token = await token_for(rows)
    far = NOW_S + 10 * DAY_S
    meeting = Meeting(threshold_of(HERE), by_token(token), rows, clock_s=far, server_clock_s=far)
    assert (await meeting.join()).card.node == ALICE.node


# Refused: proofs


async def test_proof_that_was_recorded_is_worth_nothing_in_another_session(rows: Any) -> None:
    token = await token_for(rows)
    recorded = Meeting(threshold_of(HERE), by_token(token), rows)
    await recorded.join()
    hello, _, proof, _ = recorded.sent
    replay = Meeting(threshold_of(HERE, "another session"), by_token(token), rows)
    await replay.answer(hello)
    with pytest.raises(RefusedError, match="has not proven") as caught:
        await replay.answer(proof)
    assert caught.value.reason is Reason.NOT_PROVEN
    assert replay.enrolled == []


async def test_proof_for_one_entry_node_is_worth_nothing_at_another(rows: Any) -> None:
    token = await token_for(rows)
    recorded = Meeting(threshold_of(HERE), by_token(token), rows)
    await recorded.join()
    other = threshold_of(HERE)  # the same nonces, but another card
    other = dataclasses.replace(other, card=card_of(identity("other entry"), HERE))
    replay = Meeting(other, by_token(token), rows)
    await replay.answer(recorded.sent[0])
    with pytest.raises(RefusedError, match="has not proven"):
        await replay.answer(recorded.sent[2])


async def test_key_of_another_node_can_not_be_claimed(rows: Any) -> None:
    token = await token_for(rows)
    victim = identity("victim")
    thief = Identity(ALICE.node, CurveKeys(victim.keys.public, ALICE.keys.secret), ALICE.signing)
    reason, text = await refused(Meeting(threshold_of(HERE), by_token(token, thief), rows))
    assert (reason, text) == (
        Reason.NOT_PROVEN,
        "the joining node has not proven that its CURVE key is its own",
    )


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32], ids=["zero", "one", "all bits"])
async def test_key_that_every_exchange_maps_to_zero_proves_nothing(rows: Any, key: bytes) -> None:
    weak = Identity(ALICE.node, CurveKeys(key, ALICE.keys.secret), ALICE.signing)
    meeting = Meeting(threshold_of(HERE), by_token(await token_for(rows), weak), rows)
    assert (await refused(meeting))[0] is Reason.NOT_PROVEN


# Refused: cards


async def test_expired_card_is_refused_and_the_text_says_what_to_do(rows: Any) -> None:
    later = NOW_S + 31 * DAY_S
    threshold = dataclasses.replace(threshold_of(HERE), card=card_of(identity("entry"), HERE, now_s=later))
    certificate = card_of(ALICE, HERE).certificate
    reason, text = await refused(Meeting(threshold, by_card(), rows, certificate, clock_s=later, server_clock_s=later))
    assert reason is Reason.CARD_EXPIRED
    assert "the card of the joining node expired 24 hours ago" in text
    assert "join with a new token" in text


async def test_node_without_a_card_or_token_is_refused(rows: Any) -> None:
    reason, text = await refused(Meeting(threshold_of(HERE), by_card(), rows, None))
    assert reason is Reason.CARD_MISSING
    assert "a machine joins with a token" in text


async def test_card_of_another_cluster_is_refused(rows: Any) -> None:
    foreign = card_of(ALICE, issuer("another")).certificate
    assert (await refused(Meeting(threshold_of(HERE), by_card(), rows, foreign)))[0] is Reason.ANOTHER_CLUSTER


async def test_revoked_key_is_refused_by_card_and_by_token(rows: Any) -> None:
    threshold = threshold_of(HERE, revoked={ALICE.keys.public})
    by_its_card = Meeting(threshold, by_card(), rows, card_of(ALICE, HERE).certificate)
    by_a_token = Meeting(threshold, by_token(await token_for(rows)), rows)
    assert [(await refused(meeting))[0] for meeting in (by_its_card, by_a_token)] == [Reason.CARD_REVOKED] * 2


async def test_card_of_one_node_does_not_admit_another(rows: Any) -> None:
    meeting = Meeting(threshold_of(HERE), by_card(identity("bob")), rows, card_of(ALICE, HERE).certificate)
    assert (await refused(meeting))[0] is Reason.NOT_PROVEN


async def test_driver_node_does_not_become_a_full_node_by_its_card(rows: Any) -> None:
    certificate = card_of(ALICE, HERE, Role.DRIVER).certificate
    reason, text = await refused(Meeting(threshold_of(HERE), by_card(), rows, certificate))
    assert reason is Reason.ROLE
    assert "join with a token" in text


# Refused: what does not fit


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"python": "3.12"}, Reason.PYTHON, "has Python 3.12, and the cluster Python 3.11"),
        ({"protocol_min": 2, "protocol": 3, "version": "9"}, Reason.VERSION, "has actorrt 9 (protocol 2 to 3)"),
        ({"protocol_min": 0, "protocol": 0, "version": "0"}, Reason.VERSION, "install the same version on both"),
    ],
    ids=["python", "newer", "older"],
)
async def test_versions_that_do_not_fit_are_refused(
    rows: Any, change: dict[str, Any], reason: Reason, words: str
) -> None:
    versions = Versions(**{**VERSIONS.pack(), **change})
    found, text = await refused(Meeting(threshold_of(HERE), by_token(await token_for(rows), versions=versions), rows))
    assert found is reason
    assert words in text


async def test_version_is_refused_by_its_number_even_if_nothing_else_is_understood(rows: Any) -> None:
    meeting = Meeting(threshold_of(HERE), by_token(await token_for(rows)), rows)
    newer = Versions(version="9", protocol_min=7, protocol=9, python="4.0")
    with pytest.raises(RefusedError, match="has actorrt 9") as caught:
        await meeting.answer(messages.pack(messages.JOIN, newer))
    assert caught.value.reason is Reason.VERSION


@pytest.mark.parametrize(("apart_s", "side"), [(3_600, "ahead of"), (-3_600, "behind")])
async def test_clocks_an_hour_apart_are_refused_with_the_difference(rows: Any, apart_s: float, side: str) -> None:
    meeting = Meeting(threshold_of(HERE), by_token(await token_for(rows)), rows, clock_s=NOW_S + apart_s)
    reason, text = await refused(meeting)
    assert reason is Reason.CLOCK
    assert f"the clock of the joining machine is 60 minutes {side} that of its entry node" in text
    assert "set the clocks of both (NTP)" in text


# What the joining side refuses


async def test_entry_node_of_another_cluster_is_refused_before_the_secret_is_used(rows: Any) -> None:
    token = await token_for(rows)
    meeting = Meeting(threshold_of(issuer("another")), by_token(token), rows)
    reason, text = await refused(meeting)
    assert reason is Reason.ANOTHER_CLUSTER
    assert "belongs to another cluster than the token" in text
    assert len(meeting.sent) == 2  # the hello and the challenge, but no proof


async def test_impostor_that_shows_the_right_authority_but_an_own_card_is_refused(rows: Any) -> None:
    token = await token_for(rows)
    impostor = card_of(identity("impostor"), issuer("impostor"))
    meeting = Meeting(threshold_of(HERE), by_token(token), rows, server_certificate=impostor.certificate)
    assert (await refused(meeting))[0] is Reason.ANOTHER_CLUSTER
    assert len(meeting.sent) == 2


async def test_entry_node_is_checked_by_a_node_that_shows_its_card(rows: Any) -> None:
    impostor = card_of(identity("impostor"), issuer("impostor")).certificate
    meeting = Meeting(
        threshold_of(HERE), by_card(), rows, card_of(ALICE, HERE).certificate, server_certificate=impostor
    )
    assert (await refused(meeting))[0] is Reason.ANOTHER_CLUSTER
    assert meeting.sent == []


async def test_card_of_other_keys_or_of_another_role_is_not_taken(rows: Any) -> None:
    for who, role in ((identity("bob"), Role.FULL), (ALICE, Role.DRIVER)):
        applicant = by_card()
        applicant.begin(threshold_of(HERE).card.certificate, NOW_S)
        welcome = messages.Welcome(
            card=card_of(who, HERE, role).certificate,
            authority=HERE.authority.certificate,
            authority_key=None,
            seen_host="",
            view=b"",
        )
        with pytest.raises(RefusedError, match="of other keys or another role"):
            applicant.received(messages.pack(messages.WELCOME, welcome), NOW_S)


def test_refusal_of_a_later_version_is_a_refusal_in_its_own_words() -> None:
    applicant = by_card()
    applicant.begin(threshold_of(HERE).card.certificate, NOW_S)
    later = messages.Refusal(reason="from the future", text="words of the future")
    with pytest.raises(RefusedError, match="words of the future"):
        applicant.received(messages.pack(messages.REFUSAL, later), NOW_S)
