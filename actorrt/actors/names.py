"""Names of actors: who has each, and who waits for one.

What a taken name means for a spawn is decided here too; ending the holder is the registry's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from actorrt import errors
from actorrt.actors.options import IfExists
from actorrt.actors.record import Record, RecordState
from actorrt.clock import Clock
from actorrt.completion import Completion
from actorrt.scopes import Scope


class Names:
    """The names of one registry's actors.

    Args:
        clock, scope: bound waits for a name.
        replace: ends the holder of a name that another actor is to have.
    """

    def __init__(self, clock: Clock, scope: Scope, replace: Callable[[Record], Awaitable[None]]) -> None:
        self._clock = clock
        self._scope = scope
        self._replace = replace
        self._holders: dict[tuple[str, str], Record] = {}
        self._waiters: dict[tuple[str, str], list[Completion[None]]] = {}

    async def find(self, namespace: str, name: str, timeout_s: float) -> Record:
        """Return the named actor once it runs, waiting for the name up to `timeout_s` seconds.

        Raises:
            NameNotFoundError: no live actor has the name by then.
        """
        deadline = self._clock.now() + timeout_s
        while True:
            holder = self._holders.get((namespace, name))
            if holder is not None and holder.state is RecordState.STARTING:
                await holder.next_change()
            elif holder is not None and holder.state is not RecordState.ENDING:
                return holder
            elif not await self._appears((namespace, name), deadline):
                raise errors.NameNotFoundError(f"no actor is named {name!r} in namespace {namespace!r}")

    async def _appears(self, key: tuple[str, str], deadline: float) -> bool:
        left = deadline - self._clock.now()
        if left <= 0:
            return False
        waiter: Completion[None] = Completion()
        self._waiters.setdefault(key, []).append(waiter)
        cancel_timer = self._scope.after(left, lambda: waiter.set_value(None))
        await waiter
        cancel_timer()
        return True

    async def take(self, record: Record) -> Record | None:
        """Give the record its name, if it has one; return the actor that has it and is to be used instead.

        Raises:
            NameTakenError: another live actor has the name, and the options say to fail then.
        """
        name = record.options.name
        if name is None:
            return None
        key = (record.order.namespace, name)
        while (holder := self._holders.get(key)) is not None:
            if holder.state is RecordState.ENDING:
                await holder.next_change()
            elif record.options.if_exists is IfExists.FAIL:
                raise errors.NameTakenError(
                    f"the name {name!r} is taken by a live {holder.label}; stop it first, or spawn with if_exists="
                    f"'get' or 'replace'"
                )
            elif record.options.if_exists is IfExists.REPLACE:
                await self._replace(holder)
            elif holder.state is RecordState.STARTING or holder.is_administrative:
                await holder.next_change()
            else:
                return holder
        self._holders[key] = record
        for waiter in self._waiters.pop(key, ()):
            waiter.set_value(None)
        return None

    def free(self, record: Record) -> None:
        """Take back a name, if the record has one."""
        key = (record.order.namespace, record.options.name or "")
        if self._holders.get(key) is record:
            del self._holders[key]
