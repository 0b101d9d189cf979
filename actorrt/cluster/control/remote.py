"""The control store of another node, and the requests of other nodes to one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from actorrt.actors.wire.control import Control
from actorrt.cluster.control.history import HistoryWatch
from actorrt.cluster.control.store import ANSWER_TIMEOUT_S, ControlStore
from actorrt.errors import ActorRtError, ControlUnavailableError
from actorrt.ids import PeerAddress
from actorrt.protocol.cluster.control import News, Outcome, ReadControl, ReadNews, Row, Write, WriteControl
from actorrt.protocol.verb import Request

A = TypeVar("A")


def serve_store(store: ControlStore, control: Control) -> None:
    """Answer the requests of other nodes."""
    control.handle(WriteControl.by(lambda _, asked: store.write(asked.write)))
    control.handle(ReadControl.by(lambda _, asked: store.read(asked.table, asked.key)))
    control.handle(ReadNews.by(lambda _, asked: store.since(asked.version, asked.tables)))


class RemoteControlStore:
    """The control store that another node has.

    Args:
        control: of this node.
        host: returns the node that has the store; it may raise an `ActorRtError`, such as that the node is dead.
    """

    def __init__(self, control: Control, host: Callable[[], PeerAddress]) -> None:
        self._control = control
        self._host = host
        self._history = HistoryWatch("its file is an older copy")

    async def write(self, write: Write) -> Outcome:
        outcome = await self._ask(WriteControl(write=write))
        self._history.wrote(outcome.version)
        return outcome

    async def read(self, table: str, key: bytes) -> Row | None:
        return await self._ask(ReadControl(table=table, key=key))

    async def since(self, version: int, tables: Sequence[str]) -> News:
        known = self._history.newest
        news = await self._ask(ReadNews(version=version, tables=list(tables)))
        self._history.read(news.version, known)
        return news

    async def _ask(self, request: Request[A]) -> A:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._control.request(self._host(), request)
        except TimeoutError:
            raise ControlUnavailableError(
                f"the node with the control store did not answer within {ANSWER_TIMEOUT_S:g} s"
            ) from None
        except ControlUnavailableError:
            raise
        except ActorRtError as error:
            raise ControlUnavailableError(f"the node with the control store can't be reached: {error}") from error
