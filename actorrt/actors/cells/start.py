"""The start of one incarnation: the instance is made, its state restored, `on_start` run; or it is broken off.

The cell decides what happens to messages meanwhile, and to the actor when the start fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from actorrt.actors.cells.snapshots import sources
from actorrt.actors.refs import current
from actorrt.actors.refs.message import Message
from actorrt.actors.wire.failures import users_traceback
from actorrt.actors.wire.payload import objects_opened
from actorrt.errors import ActorStartError
from actorrt.ids import ObjectId

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell


logger = logging.getLogger(__name__)


class ActorStart:
    """One start under way."""

    __slots__ = ("_cell", "_end", "_hook", "_hook_name", "_task")

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._task: asyncio.Task[Any] | None = None
        self._end: BaseException | None = None
        self._hook: Any = None  # what `restore` or `on_start` returned, while it is waited for
        self._hook_name = "restore"

    def at_once(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the instance of a class whose start never waits; see `Blueprint.starts_at_once`.

        Raises:
            Exception: whatever the constructor raises, or what broke the start off.
        """
        self._begin()
        instance = self._make(args, kwargs)
        if self._end is not None:
            raise self._end
        return instance

    def _begin(self) -> None:
        message = Message(None, 0, "!start", (), (), None, None)
        message.cell = self._cell
        current.message.set(message)

    async def run(self, args: tuple[Any, ...], kwargs: dict[str, Any], snapshots: Sequence[ObjectId]) -> Any:
        """Return the instance, ready for messages, with the state of the newest snapshot that can be read.

        Raises:
            Exception: whatever the constructor or a hook raises, or what broke the start off.
        """
        if self._end is not None:
            raise self._end
        self._task = asyncio.current_task()
        self._begin()
        try:
            args, kwargs = await objects_opened(args, kwargs)
            states = sources(self._cell, snapshots)
            instance = await self._revive(args, kwargs, states) if states else self._make(args, kwargs)
            if self._end is not None:  # `restore` has let the cancellation pass
                raise self._end
            self._hook_name = "on_start"
            self._hook = instance.on_start()
            await await_hook(self._hook)
        except (asyncio.CancelledError, RuntimeError):  # a task that waits for a closed coroutine meets the latter
            if self._end is not None:
                raise self._end from None
            raise
        finally:
            self._hook = None
        if self._end is not None:  # `on_start` has let the cancellation pass
            raise self._end
        return instance

    async def _revive(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], states: Sequence[Callable[[], Awaitable[Any]]]
    ) -> Any:
        for number, read in enumerate(states, 1):
            try:
                state = await read()
                instance = self._make(args, kwargs)
                self._hook = instance.restore(state)
                await await_hook(self._hook)
            except Exception as error:  # whatever unpickling or the user's `restore` raises ends this one attempt
                if self._end is not None:  # the start was broken off: the snapshot is not to blame
                    raise
                fallback = "the one before is tried" if number < len(states) else "there is none before it"
                text = "a snapshot of %s can't be restored, %s: %s"
                logger.warning(text, self._cell.label, fallback, users_traceback(error))
            else:
                return instance
        raise ActorStartError(f"{self._cell.label} did not start: none of its {len(states)} snapshots can be restored")

    def _make(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        cls = self._cell.blueprint.cls
        instance = cls.__new__(cls)
        instance.context = self._cell.context
        instance.__init__(*args, **kwargs)
        return instance

    def break_off(self, error: BaseException, within_s: float | None = None) -> None:
        """Have the start fail with `error`, where it waits next.

        A hook that waits on, although it is cancelled, is closed in `within_s` seconds.
        """
        self._end = error
        if self._task is not None:
            self._task.cancel()
            if within_s is not None:
                self._task.get_loop().call_later(within_s, self._close)

    def _close(self) -> None:
        if self._task is not None and asyncio.iscoroutine(self._hook):
            self._task.cancel()
            try:
                self._hook.close()
            except RuntimeError as error:
                text = "%s.%s waits on, although it is closed: %s"
                logger.warning(text, self._cell.label, self._hook_name, error)


async def await_hook(result: Any) -> None:
    """Await what a hook returned, if it is a coroutine."""
    if asyncio.iscoroutine(result):
        await result
