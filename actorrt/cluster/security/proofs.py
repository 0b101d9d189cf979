"""Pure: what a joining node proves: that it has a token's secret, and the private keys of its card.

All proofs are about a *transcript*: a hash of what both sides have said, with the nonce that the server drew for this
session, and of the server's card. So a proof is of no use in another session or to another server.

The proof of the secret is that of SCRAM (RFC 5802) without the salt and the iterations that guessable passwords need.
The control store keeps a hash from which no proof can be made, so a reader of the store can't join with what it reads.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NONCE_BYTES: Final = 32
PROOF_BYTES: Final = 32
_TRANSCRIPT: Final = b"actorrt join 1"
_CLIENT_KEY: Final = b"actorrt token secret"
_SIGNED: Final = b"actorrt join signature\x00"
_EXCHANGED: Final = b"actorrt join exchange\x00"


def transcript_of(parts: Iterable[bytes]) -> bytes:
    """Return the hash of what was said, each part with its length."""
    digest = hashlib.sha256(_TRANSCRIPT)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def hash_of_secret(secret: bytes) -> bytes:
    """Return what the control store keeps of a token's secret."""
    return hashlib.sha256(_client_key(secret)).digest()


def prove_secret(secret: bytes, transcript: bytes) -> bytes:
    """Return the proof that its maker has the secret."""
    client_key = _client_key(secret)
    mask = hmac.digest(hashlib.sha256(client_key).digest(), transcript, "sha256")
    return bytes(a ^ b for a, b in zip(client_key, mask, strict=True))


def is_secret_proven(secret_hash: bytes, proof: bytes, transcript: bytes) -> bool:
    """Whether the maker of a proof has the secret of which the hash is kept."""
    mask = hmac.digest(secret_hash, transcript, "sha256")
    if len(proof) != len(mask):
        return False
    client_key = bytes(a ^ b for a, b in zip(proof, mask, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), secret_hash)


def prove_signing(key: Ed25519PrivateKey, transcript: bytes) -> bytes:
    """Return the proof that its maker has the private key of its card."""
    return key.sign(_SIGNED + transcript)


def is_signing_proven(public_key: bytes, proof: bytes, transcript: bytes) -> bool:
    """Whether the maker of a proof has the private key to this public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(proof, _SIGNED + transcript)
    except (InvalidSignature, ValueError):
        return False
    return True


def prove_exchange(secret_key: bytes, other_public_key: bytes, transcript: bytes) -> bytes:
    """Return the proof that its maker has one of two Curve25519 secret keys, of which the other side has the other.

    Raises:
        ValueError: a key is malformed.
    """
    other = X25519PublicKey.from_public_bytes(other_public_key)
    shared = X25519PrivateKey.from_private_bytes(secret_key).exchange(other)
    return hmac.digest(shared, _EXCHANGED + transcript, "sha256")


def is_exchange_proven(secret_key: bytes, other_public_key: bytes, proof: bytes, transcript: bytes) -> bool:
    """Whether the maker of a proof has the secret key to `other_public_key`."""
    try:
        expected = prove_exchange(secret_key, other_public_key, transcript)
    except ValueError:
        return False
    return hmac.compare_digest(expected, proof)


def exchange_public_key(secret_key: bytes) -> bytes:
    """Return the public key to a Curve25519 secret key of 32 bytes; CURVE keys are such keys."""
    public_key = X25519PrivateKey.from_private_bytes(secret_key).public_key()
    return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _client_key(secret: bytes) -> bytes:
    return hmac.digest(secret, _CLIENT_KEY, "sha256")
