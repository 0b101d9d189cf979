"""Snapshots of an actor's state: when they are taken, where they go, and how the next incarnation gets one.

A snapshot is the result of the instance's `snapshot()`, called between two messages and sealed in the object store. The
actor's authority holds the newest two, so they outlive the process that made them, and are released with the actor.
With `snapshot_dir` they are files as well (`saved`), and outlive the node. The next incarnation gets a writable copy
before `on_start` and its first message. If a snapshot can't be read, or `restore` refuses it, the one before is tried,
and the log says so.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorrt.actors.cells.snapshot_files import find, load, save
from actorrt.actors.wire.failures import users_traceback
from actorrt.background import in_background
from actorrt.ids import ObjectId
from actorrt.interrupts import let_through
from actorrt.protocol.authorities import SnapshotTaken
from actorrt.store.client.required import required
from actorrt.texts import in_words

if TYPE_CHECKING:
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.policy.options import ActorOptions
    from actorrt.actors.wire.control import Control
    from actorrt.machine.disk import Disk
    from actorrt.machine.threads import Threads
    from actorrt.store.client.client import StoreClient
    from actorrt.store.client.ref import ObjectRef

logger = logging.getLogger(__name__)

NEVER: Final = sys.maxsize
"""A count of messages that is never reached."""
READ_TIMEOUT_S: Final = 10.0


class SnapshotKeeper:
    """Puts the snapshots of an endpoint's actors into the object store, and has their authorities hold them.

    Args:
        store: the object store's client; None in a process without.
        control: reaches the authorities.
        threads, disk: write and read the snapshots that are files.
    """

    def __init__(self, store: StoreClient | None, control: Control, threads: Threads, disk: Disk) -> None:
        self._store = store
        self._control = control
        self._threads = threads
        self._disk = disk

    def put(self, snapshot: Callable[[], Any]) -> ObjectRef[Any]:
        """Put what `snapshot` returns into the store.

        Raises:
            RuntimeStateError: this process has no object store; nothing was called.
            Exception: whatever `snapshot` raises, and what keeps its result out of the store.
        """
        return required(self._store).put(snapshot())

    def entrust(self, ref: ObjectRef[Any], cell: Cell) -> None:
        """Have the cell's authority hold a snapshot for the next incarnation."""
        refs = [ref]
        store = required(self._store)
        token = store.new_token()
        store.begin_transit(ref, token, 1)
        taken = SnapshotTaken(actor=cell.actor_id, incarnation=cell.incarnation, object=ref.id, token=token)
        kept = self._control.request(cell.blueprint.authority, taken)
        kept.add_callback(lambda _: refs.clear())  # held here until the authority holds it

    async def restored(self, object_id: ObjectId) -> Any:
        """Return a writable copy of the state in a snapshot.

        Raises:
            ObjectLostError, ObjectNotFoundError: the snapshot is lost.
            TimeoutError: it did not come; its maker died before it was sealed.
            Exception: whatever unpickling it raises.
        """
        async with asyncio.timeout(READ_TIMEOUT_S):
            state = await required(self._store).ref(object_id)
        return copy.deepcopy(state)  # arrays are read-only views of the store until then

    async def save(self, directory: str, namespace: str, name: str, state: Any) -> None:
        """Write a state to disk, in a thread; raises as `snapshot_files.save`."""
        await self._threads.run(save, self._disk, directory, namespace, name, state)

    def files(self, directory: str, namespace: str, name: str) -> list[Callable[[], Awaitable[Any]]]:
        """Return readers of the states on disk, newest first; each reads in a thread, as `snapshot_files.load`."""
        found = find(self._disk, directory, namespace, name)
        return [partial(self._threads.run, load, self._disk, path) for path in found]


class Snapshots:
    """Takes the snapshots of one cell, every so many messages or seconds."""

    def __init__(self, cell: Cell, every: int | float) -> None:
        self._cell = cell
        self._messages = every if isinstance(every, int) else None
        self._period_s = float(every)
        self._timer: asyncio.TimerHandle | None = None
        self._taken_at = 0  # the count of messages handled then
        self._is_due = False
        self._to_save: ObjectRef[Any] | None = None  # the newest that is to be a file
        self._saving: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Called when the incarnation begins to handle messages."""
        self._taken_at, self._is_due = 0, False
        if self._messages is None:
            self._timer = in_background(self._cell.host.loop.call_later, self._period_s, self._period_over)

    def end(self) -> None:
        """Called when the incarnation has ended, or stops. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reached(self, handled_count: int) -> int:
        """Called when `handled_count` messages are handled; return the count at which to call again."""
        if self._messages is None:
            if self._is_due:
                self.take(self._cell.instance)
            return NEVER
        if handled_count % self._messages == 0:
            self.take(self._cell.instance)
        return (handled_count // self._messages + 1) * self._messages

    def _period_over(self) -> None:
        self._timer = in_background(self._cell.host.loop.call_later, self._period_s, self._period_over)
        cell = self._cell
        if cell.handled_count == self._taken_at:
            return  # nothing was handled since
        if cell.execution is not None and cell.execution.call_at_next():
            self._is_due = True  # it is taken when the message in hand has ended
        else:
            self.take(cell.instance)

    def take(self, instance: Any) -> None:
        """Take a snapshot now; one that fails is logged, and the one before stays.

        Args:
            instance: the actor; None if its incarnation has ended or is being stopped: nothing is taken then.
        """
        self._is_due = False
        if instance is None:
            return
        cell = self._cell
        self._taken_at = cell.handled_count
        keeper = cell.host.snapshots
        try:
            ref = keeper.put(instance.snapshot)
        except BaseException as error:  # whatever the user's method raises ends this one snapshot
            let_through(error)
            logger.error("%s took no snapshot, the one before stays: %s", cell.label, users_traceback(error))
            return
        keeper.entrust(ref, cell)
        if cell.options.snapshot_dir is not None:
            self._to_save = ref
            if self._saving is None:
                self._saving = cell.host.scope.start(self._save(), f"save {cell.label}")

    async def saved(self) -> None:
        """Return when the snapshots that are to be files are on disk."""
        if self._saving is not None:
            await self._saving

    async def _save(self) -> None:
        """Write the newest snapshot in a thread, and then the newest of those that were taken meanwhile."""
        cell, options, keeper = self._cell, self._cell.options, self._cell.host.snapshots
        assert options.snapshot_dir is not None
        assert options.name is not None
        while self._to_save is not None:
            ref, self._to_save = self._to_save, None
            try:
                await keeper.save(options.snapshot_dir, cell.blueprint.namespace, options.name, ref.value())
            except BaseException as error:  # a full disk, or what can't be pickled, ends this one file
                if cell.host.scope.is_closed:
                    raise
                logger.error("a snapshot of %s is on no disk, the one before stays: %s", cell.label, in_words(error))
        self._saving = None


def sources(cell: Cell, object_ids: Sequence[ObjectId]) -> list[Callable[[], Awaitable[Any]]]:
    """Return readers of the states that an incarnation may begin with, newest first: in the store, then in files."""
    keeper, options = cell.host.snapshots, cell.options
    found: list[Callable[[], Awaitable[Any]]] = [partial(keeper.restored, object_id) for object_id in object_ids]
    if options.snapshot_dir is not None and options.name is not None:
        found += keeper.files(options.snapshot_dir, cell.blueprint.namespace, options.name)
    return found


def check_state_hooks(cls: type, options: ActorOptions) -> None:
    """Refuse `snapshot_every` for a class that lacks the methods for snapshots.

    Raises:
        ValueError: it lacks `snapshot()` or `restore(state)`, or `snapshot` is a coroutine function.
    """
    if options.snapshot_every is None:
        return
    for name in ("snapshot", "restore"):
        if not callable(getattr(cls, name, None)):
            raise ValueError(
                f"snapshot_every={options.snapshot_every!r} for {cls.__name__}, which has no {name}(): define "
                "snapshot() and restore(state), or leave the option out"
            )
    if asyncio.iscoroutinefunction(cls.snapshot):  # type: ignore[attr-defined]
        raise ValueError(f"{cls.__name__}.snapshot() must be a plain method: nothing may change the state meanwhile")
