"""Pure: the side of the entry node in the conversation of a join, for one connection.

The state machine is told what arrives and what the control store answers, and returns one instruction for each. Every
fault is a `RefusedError`, after which the conversation is over; the shell tells the far end.

```
by a token:  HELLO ──▶ PROOF ──▶ READING ──▶ WRITING ──▶ ENROLLING ──▶ OVER
                                    ▲────────────┘  another node changed the row meanwhile
by a card:   HELLO ──▶ ENROLLING ──▶ OVER
```
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple, TypeAlias

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.fitting import check_clocks, check_versions
from actorrt.cluster.joining.messages import Challenge, Hello, Message, Proof, Versions, Welcome
from actorrt.cluster.security import proofs, token_rows
from actorrt.cluster.security.authority import Draw, Issuer
from actorrt.cluster.security.card import Card, Role
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.token_rows import Reading, TokenRow
from actorrt.ids import NodeId

ATTEMPTS_COUNT: Final = 32
"""How often a use of a token is tried again because another node changed its row at the same time."""
EXCHANGE_KEY_BYTES: Final = 32


class Ask(NamedTuple):
    """Send a message, and take the next one of the client, of at most so many bytes."""

    message: bytes
    most_bytes: int


class ReadToken(NamedTuple):
    """Read the row of a token, and tell it by `token_read`."""

    token_id: bytes


class WriteToken(NamedTuple):
    """Write the row of a token if it has this version, and tell by `token_written` whether it had."""

    token_id: bytes
    row: TokenRow
    expected: int


class Enrol(NamedTuple):
    """Make the node known to the cluster, and tell by `enrolled` what it is to know. It is authenticated."""

    joiner: Joiner


class Finish(NamedTuple):
    """Send the last message."""

    message: bytes


Instruction: TypeAlias = "Ask | ReadToken | WriteToken | Enrol | Finish"


@dataclass(frozen=True, slots=True)
class Joiner:
    """A node that joins, authenticated.

    Attributes:
        node, key, role: its id, its CURVE key and its role.
        has_token: whether it joins by a token; otherwise it has shown its card.
        about: what it says about itself to the membership.
        host: its address, as the entry node sees it.
    """

    node: NodeId
    key: bytes
    role: Role
    has_token: bool
    about: bytes
    host: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """What an entry node judges all joins by.

    Attributes:
        issuer: the authority of the cluster, with its key.
        card: the entry node's own card.
        versions: its versions.
        revoked: the revoked CURVE keys.
        draw: the source of nonces.
    """

    issuer: Issuer
    card: Card
    versions: Versions
    revoked: Container[bytes]
    draw: Draw


class _State(Enum):
    HELLO = auto()
    PROOF = auto()
    READING = auto()
    WRITING = auto()
    ENROLLING = auto()
    OVER = auto()


class Entrance:
    """The conversation with one client.

    Args:
        threshold: what joins are judged by.
        certificate: what the client showed in the TLS handshake; None if it showed none.
        host: the address of the client.
    """

    def __init__(self, threshold: Threshold, certificate: bytes | None, host: str) -> None:
        self._threshold = threshold
        self._certificate = certificate
        self._host = host
        self._state = _State.HELLO
        self._hello: Hello | None = None
        self._exchange_key = b""
        self._transcript = b""
        self._proof: Proof | None = None
        self._attempts_left = ATTEMPTS_COUNT
        self._joiner: Joiner | None = None

    @property
    def is_over(self) -> bool:
        """Whether the last instruction was given."""
        return self._state is _State.OVER

    def first(self, packed: bytes, now_s: float) -> Instruction:
        """Take the client's first message; `now_s` is the time of this machine, in seconds since 1970."""
        self._enter(_State.HELLO, _State.OVER)
        message = _read(packed, messages.JOIN)
        check_versions(messages.contents_of(message, Versions), self._threshold.versions)
        hello = self._hello = messages.contents_of(message, Hello)
        messages.check_lengths(hello)
        check_clocks(hello.time_s, now_s)
        if hello.key in self._threshold.revoked:
            raise _revoked()
        if hello.token is None:
            return self._by_card(hello, now_s)
        self._exchange_key = self._threshold.draw(EXCHANGE_KEY_BYTES)
        challenge = messages.pack(
            messages.CHALLENGE,
            Challenge(
                authority=self._threshold.issuer.authority.certificate,
                nonce=self._threshold.draw(proofs.NONCE_BYTES),
                exchange_key=proofs.exchange_public_key(self._exchange_key),
                time_s=now_s,
            ),
        )
        self._transcript = proofs.transcript_of([packed, challenge, self._threshold.card.certificate])
        self._state = _State.PROOF
        return Ask(challenge, messages.PROOF_BYTES)

    def received(self, packed: bytes) -> Instruction:
        """Take a further message of the client."""
        self._enter(_State.PROOF, _State.OVER)
        proof = self._proof = messages.contents_of(_read(packed, messages.PROOF), Proof)
        hello = self._known()
        if not proofs.is_signing_proven(hello.public_key, proof.signature, self._transcript):
            raise RefusedError(
                Reason.NOT_PROVEN, "the joining node has not proven that the key for its card is its own"
            )
        if not proofs.is_exchange_proven(self._exchange_key, hello.key, proof.exchange, self._transcript):
            raise RefusedError(Reason.NOT_PROVEN, "the joining node has not proven that its CURVE key is its own")
        return self._read_token(hello)

    def token_read(self, reading: Reading) -> Instruction:
        """Take what the control store has of the token."""
        self._enter(_State.READING, _State.OVER)
        hello, proof = self._known(), self._proof
        assert hello.token is not None, "only a join by a token reads one"
        assert proof is not None, "the proof came before"
        if reading.row is not None and not proofs.is_secret_proven(
            reading.row.secret_hash, proof.secret, self._transcript
        ):
            raise RefusedError(
                Reason.TOKEN_WRONG, "the secret of the token is wrong: make another one with `actorrt token`"
            )
        used = token_rows.use(reading, hello.key).row
        if used is None:
            return self._enrol(hello, hello.role)
        self._state = _State.WRITING
        return WriteToken(hello.token, used, reading.version)

    def token_written(self, is_written: bool) -> Instruction:
        """Take whether the row of the token was written."""
        self._enter(_State.WRITING, _State.OVER)
        hello = self._known()
        if is_written:
            return self._enrol(hello, hello.role)
        self._attempts_left -= 1
        if not self._attempts_left:
            raise RefusedError(Reason.STORE_AWAY, "too many nodes join by this token at the same time: try again")
        return self._read_token(hello)

    def enrolled(self, view: bytes, now_s: float) -> Finish:
        """Take what the membership has to tell the node, now that it is known to the cluster."""
        self._enter(_State.ENROLLING, _State.OVER)
        hello, joiner, issuer = self._known(), self._joiner, self._threshold.issuer
        assert joiner is not None, "it was enrolled"
        card = issuer.issue(joiner.node, joiner.key, hello.public_key, joiner.role, self._threshold.draw, now_s)
        has_key = joiner.has_token and joiner.role is Role.FULL
        welcome = Welcome(
            card=card.certificate,
            authority=issuer.authority.certificate,
            authority_key=issuer.private_key() if has_key else None,
            seen_host=self._host,
            view=view,
        )
        return Finish(messages.pack(messages.WELCOME, welcome))

    def _by_card(self, hello: Hello, now_s: float) -> Instruction:
        card = checked_card(self._threshold, self._certificate, now_s)
        if (card.node, card.key, card.public_key) != (hello.node, hello.key, hello.public_key):
            raise RefusedError(Reason.NOT_PROVEN, "the joining node's card is of other keys than the node says it has")
        if hello.role is Role.FULL and card.role is not Role.FULL:
            raise RefusedError(
                Reason.ROLE, "the card is that of a driver node: to host actors, join with a token (`actorrt token`)"
            )
        return self._enrol(hello, hello.role)

    def _read_token(self, hello: Hello) -> ReadToken:
        assert hello.token is not None, "only a join by a token reads one"
        self._state = _State.READING
        return ReadToken(hello.token)

    def _enrol(self, hello: Hello, role: Role) -> Enrol:
        self._joiner = Joiner(hello.node, hello.key, role, hello.token is not None, hello.about, self._host)
        self._state = _State.ENROLLING
        return Enrol(self._joiner)

    def _known(self) -> Hello:
        assert self._hello is not None, "the first message came before"
        return self._hello

    def _enter(self, expected: _State, following: _State) -> None:
        """Leave a state. An error after this leaves the conversation over."""
        if self._state is not expected:
            self._state = _State.OVER
            raise RefusedError(Reason.MALFORMED, "a message out of turn")
        self._state = following


def _read(packed: bytes, kind: str) -> Message:
    message = messages.read(packed)
    if message.kind != kind:
        raise RefusedError(Reason.MALFORMED, f"a message {message.kind[:40]!r} in the place of {kind!r}")
    return message


def checked_card(threshold: Threshold, certificate: bytes | None, now_s: float) -> Card:
    """Return the card that a client showed in its handshake, if it is valid and not revoked.

    Raises:
        RefusedError: it is not, or the client showed none.
    """
    if certificate is None:
        raise RefusedError(
            Reason.CARD_MISSING, "the client shows no card: a machine joins with a token (`actorrt token` makes it)"
        )
    card = threshold.issuer.authority.check(certificate, now_s, of="the card of the joining node")
    if card.key in threshold.revoked:
        raise _revoked()
    return card


def _revoked() -> RefusedError:
    return RefusedError(
        Reason.CARD_REVOKED,
        "the key of this node was revoked: to join as a new node, give another --state-dir and a token",
    )
