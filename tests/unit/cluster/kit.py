"""Parts of clusters for tests: authorities, identities and token rows whose time and randomness the test decides."""

from __future__ import annotations

import hashlib
from collections.abc import Container
from typing import Final

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.applicant import Applicant, Joined
from actorrt.cluster.joining.entrance import Ask, Enrol, Entrance, Finish, Joiner, ReadToken, Threshold, WriteToken
from actorrt.cluster.joining.messages import Versions
from actorrt.cluster.security.authority import Draw, Issuer
from actorrt.cluster.security.card import Card, Role
from actorrt.cluster.security.identity import Identity
from actorrt.cluster.security.token_rows import Reading, TokenRow
from actorrt.errors import ControlUnavailableError
from actorrt.protocol.cluster.control import MISSING

NOW_S: Final = 1_800_000_000.0
DAY_S: Final = 86_400.0


def draws(seed: str) -> Draw:
    """Return a source of bytes that look random and follow from the seed."""
    count = 0

    def draw(length: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(f"{seed}/{count}".encode()).digest(length)

    return draw


def issuer(name: str = "this cluster", now_s: float = NOW_S) -> Issuer:
    return Issuer.make(draws(name), now_s)


def identity(name: str) -> Identity:
    return Identity.make(draws(name))


def card_of(owner: Identity, by: Issuer, role: Role = Role.FULL, now_s: float = NOW_S) -> Card:
    return by.issue(owner.node, owner.keys.public, owner.public_key, role, draws("card"), now_s)


class MemoryTokenRows:
    """The rows of tokens in memory, with a clock that the test sets.

    Attributes:
        now_s: the time by the store's clock.
        is_away: whether the store does not answer.
    """

    def __init__(self, now_s: float = NOW_S) -> None:
        self.now_s = now_s
        self.is_away = False
        self.rows: dict[bytes, tuple[TokenRow, int]] = {}
        self.reads_count = 0
        self.writes_count = 0
        self._version = MISSING

    async def read(self, token_id: bytes) -> Reading:
        self._check()
        self.reads_count += 1
        row, version = self.rows.get(token_id, (None, MISSING))
        return Reading(row, version, self.now_s)

    async def write(self, token_id: bytes, row: TokenRow | None, expected: int) -> bool:
        self._check()
        if self.rows.get(token_id, (None, MISSING))[1] != expected:
            return False
        self.writes_count += 1
        self._version += 1
        if row is None:
            self.rows.pop(token_id, None)
        else:
            self.rows[token_id] = (row, self._version)
        return True

    async def ids(self) -> list[bytes]:
        self._check()
        return list(self.rows)

    def _check(self) -> None:
        if self.is_away:
            raise ControlUnavailableError("the control store is away: a test says so")


VERSIONS: Final = Versions(version="0.1.0", protocol_min=1, protocol=1, python="3.11")


class Meeting:
    """An applicant and an entrance, without sockets: the test carries the messages, and may change them.

    Args:
        threshold: what the entrance judges by.
        applicant: the joining side.
        rows: the rows of the tokens.
        certificate: what the joining side shows in the handshake.
        server_certificate: what the entrance shows; its card if None.
        clock_s, server_clock_s: the time at each side.

    Attributes:
        sent: the messages of the applicant so far, and the answers, in turn.
        enrolled: the nodes that were enrolled.
    """

    def __init__(
        self,
        threshold: Threshold,
        applicant: Applicant,
        rows: MemoryTokenRows,
        certificate: bytes | None = None,
        *,
        server_certificate: bytes | None = None,
        clock_s: float = NOW_S,
        server_clock_s: float = NOW_S,
    ) -> None:
        self.applicant = applicant
        self.entrance = Entrance(threshold, certificate, "10.0.0.9")
        self.rows = rows
        self.clock_s, self.server_clock_s = clock_s, server_clock_s
        self._server_certificate = server_certificate or threshold.card.certificate
        self.sent: list[bytes] = []
        self.enrolled: list[Joiner] = []
        self.welcome: bytes | None = None

    async def join(self) -> Joined:
        """Let both sides converse; a refusal of either side is raised."""
        message = self.applicant.begin(self._server_certificate, self.clock_s)
        while True:
            answer = await self.answer(message)
            outcome = self.applicant.received(answer, self.clock_s)
            if isinstance(outcome, Joined):
                return outcome
            message = outcome

    async def answer(self, message: bytes) -> bytes:
        """Give the entrance a message, and carry out its instructions until it answers."""
        self.sent.append(message)
        if len(self.sent) == 1:
            instruction = self.entrance.first(message, self.server_clock_s)
        else:
            instruction = self.entrance.received(message)
        while True:
            match instruction:
                case Ask(answer, most_bytes):
                    assert most_bytes == messages.PROOF_BYTES
                    self.sent.append(answer)
                    return answer
                case Finish(answer):
                    self.welcome = answer
                    self.sent.append(answer)
                    return answer
                case ReadToken(token_id):
                    instruction = self.entrance.token_read(await self.rows.read(token_id))
                case WriteToken(token_id, row, expected):
                    instruction = self.entrance.token_written(await self.rows.write(token_id, row, expected))
                case Enrol(joiner):
                    self.enrolled.append(joiner)
                    instruction = self.entrance.enrolled(b"the view", self.server_clock_s)


def threshold_of(by: Issuer, seed: str = "entry", *, revoked: Container[bytes] = frozenset()) -> Threshold:
    return Threshold(by, card_of(identity("entry"), by), VERSIONS, revoked, draws(seed))
