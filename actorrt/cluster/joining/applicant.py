"""Pure: the side of the joining node in the conversation of a join.

The certificate of the far end is checked before anything is sent that depends on a secret: against the cluster's
authority, which a node that joins by a token knows by its fingerprint.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import Enum, auto

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.fitting import check_clocks
from actorrt.cluster.joining.messages import Challenge, Hello, Proof, Refusal, Versions, Welcome
from actorrt.cluster.security import proofs
from actorrt.cluster.security.authority import Authority, Issuer
from actorrt.cluster.security.card import Card, Role
from actorrt.cluster.security.identity import Identity
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.token import Token

_ENTRY_CARD = "the card of the entry node"


@dataclass(frozen=True, slots=True)
class Joined:
    """What a node has when it has joined.

    Attributes:
        authority: the certificate of the cluster's authority; its fingerprint is the cluster's id.
        issuer: the authority with its key, if a full node joined by a token; None otherwise.
        card: the node's card.
        entry: the card of the entry node.
        seen_host: the address of this node, as the entry node sees it.
        local_host: the address of this node on the way to the entry node; the shell sets it.
        view: what the membership tells; opaque here.
    """

    authority: Authority
    issuer: Issuer | None
    card: Card
    entry: Card
    seen_host: str
    view: bytes = field(repr=False)
    local_host: str = ""


class _State(Enum):
    HELLO = auto()
    CHALLENGE = auto()
    WELCOME = auto()
    OVER = auto()


class Applicant:
    """The conversation of a node with its entry node.

    Args:
        identity: the node's identity.
        role: the role that it asks for.
        versions: its versions.
        about: what it tells the membership about itself.
        token: the token by which it joins; None to join by its card.
        authority: the authority of the cluster, if the node joins by its card.
    """

    def __init__(
        self,
        identity: Identity,
        role: Role,
        versions: Versions,
        about: bytes,
        *,
        token: Token | None = None,
        authority: Authority | None = None,
    ) -> None:
        if (token is None) == (authority is None):
            raise ValueError("a node joins by a token, or by a card under a known authority")
        self._identity = identity
        self._role = role
        self._versions = versions
        self._about = about
        self._token = token
        self._authority = authority
        self._entry: Card | None = None
        self._certificate = b""
        self._hello = b""
        self._state = _State.HELLO

    @property
    def is_over(self) -> bool:
        """Whether no message is expected any more."""
        return self._state is _State.OVER

    def begin(self, certificate: bytes | None, now_s: float) -> bytes:
        """Take the certificate that the far end showed in the handshake; return the first message.

        Raises:
            RefusedError: the far end is not a node of the cluster.
        """
        self._enter(_State.HELLO)
        if certificate is None:
            raise RefusedError(Reason.CARD_MISSING, "the entry node shows no certificate")
        self._certificate = certificate
        if self._authority is not None:
            self._entry = self._authority.check(certificate, now_s, of=_ENTRY_CARD)
        identity = self._identity
        hello = Hello(
            node=identity.node,
            key=identity.keys.public,
            public_key=identity.public_key,
            role=self._role,
            token=None if self._token is None else self._token.id,
            time_s=now_s,
            about=self._about,
        )
        self._hello = messages.pack(messages.JOIN, self._versions, hello)
        self._state = _State.WELCOME if self._token is None else _State.CHALLENGE
        return self._hello

    def received(self, packed: bytes, now_s: float) -> bytes | Joined:
        """Take a message of the entry node; return the next one to send, or the outcome.

        Raises:
            RefusedError: the entry node refuses this one, or this one refuses what the entry node says.
        """
        state = self._state
        self._state = _State.OVER
        message = messages.read(packed)
        if state in (_State.CHALLENGE, _State.WELCOME) and message.kind == messages.REFUSAL:
            raise messages.contents_of(message, Refusal).error()
        if state is _State.CHALLENGE and message.kind == messages.CHALLENGE:
            proof = self._proof(packed, messages.contents_of(message, Challenge), now_s)
            self._state = _State.WELCOME
            return proof
        if state is _State.WELCOME and message.kind == messages.WELCOME:
            return self._joined(messages.contents_of(message, Welcome), now_s)
        raise RefusedError(Reason.MALFORMED, f"the entry node sent a message {message.kind[:40]!r} out of turn")

    def _proof(self, packed: bytes, challenge: Challenge, now_s: float) -> bytes:
        token = self._token
        assert token is not None, "only a token is challenged"
        if not hmac.compare_digest(hashlib.sha256(challenge.authority).digest(), token.fingerprint):
            raise RefusedError(
                Reason.ANOTHER_CLUSTER,
                "the node at this address belongs to another cluster than the token: make a token on a node of the "
                "cluster that you mean (`actorrt token`), and look whether the address has changed hands",
            )
        authority = Authority.read(challenge.authority)
        # Before the clocks are compared: what a stranger says about the time means nothing.
        authority.check_signature(self._certificate, of=_ENTRY_CARD)
        check_clocks(now_s, challenge.time_s)
        self._entry = authority.check(self._certificate, now_s, of=_ENTRY_CARD)
        self._authority = authority
        transcript = proofs.transcript_of([self._hello, packed, self._certificate])
        try:
            exchange = proofs.prove_exchange(self._identity.keys.secret, challenge.exchange_key, transcript)
        except ValueError as error:
            raise RefusedError(Reason.MALFORMED, "the entry node's key for the exchange is malformed") from error
        return messages.pack(
            messages.PROOF,
            Proof(
                secret=proofs.prove_secret(token.secret, transcript),
                exchange=exchange,
                signature=proofs.prove_signing(self._identity.signing, transcript),
            ),
        )

    def _joined(self, welcome: Welcome, now_s: float) -> Joined:
        authority, entry = self._authority, self._entry
        assert authority is not None, "it was checked before"
        assert entry is not None, "it was checked before"
        if welcome.authority != authority.certificate:
            raise RefusedError(Reason.ANOTHER_CLUSTER, "the entry node admits to another cluster than its own")
        card = authority.check(welcome.card, now_s, of="the card that the entry node issued")
        if not self._identity.owns(card) or card.role is not self._role:
            raise RefusedError(Reason.CARD_MALFORMED, "the entry node issued a card of other keys or another role")
        issuer = None
        if welcome.authority_key is not None:
            issuer = Issuer.of_key(authority, welcome.authority_key)
        elif self._token is not None and self._role is Role.FULL:
            raise RefusedError(Reason.MALFORMED, "the entry node did not send the authority's key")
        return Joined(authority, issuer, card, entry, welcome.seen_host, welcome.view)

    def _enter(self, expected: _State) -> None:
        if self._state is not expected:
            raise ValueError("the conversation has begun already")
