"""Makes and revokes join tokens, in the control store of the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actorrt.cluster.security.authority import Draw
from actorrt.cluster.security.proofs import hash_of_secret
from actorrt.cluster.security.token import SECRET_BYTES, TOKEN_ID_BYTES, Token
from actorrt.cluster.security.token_rows import KEPT_S, MAX_USES_COUNT, TokenRow, TokenRows, revoked
from actorrt.errors import ControlUnavailableError
from actorrt.protocol.cluster.control import MISSING

DEFAULT_MINUTES: Final = 15.0
MAX_MINUTES: Final = 366 * 1_440.0
_ATTEMPTS_COUNT: Final = 16


async def mint_token(
    rows: TokenRows,
    fingerprint: bytes,
    addresses: Sequence[str],
    draw: Draw,
    *,
    minutes: float = DEFAULT_MINUTES,
    uses: int | None = None,
) -> Token:
    """Make a token, and return it when its row is in the store. Rows that expired a day ago are deleted.

    Args:
        rows: the rows of the tokens.
        fingerprint: that of the certificate of the cluster's authority.
        addresses: where this node, the entry node, listens, each `host:port`.
        draw: the source of the secret.
        minutes: how long the token is valid.
        uses: how many nodes may join by it; None for any number.

    Raises:
        ValueError: a number is out of range, or there is no address to which others can connect.
        ControlUnavailableError: the store does not answer; the token may exist, but nobody knows its secret.
    """
    if not 0 < minutes <= MAX_MINUTES:
        raise ValueError(f"minutes={minutes:g}: a token is valid for more than 0 and at most {MAX_MINUTES:.0f} minutes")
    if uses is not None and not 0 < uses <= MAX_USES_COUNT:
        raise ValueError(f"uses={uses}: give 1 to {MAX_USES_COUNT}, or None for any number")
    token = Token(draw(TOKEN_ID_BYTES), draw(SECRET_BYTES), fingerprint, tuple(addresses))
    token.text()  # checks the addresses before anything changes
    await _sweep(rows)
    now_s = (await rows.read(token.id)).now_s
    row = TokenRow(
        secret_hash=hash_of_secret(token.secret),
        uses_left=uses,
        expires_at=now_s + 60 * minutes,
        bound_keys=[],
        is_revoked=False,
    )
    if not await rows.write(token.id, row, MISSING):
        raise ControlUnavailableError("the control store did not take the row of the new token: try again")
    return token


async def revoke_token(rows: TokenRows, token_id: bytes) -> bool:
    """Revoke a token; return False if there is no such token. Nodes that have joined by it stay members.

    Raises:
        ControlUnavailableError: the store does not answer; the token may be revoked.
    """
    for _ in range(_ATTEMPTS_COUNT):
        reading = await rows.read(token_id)
        if reading.row is None:
            return False
        if reading.row.is_revoked or await rows.write(token_id, revoked(reading.row), reading.version):
            return True
    raise ControlUnavailableError("other nodes changed the token's row again and again: try again")


async def _sweep(rows: TokenRows) -> None:
    """Delete the rows of tokens that expired long ago."""
    for token_id in await rows.ids():
        reading = await rows.read(token_id)
        if reading.row is not None and reading.now_s > reading.row.expires_at + KEPT_S:
            await rows.write(token_id, None, reading.version)
