"""The names of actors: the holder of each, and the requests that wait for one.

This module also decides what a spawn does about a taken name. The registry ends a holder that is to be replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Protocol

from actorrt import errors
from actorrt.actors.authority.invariants import expect
from actorrt.actors.authority.record import ActorRecord, RecordState, first_change
from actorrt.actors.policy.options import IfExists
from actorrt.completion import Completion
from actorrt.machine.clock import Clock
from actorrt.protocol.authorities import ActorCard
from actorrt.scopes import Scope

LOOK_EVERY_S: Final = 0.1
"""How often a lookup that waits looks for the name at other nodes."""


class SharedNames(Protocol):
    """The names that the registries of several nodes share. Each method may raise ControlUnavailableError."""

    async def claim(self, record: ActorRecord) -> ActorCard | None:
        """Have the name of the record's order for it; or return the card of the holder elsewhere that it asks for.

        Raises:
            NameTakenError: a live actor of another node has the name, and the options say to fail then.
        """

    def release(self, record: ActorRecord) -> None:
        """Give back the name of a record, if it was claimed."""

    async def find(self, namespace: str, name: str) -> ActorCard | None:
        """Return the card of the actor of another node that has a name; None if there is none."""


class Names:
    """The names of one registry's actors.

    Args:
        clock, scope: bound waits for a name.
        replace: begins to end the holder of a name that another actor is to have.

    Attributes:
        shared: the names that other nodes have, too; None if this node is alone.
    """

    def __init__(self, clock: Clock, scope: Scope, replace: Callable[[ActorRecord], None]) -> None:
        self._clock = clock
        self._scope = scope
        self._replace = replace
        self._holders: dict[tuple[str, str], ActorRecord] = {}
        self._waiters: dict[tuple[str, str], list[Completion[None]]] = {}
        self.shared: SharedNames | None = None

    async def look_up(self, namespace: str, name: str, timeout_s: float) -> ActorCard:
        """Return the card of the named actor once it runs, here or at another node; see `find`."""
        if self.shared is None:
            return (await self.find(namespace, name, timeout_s)).card()
        deadline = self._clock.now() + timeout_s
        while True:
            left_s = max(0.0, deadline - self._clock.now())
            if (namespace, name) not in self._holders:
                card = await self.shared.find(namespace, name)
                if card is not None:
                    return card
            try:
                return (await self.find(namespace, name, min(left_s, LOOK_EVERY_S))).card()
            except errors.NameNotFoundError:
                if left_s <= LOOK_EVERY_S:
                    raise

    async def find(self, namespace: str, name: str, timeout_s: float) -> ActorRecord:
        """Return the named actor once it runs, waiting for that up to `timeout_s` seconds.

        Raises:
            NameNotFoundError: no live actor has the name by then, or the one that has it is still being started.
        """
        key = (namespace, name)
        deadline = self._clock.now() + timeout_s
        while True:
            holder = self._holders.get(key)
            if holder is not None and holder.state not in (RecordState.STARTING, RecordState.ENDING):
                return holder
            if not await self._changes(key, holder, deadline):
                raise _not_found(namespace, name, holder)

    async def _changes(self, key: tuple[str, str], holder: ActorRecord | None, deadline: float) -> bool:
        """Wait until the name is taken or its holder's state changes; return False if the time was over before."""
        left_s = deadline - self._clock.now()
        if left_s <= 0:
            return False
        waiter: Completion[None] = Completion()
        if holder is not None:
            holder.next_change().add_callback(lambda _: waiter.set_value(None))
        self._waiters.setdefault(key, []).append(waiter)
        cancel_timer = self._scope.after(left_s, lambda: waiter.set_value(None))
        try:
            await waiter
        finally:
            cancel_timer()
            self._forget_waiter(key, waiter)
        return True

    def _forget_waiter(self, key: tuple[str, str], waiter: Completion[None]) -> None:
        waiters = self._waiters.get(key, [])
        if waiter in waiters:
            waiters.remove(waiter)
        if not waiters:
            self._waiters.pop(key, None)

    async def take(self, record: ActorRecord) -> ActorCard | None:
        """Give the record the name of its order; return the card of the holder to use instead, or None.

        The wait for a name that is to become free ends when the record's order is withdrawn.

        Raises:
            NameTakenError: another live actor has the name, and the options say to fail then, or to get an actor of
                another class.
        """
        name = record.options.name
        if name is None:
            return None
        key = (record.order.namespace, name)
        while (holder := self._holders.get(key)) is not None and not record.order.is_withdrawn:
            if holder.state is not RecordState.ENDING:
                _check_may_share(record, holder)
                if record.options.if_exists is IfExists.REPLACE and not holder.is_administrative:
                    self._replace(holder)
                elif holder.state is not RecordState.STARTING and not holder.is_administrative:
                    return holder.card()
            if self._holders.get(key) is holder:
                await first_change(holder, record)
        if not record.order.is_withdrawn:
            self._holders[key] = record
            for waiter in self._waiters.pop(key, ()):
                waiter.set_value(None)
            if self.shared is not None:
                return await self.shared.claim(record)
        return None

    def free(self, record: ActorRecord) -> None:
        """Take back a name, if the record has one."""
        key = (record.order.namespace, record.options.name or "")
        if self._holders.get(key) is record:
            del self._holders[key]
            if self.shared is not None:
                self.shared.release(record)

    def check_invariants(self, records: Collection[ActorRecord]) -> None:
        """Check that each live actor has the name of its order, and that nobody else has a name; see `invariants`."""
        for (_, name), holder in self._holders.items():
            expect(holder in records, f"the name {name!r} belongs to an actor that is gone", holder)
        for record in records:
            key = (record.order.namespace, record.options.name or "")
            expect(not record.options.name or self._holders.get(key) is record, "it does not have its name", record)
        for (_, name), waiters in self._waiters.items():
            expect(bool(waiters), f"nobody waits for name {name!r}")


def _check_may_share(record: ActorRecord, holder: ActorRecord) -> None:
    """Refuse a taken name, unless the options ask for its holder or for the end of its holder."""
    name, if_exists = record.options.name, record.options.if_exists
    if if_exists is IfExists.FAIL:
        raise errors.NameTakenError(
            f"the name {name!r} is taken by a live {holder.label}; stop it first, or spawn with if_exists='get' or "
            f"'replace'"
        )
    if if_exists is IfExists.GET and holder.order.class_name != record.order.class_name:
        raise errors.NameTakenError(
            f"the name {name!r} is taken by a live actor of class {holder.order.class_name}, not "
            f"{record.order.class_name}: use lookup({name!r}) for that actor, or another name"
        )


def _not_found(namespace: str, name: str, holder: ActorRecord | None) -> errors.NameNotFoundError:
    if holder is not None and holder.state is RecordState.STARTING:
        return errors.NameNotFoundError(
            f"the actor named {name!r} in namespace {namespace!r} is still being started: give lookup a timeout_s"
        )
    return errors.NameNotFoundError(f"no actor is named {name!r} in namespace {namespace!r}")
