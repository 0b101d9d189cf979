"""Admits nodes to the cluster: the TLS port of a node with the conversations of joining and of asking why not."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from typing import Final

from actorrt.cluster.joining import messages
from actorrt.cluster.joining.entrance import (
    Ask,
    Enrol,
    Entrance,
    Finish,
    Instruction,
    Joiner,
    ReadToken,
    Threshold,
    WriteToken,
    checked_card,
)
from actorrt.cluster.joining.fitting import own_versions
from actorrt.cluster.joining.port import PortStatistics, Route, TlsPort, Visit
from actorrt.cluster.security.authority import Draw, Issuer
from actorrt.cluster.security.card import Card
from actorrt.cluster.security.refusals import Reason, RefusedError
from actorrt.cluster.security.tls import Credentials
from actorrt.cluster.security.token_rows import TokenRows
from actorrt.errors import ControlUnavailableError
from actorrt.machine.clock import Clock
from actorrt.scopes import Scope

CONVERSATION_S: Final = 20.0
"""How long a join may take after the first message. The control store has 10 s of it."""
LAST_MESSAGE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Membership:
    """What the membership does for joining nodes.

    Attributes:
        enrol: called with each authenticated node that joins. It makes the node known to the cluster, as a joining row
            or as a driver node, and returns what the node is to know. It raises RefusedError to refuse the node, and
            ControlUnavailableError if the store does not answer. It may be called again for the same node.
        refusal: called with the card of a node that asks whether it is accepted; returns why not, or None.
    """

    enrol: Callable[[Joiner], Awaitable[bytes]]
    refusal: Callable[[Card], RefusedError | None] = lambda card: None


class Admission:
    """Admits nodes to the cluster, at the TLS port of a full node.

    Args:
        issuer: the authority of the cluster, with its key.
        credentials: what this node shows.
        tokens: the rows of the tokens.
        revoked: the revoked CURVE keys.
        membership: makes nodes known to the cluster.
        scope: owns the tasks.
        clock: the time for the log of refusals.
        wall: the time in seconds since 1970.
        draw: the source of nonces and serial numbers.

    Attributes:
        port: the port, which takes routes for other purposes.
    """

    def __init__(
        self,
        issuer: Issuer,
        credentials: Credentials,
        *,
        tokens: TokenRows,
        revoked: Container[bytes],
        membership: Membership,
        scope: Scope,
        clock: Clock,
        wall: Callable[[], float],
        draw: Draw,
    ) -> None:
        self._threshold = Threshold(issuer, credentials.card, own_versions(sys.version_info[:2]), revoked, draw)
        self._tokens = tokens
        self._membership = membership
        self._wall = wall
        self._draw = draw
        self.port = TlsPort(credentials, scope, clock)
        self.port.routes[messages.JOIN] = self._join
        self.port.routes[messages.ASK] = self._answer

    async def serve(self, host: str, port: int = 0) -> str:
        """Listen; return the address `host:port`. All who connect are authenticated, so any host will do.

        Raises:
            OSError: the address can't be listened at; the text names it and says what to do.
        """
        return await self.port.listen(host, port)

    def renew(self, credentials: Credentials) -> None:
        """Show a new card from now on."""
        self.port.renew(credentials)
        old = self._threshold
        self._threshold = Threshold(old.issuer, credentials.card, old.versions, old.revoked, old.draw)

    def members_only(self, handler: Callable[[Visit, Card], Awaitable[None]]) -> Route:
        """Return a route that hands over the visits of members with their cards, and refuses all others."""

        async def route(visit: Visit) -> None:
            card = checked_card(self._threshold, visit.certificate, self._wall())
            visit.authenticated()
            await handler(visit, card)

        return route

    def statistics(self) -> PortStatistics:
        """Return the counts of the port."""
        return self.port.statistics()

    async def close(self) -> None:
        """Admit nobody any more, and end all conversations on the loop. Idempotent."""
        await self.port.close()

    async def _join(self, visit: Visit) -> None:
        visit.allow(CONVERSATION_S)
        entrance = Entrance(self._threshold, visit.certificate, visit.host)
        instruction = entrance.first(visit.packed, self._wall())
        while not isinstance(instruction, Finish):
            instruction = await self._carried_out(instruction, entrance, visit)
        async with asyncio.timeout(LAST_MESSAGE_S):
            await visit.stream.send(instruction.message)
            await visit.stream.close_after_last_message()

    async def _carried_out(self, instruction: Instruction, entrance: Entrance, visit: Visit) -> Instruction:
        """Carry out an instruction, and return the next one."""
        try:
            match instruction:
                case Ask(message, most_bytes):
                    await visit.stream.send(message)
                    return entrance.received(await visit.stream.receive(most_bytes))
                case ReadToken(token_id):
                    return entrance.token_read(await self._tokens.read(token_id))
                case WriteToken(token_id, row, expected):
                    return entrance.token_written(await self._tokens.write(token_id, row, expected))
                case Enrol(joiner):
                    visit.authenticated()
                    return entrance.enrolled(await self._membership.enrol(joiner), self._wall())
        except ControlUnavailableError as error:
            raise RefusedError(Reason.STORE_AWAY, f"nobody can join now: {error}; the token stays valid") from error
        raise AssertionError(f"no instruction to carry out: {instruction!r}")

    async def _answer(self, visit: Visit) -> None:
        """Tell a node whether it is accepted: one that was refused elsewhere learns why."""
        card = checked_card(self._threshold, visit.certificate, self._wall())
        if (refusal := self._membership.refusal(card)) is not None:
            raise refusal
        visit.authenticated()
        async with asyncio.timeout(LAST_MESSAGE_S):
            await visit.stream.send(messages.pack(messages.ACCEPTED, messages.Question()))
            await visit.stream.close_after_last_message()
