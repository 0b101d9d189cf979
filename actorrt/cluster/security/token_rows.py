"""Pure: the rows of tokens in the control store: who may still join by a token, and until when.

A use is bound to the CURVE key of the joining node, so a node that repeats its join uses the token once. Times are
those of the store's clock. A row is read and written by comparing versions, so that two nodes that admit at the same
time never give away more uses than there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import msgpack

from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.texts import duration
from actorrt.protocol.forms import Count
from actorrt.protocol.verb import Record

MAX_USES_COUNT: Final = 1_000
KEPT_S: Final = 86_400.0
"""How long the row of an expired token is kept, so that its refusal says that it has expired."""


class TokenRow(Record):
    """The row of a token.

    Attributes:
        secret_hash: what is kept of the secret; see `proofs`.
        uses_left: how many more nodes may join by the token; None for any number.
        expires_at: when it expires, in seconds since 1970 by the store's clock.
        bound_keys: the CURVE keys of the nodes that have used it, if the uses are counted.
        is_revoked: whether it was revoked.
    """

    secret_hash: bytes
    uses_left: Count | None
    expires_at: float
    bound_keys: list[bytes]
    is_revoked: bool

    def packed(self) -> bytes:
        """Return the row as bytes."""
        packed: bytes = msgpack.packb(self.pack())
        return packed

    @classmethod
    def from_packed(cls, packed: bytes) -> TokenRow:
        """Return the row in bytes that `packed` returned.

        Raises:
            ValueError: the bytes are no row.
        """
        try:
            return cls.unpack(msgpack.unpackb(packed))
        except (msgpack.UnpackException, TypeError) as error:
            raise ValueError("not the row of a token") from error


class Reading(NamedTuple):
    """What the store has of a token.

    Attributes:
        row: None if there is no such token.
        version: the version of the row.
        now_s: the time by the store's clock, in seconds since 1970.
    """

    row: TokenRow | None
    version: int
    now_s: float


class TokenRows(Protocol):
    """The rows of the tokens. Each method raises ControlUnavailableError if the store does not answer."""

    async def read(self, token_id: bytes) -> Reading:
        """Return the row of a token."""

    async def write(self, token_id: bytes, row: TokenRow | None, expected: int) -> bool:
        """Write the row of a token, or delete it, if it has the expected version; return whether it had."""

    async def ids(self) -> list[bytes]:
        """Return the ids of all tokens that have a row."""


@dataclass(frozen=True, slots=True)
class Use:
    """What becomes of a token's row when a node joins by it.

    Attributes:
        row: the row to write; None if nothing changes.
    """

    row: TokenRow | None


def use(reading: Reading, key: bytes) -> Use:
    """Use a token once for the node with a CURVE key. The token's secret has been proven.

    Raises:
        RefusedError: the token is revoked, expired or used up.
    """
    row = check(reading)
    if row.uses_left is None or key in row.bound_keys:
        return Use(None)
    if row.uses_left == 0:
        raise RefusedError(Reason.TOKEN_USED_UP, "the token is used up: make another one with `actorrt token`")
    return Use(
        TokenRow(
            secret_hash=row.secret_hash,
            uses_left=row.uses_left - 1,
            expires_at=row.expires_at,
            bound_keys=[*row.bound_keys, key],
            is_revoked=row.is_revoked,
        )
    )


def check(reading: Reading) -> TokenRow:
    """Return the row of a token that is neither revoked nor expired.

    Raises:
        RefusedError: it is, or there is no such token.
    """
    row = reading.row
    if row is None:
        raise RefusedError(
            Reason.TOKEN_UNKNOWN,
            "the cluster has no such token: it expired long ago, or is of another cluster; make another one with "
            "`actorrt token`",
        )
    if row.is_revoked:
        raise RefusedError(Reason.TOKEN_REVOKED, "the token was revoked: make another one with `actorrt token`")
    if reading.now_s >= row.expires_at:
        ago = duration(reading.now_s - row.expires_at)
        raise RefusedError(Reason.TOKEN_EXPIRED, f"the token expired {ago} ago: make another one with `actorrt token`")
    return row


def revoked(row: TokenRow) -> TokenRow:
    """Return a row as it is after the token was revoked."""
    return TokenRow(
        secret_hash=row.secret_hash,
        uses_left=row.uses_left,
        expires_at=row.expires_at,
        bound_keys=row.bound_keys,
        is_revoked=True,
    )
