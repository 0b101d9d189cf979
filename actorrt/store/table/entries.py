"""Pure: the entries of one store's objects, and the connections that are tied to them. The rules are in `table`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actorrt.errors import ActorRtError
from actorrt.ids import ObjectId
from actorrt.store.memory.pool import Place
from actorrt.store.table.idle import IdleObjects
from actorrt.store.table.instructions import (
    AskKeeper,
    FreeBytes,
    ObjectFailed,
    ObjectReady,
    ReleaseAdopted,
    TableInstruction,
)
from actorrt.store.table.objects import ObjectEntry, State, not_found, take_one
from actorrt.store.table.suspects import Suspects


class ObjectEntries:
    """The entries, with what ends them. Instructions are gathered until `take`.

    Attributes:
        idle: the objects that can be moved out of memory, to be read only.
        suspects: the objects that the next sweep looks at; the caller begins a sweep there.
    """

    def __init__(self) -> None:
        self._entries: dict[ObjectId, ObjectEntry] = {}
        self._by_connection: dict[int, set[ObjectId]] = {}
        self.idle = IdleObjects()
        self.suspects = Suspects()
        self._instructions: list[TableInstruction] = []

    # Reading the table

    def get(self, object_id: ObjectId) -> ObjectEntry | None:
        """Return the entry of an object, to be read only."""
        return self._entries.get(object_id)

    def entries(self) -> Iterable[ObjectEntry]:
        """Return every entry, to be read only."""
        return self._entries.values()

    def take(self) -> list[TableInstruction]:
        """Return and forget the instructions, in order."""
        instructions, self._instructions = self._instructions, []
        return instructions

    # Holding

    def release(self, object_id: ObjectId, connection: int) -> None:
        """End one hold of a connection."""
        entry = self._entries.get(object_id)
        if entry is not None:
            take_one(entry.holds, connection)
            self._untie(entry, connection)

    def pin(self, object_id: ObjectId, connection: int) -> Place:
        """Pin a sealed object for a connection and return its place."""
        entry = self._entries[object_id]
        assert entry.is_readable, f"pinned while {entry.state}"
        assert entry.place is not None, "a sealed object has a place"
        self.idle.pop(object_id, None)
        entry.pins[connection] = entry.pins.get(connection, 0) + 1
        self._by_connection[connection].add(object_id)
        return entry.place

    def unpin(self, object_id: ObjectId, connection: int) -> None:
        """End one pin of a connection."""
        entry = self._entries.get(object_id)
        if entry is not None:
            take_one(entry.pins, connection)
            self.idle.note(entry)
            self._untie(entry, connection)

    def _hold(self, entry: ObjectEntry, connection: int) -> None:
        entry.holds[connection] = entry.holds.get(connection, 0) + 1
        self._by_connection[connection].add(entry.object_id)

    def _untie(self, entry: ObjectEntry, connection: int) -> None:
        self._forget_if_unrelated(entry, connection)
        if entry.is_private:
            self._collect(entry)
        else:
            self.suspects.add(entry.object_id)

    # Waiting

    def subscribe(self, object_id: ObjectId, waiter: int) -> None:
        """Tell a connection once that the object is sealed or failed: now, if it is."""
        entry = self._entries.get(object_id)
        if entry is None or entry.state is State.FREED:
            self._instructions.append(ObjectFailed(waiter, object_id, not_found(object_id, "was freed")))
        elif entry.is_readable:
            self._instructions.append(ObjectReady(waiter, object_id))
        elif entry.state is State.FAILED:
            assert entry.error is not None
            self._instructions.append(ObjectFailed(waiter, object_id, entry.error))
        else:
            entry.waiters |= {waiter}
            self._by_connection[waiter].add(object_id)
            self._ask_keeper(entry)

    def _ask_keeper(self, entry: ObjectEntry) -> None:
        """Have an object that is lost and waited for made again: its first keeper promises it from now on."""
        if entry.state is State.LOST and entry.waiters:
            assert entry.loss is not None, "it is lost"
            entry.state, entry.declarer = State.PENDING, entry.keepers[0]
            self._instructions.append(AskKeeper(entry.keepers[0], entry.object_id, entry.loss))

    def _take_waiters(self, entry: ObjectEntry) -> Sequence[int]:
        if not entry.waiters:
            return ()
        waiters, entry.waiters = sorted(entry.waiters), frozenset()
        for waiter in waiters:
            self._forget_if_unrelated(entry, waiter)
        return waiters

    # The end of a promise

    def _lose(self, entry: ObjectEntry, loss: ActorRtError) -> None:
        """Called when the bytes or the promise of an object are lost. It fails if nobody can make it again."""
        if not entry.keepers:
            self._fail(entry, loss)
            return
        self._free_bytes(entry)
        self._keep_promise(entry)
        if entry.origin is not None:  # what is made again is this node's own
            entry.origin = None
            self._instructions.append(ReleaseAdopted(entry.object_id))
        entry.state, entry.loss = State.LOST, loss
        self._ask_keeper(entry)

    def _fail(self, entry: ObjectEntry, error: ActorRtError | bytes) -> None:
        entry.state, entry.error, entry.loss = State.FAILED, error, None
        self._keep_promise(entry)
        self._forget_keepers(entry)
        self._instructions.extend(ObjectFailed(waiter, entry.object_id, error) for waiter in self._take_waiters(entry))
        self.suspects.add(entry.object_id)

    def _add_keeper(self, entry: ObjectEntry, connection: int) -> None:
        if connection not in entry.keepers:
            entry.keepers = (*entry.keepers, connection)
            self._by_connection[connection].add(entry.object_id)

    def _forget_keepers(self, entry: ObjectEntry) -> None:
        keepers, entry.keepers = entry.keepers, ()
        for keeper in keepers:
            self._forget_if_unrelated(entry, keeper)

    def _take_maker(self, entry: ObjectEntry) -> None:
        maker, entry.maker = entry.maker, None
        if maker is not None:
            self._forget_if_unrelated(entry, maker)

    def _keep_promise(self, entry: ObjectEntry) -> None:
        """End the promise of an object, which is made now or has failed."""
        declarer, entry.declarer = entry.declarer, None
        if declarer is not None:
            self._forget_if_unrelated(entry, declarer)

    # Deleting

    def sweep(self) -> None:
        """Delete every object that nobody refers to. Call it when every message that arrived has been handled."""
        for object_id in self.suspects.take():
            if (entry := self._entries.get(object_id)) is not None:
                self._collect(entry)

    def _collect(self, entry: ObjectEntry) -> None:
        if entry.can_be_deleted():
            self._free_bytes(entry)
            self._remove(entry)

    def _remove(self, entry: ObjectEntry) -> None:
        del self._entries[entry.object_id]
        if entry.origin is not None:
            self._instructions.append(ReleaseAdopted(entry.object_id))
        self.idle.pop(entry.object_id, None)
        for connection in {*entry.holds, *entry.pins, *entry.waiters, *entry.keepers}:
            self._by_connection[connection].discard(entry.object_id)
        self._keep_promise(entry)

    def _free_bytes(self, entry: ObjectEntry) -> None:
        """Free an object's bytes and release the objects that it contains."""
        if entry.place is not None:
            self._instructions.append(FreeBytes(entry.place))
            entry.place = None
        for object_id in entry.contained:
            inner = self._entries.get(object_id)
            if inner is not None:
                inner.containers_count -= 1
                self.suspects.add(inner.object_id)
        entry.contained = ()

    def _entry(self, object_id: ObjectId, state: State) -> ObjectEntry:
        """Return the entry; a new one is in `state` and has no holder yet."""
        entry = self._entries.get(object_id)
        if entry is None:
            entry = self._entries[object_id] = ObjectEntry(object_id, state)
            self.suspects.add(entry.object_id)
        return entry

    def _forget_if_unrelated(self, entry: ObjectEntry, connection: int) -> None:
        """Drop an object from a connection's list if nothing ties them any more."""
        tied = self._by_connection.get(connection)  # None: it has just ended
        if tied is not None and entry.is_unrelated_to(connection):
            tied.discard(entry.object_id)
