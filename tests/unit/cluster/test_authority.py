"""The authority of a cluster, and cards: what is accepted, and in which words others are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorrt.cluster.security.authority import Authority, Issuer
from actorrt.cluster.security.card import CARD_S, Card, Role
from actorrt.cluster.security.refusals import Reason, RefusedError
from tests.unit.cluster.kit import DAY_S, NOW_S, card_of, draws, identity, issuer

HERE = issuer()
ALICE = identity("alice")
CARD = card_of(ALICE, HERE)


def refused(certificate: bytes, now_s: float = NOW_S) -> tuple[Reason, str]:
    with pytest.raises(RefusedError) as caught:
        HERE.authority.check(certificate, now_s)
    return caught.value.reason, str(caught.value)


def test_card_names_the_node_its_keys_and_its_role_and_is_valid_for_30_days() -> None:
    card = HERE.authority.check(CARD.certificate, NOW_S)
    assert (card.node, card.key, card.public_key, card.role) == (
        ALICE.node,
        ALICE.keys.public,
        ALICE.public_key,
        Role.FULL,
    )
    assert card.not_after_s - NOW_S == 30 * DAY_S == CARD_S
    assert ALICE.owns(card)
    assert not identity("bob").owns(card)


def test_same_draws_make_the_same_authority_and_card() -> None:
    assert issuer().authority.fingerprint == HERE.authority.fingerprint
    assert card_of(ALICE, issuer()) == CARD
    assert issuer("another").authority.fingerprint != HERE.authority.fingerprint


def test_card_is_due_for_renewal_at_half_of_its_time() -> None:
    assert CARD.renewal_s == NOW_S + 15 * DAY_S


def test_expired_card_is_refused_and_the_text_says_since_when() -> None:
    reason, text = refused(CARD.certificate, NOW_S + 33 * DAY_S)
    assert reason is Reason.CARD_EXPIRED
    assert "expired 3 days ago" in text
    assert "join with a new token" in text


def test_card_from_the_future_is_refused_and_the_text_says_how_far_the_clocks_are_apart() -> None:
    reason, text = refused(CARD.certificate, NOW_S - 7_200)
    assert reason is Reason.CARD_NOT_YET_VALID
    assert "becomes valid in 110 minutes" in text
    assert "the clocks of two machines differ by 2 hours or more: set them (NTP)" in text


def test_card_is_accepted_by_a_clock_that_is_five_minutes_behind() -> None:
    assert HERE.authority.check(CARD.certificate, NOW_S - 300) == CARD


def test_card_of_another_cluster_is_refused() -> None:
    reason, text = refused(card_of(ALICE, issuer("another")).certificate)
    assert reason is Reason.ANOTHER_CLUSTER
    assert HERE.authority.fingerprint[:6].hex() in text


def test_card_of_an_authority_that_pretends_to_have_the_same_name_is_refused() -> None:
    impostor = Issuer(HERE.authority, issuer("impostor").key)
    reason, _ = refused(card_of(ALICE, impostor).certificate)
    assert reason is Reason.ANOTHER_CLUSTER


def test_certificate_of_the_authority_is_no_card() -> None:
    assert refused(HERE.authority.certificate)[0] is Reason.CARD_MALFORMED


def test_card_is_no_authority() -> None:
    with pytest.raises(RefusedError, match="not that of a cluster's authority"):
        Authority.read(CARD.certificate)


def test_key_of_another_authority_is_refused() -> None:
    other = issuer("another")
    assert Issuer.of_key(HERE.authority, HERE.private_key()).authority is HERE.authority
    for key in (other.private_key(), b"", b"short"):
        with pytest.raises(RefusedError):
            Issuer.of_key(HERE.authority, key)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@given(st.integers(0, len(CARD.certificate) - 1), st.integers(1, 255))
def test_card_of_which_any_byte_was_changed_is_refused(at: int, change: int) -> None:
    changed = bytearray(CARD.certificate)
    changed[at] ^= change
    refused(bytes(changed))


@given(
    st.one_of(st.binary(max_size=400), st.integers(0, len(CARD.certificate) - 1).map(lambda n: CARD.certificate[:n]))
)
def test_garbage_is_neither_card_nor_authority(garbage: bytes) -> None:
    with pytest.raises(RefusedError):
        Card.read(garbage)
    with pytest.raises(RefusedError):
        Authority.read(garbage)


def test_secrets_are_in_no_representation() -> None:
    secrets = (ALICE.keys.secret.hex(), HERE.private_key().hex(), repr(HERE.private_key()))
    shown = f"{ALICE!r} {HERE!r} {CARD!r} {draws!r}"
    assert [secret for secret in secrets if secret in shown] == []
