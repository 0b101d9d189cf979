"""Pure: the reasons for which a node refuses another one, and the error that carries a reason."""

from __future__ import annotations

from enum import Enum

from actorrt.errors import ActorRtError, AuthenticationError, ControlUnavailableError, WireVersionError


class Reason(Enum):
    """Why a node refuses another one. Refusals are counted by their reasons, which also travel."""

    NO_TLS = "no_tls"
    HANDSHAKE_FAILED = "handshake_failed"
    TOO_SLOW = "too_slow"
    TOO_MANY = "too_many"
    MALFORMED = "malformed"
    UNKNOWN_PURPOSE = "unknown_purpose"
    VERSION = "version"
    PYTHON = "python"
    CLOCK = "clock"
    NOT_PROVEN = "not_proven"
    ROLE = "role"
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_UNKNOWN = "token_unknown"
    TOKEN_WRONG = "token_wrong"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_USED_UP = "token_used_up"
    TOKEN_REVOKED = "token_revoked"
    CARD_MISSING = "card_missing"
    CARD_MALFORMED = "card_malformed"
    CARD_EXPIRED = "card_expired"
    CARD_NOT_YET_VALID = "card_not_yet_valid"
    CARD_REVOKED = "card_revoked"
    ANOTHER_CLUSTER = "another_cluster"
    NO_MEMBER = "no_member"
    STORE_AWAY = "store_away"
    DEFECT = "defect"


class RefusedError(AuthenticationError):
    """A node refuses another one, or itself the other one's answer.

    It stays inside of the cluster's packages: `public` is what users see.

    Attributes:
        reason: why.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason

    def public(self, address: str = "") -> ActorRtError:
        """Return the error of `actorrt.errors` for users, with the same text after the address of the far end."""
        text = f"{address}: {self}" if address else str(self)
        if self.reason is Reason.VERSION:
            return WireVersionError(text)
        if self.reason is Reason.STORE_AWAY:
            return ControlUnavailableError(text)
        return AuthenticationError(text)
