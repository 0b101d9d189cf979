"""The identity of a node: its id, its CURVE keys, and the key that signs its TLS handshakes."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actorrt.cluster.security.authority import SIGNING_KEY_BYTES, Draw, public_bytes
from actorrt.cluster.security.card import Card
from actorrt.cluster.security.proofs import exchange_public_key
from actorrt.ids import ID_BYTES, NodeId
from actorrt.transport.zeromq.security import KEY_BYTES, CurveKeys


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a node, which stays over restarts.

    Attributes:
        node: the id of the node.
        keys: its CURVE keys, which its processes share.
        signing: the key that signs its TLS handshakes.
    """

    node: NodeId
    keys: CurveKeys
    signing: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def make(cls, draw: Draw) -> Identity:
        """Make the identity of a new node."""
        return cls.of_secrets(
            NodeId(draw(ID_BYTES)), draw(KEY_BYTES), Ed25519PrivateKey.from_private_bytes(draw(SIGNING_KEY_BYTES))
        )

    @classmethod
    def of_secrets(cls, node: NodeId, secret_key: bytes, signing: Ed25519PrivateKey) -> Identity:
        """Make the identity of a node from its secrets.

        Raises:
            ValueError: a key is malformed.
        """
        return cls(node, CurveKeys(exchange_public_key(secret_key), secret_key), signing)

    @property
    def public_key(self) -> bytes:
        """The public key to `signing`."""
        return public_bytes(self.signing)

    def owns(self, card: Card) -> bool:
        """Whether a card is of this node and its keys."""
        return (card.node, card.key, card.public_key) == (self.node, self.keys.public, self.public_key)
