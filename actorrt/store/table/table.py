"""Pure: the objects of one store, and what keeps them alive. Their states are in `objects`.

A connection is a number. It *holds* objects (its refs) and *pins* them (its mapped views), each by count. An object
lives while a connection holds or pins it, while it is in transit, and while an object that contains it lives. An
object that nobody refers to is deleted at the next sweep. Before a sweep the caller reads everything that has arrived,
so that a hold which is under way is counted before the last one ends. An object whose id was never sent anywhere is
deleted immediately.

An object of another node is *adopted* when a process of that node sends its ref: the store that made it holds it for
this node.

A *keeper* of an object is a process that can make it again: it has submitted the task whose result the object is. An
object whose bytes or promise are lost fails if it has no keeper. Otherwise its first keeper is asked, but only when
a process waits for the object. If a keeper ends or gives up, the next one is asked.
"""

from __future__ import annotations

from actorrt.errors import ActorRtError, ObjectLostError
from actorrt.ids import ObjectId, PeerId, short
from actorrt.store.memory.pool import Place
from actorrt.store.table.entries import ObjectEntries
from actorrt.store.table.freed import FreedIds
from actorrt.store.table.instructions import Adopt, FreeBytes, ObjectReady, TransitArrived
from actorrt.store.table.invariants import check
from actorrt.store.table.objects import ObjectEntry, Presence, State, Token, lost, not_found
from actorrt.store.table.ref_transits import RefTransits
from actorrt.store.wire.plain_errors import decode_plain


class ObjectTable(ObjectEntries):
    """The one table of a store. It gathers instructions until `take`.

    Attributes:
        transits: the messages under way, to be read only.
    """

    def __init__(self) -> None:
        super().__init__()
        self.transits = RefTransits()
        self._freed = FreedIds()

    def check_invariants(self) -> None:
        """Raise BrokenInvariantError with the whole entry of an object that breaks a rule; for tests."""
        check(self._entries, self._by_connection, self.transits, self.idle, self.suspects)

    # Connections

    def connect(self, connection: int, peer: PeerId | None = None) -> None:
        """Begin a connection; `peer` is given for the connection on which a process reports its holds and transits."""
        self._by_connection[connection] = set()
        if peer is not None:
            self.transits.connect(peer, connection)

    def introduce(self, peer: PeerId, node: bytes) -> None:
        """Note a process of another node that sent a message here."""
        self.transits.introduce(peer, node)

    def disconnect(self, connection: int, now: float) -> None:
        """End everything that a connection holds, waits for, is making, has declared or could make again."""
        for token, object_id in self.transits.end_sender(connection, now):
            self._end_expectation(object_id, token, lost(object_id, "the process that sent it ended"))
        for object_id in sorted(self._by_connection.pop(connection, ())):
            if (entry := self._entries.get(object_id)) is not None:
                self._leave(entry, connection)

    def _leave(self, entry: ObjectEntry, connection: int) -> None:
        entry.holds.pop(connection, None)
        if entry.pins.pop(connection, None) is not None:
            self.idle.note(entry)
        entry.waiters -= {connection}
        entry.keepers = tuple([keeper for keeper in entry.keepers if keeper != connection])
        if entry.maker == connection and entry.is_being_written():
            self._drop_unsealed(entry)
        if entry.declarer == connection:
            entry.declarer = None
            if entry.state is State.PENDING:
                self._lose(entry, entry.loss or _promise_lost(entry))
        if entry.state is State.LOST and not entry.keepers:
            self._fail(entry, _keeper_lost(entry))
        self.suspects.add(entry.object_id)

    def _drop_unsealed(self, entry: ObjectEntry) -> None:
        """Free the bytes of an object whose maker ended or gave up before it was sealed; others may make it again."""
        self._free_bytes(entry)
        self.suspects.add(entry.object_id)
        self._take_maker(entry)
        if entry.state is State.CREATED and entry.declarer is not None:
            entry.state = State.PENDING
        elif entry.state is State.CREATED and entry.origin is not None:
            entry.state = State.REMOTE
        elif entry.state is State.CREATED:
            self._lose(entry, lost(entry.object_id, "its maker ended or gave up before it was sealed"))

    # Making objects

    def declare(self, object_id: ObjectId, connection: int) -> None:
        """Hold an object, and promise that some process will make it; the connection's end ends the promise."""
        entry = self._entry(object_id, State.PENDING)
        self._hold(entry, connection)
        if entry.is_unmade():
            entry.declarer = connection
        if entry.state in (State.EXPECTED, State.LOST):
            entry.state = State.PENDING

    def locate(self, object_id: ObjectId, connection: int, node: bytes, token: Token | None = None) -> None:
        """Hold an object of another node for a connection; a token ends one copy of its transit."""
        entry = self._entry(object_id, State.REMOTE)
        self._hold(entry, connection)
        self._found(entry, node, token)

    def _found(self, entry: ObjectEntry, node: bytes, token: Token | None) -> None:
        """Note that an object was made on another node. A promise of it here has been kept."""
        entry.is_private = False
        is_unmade = entry.state in (State.EXPECTED, State.REMOTE, State.PENDING)
        if entry.origin is None and is_unmade and entry.loss is None:
            entry.origin, entry.state = node, State.REMOTE
            self._keep_promise(entry)
            self._instructions.append(Adopt(entry.object_id, node, token))
        elif token is not None:
            self._instructions.append(TransitArrived(entry.object_id, node, token))

    def set_origin(self, object_id: ObjectId, origin: bytes | None) -> None:
        """Note the node that made an adopted object; None if that node is gone. Without a copy here it is lost then."""
        entry = self._entries.get(object_id)
        if entry is not None and entry.origin is not None:
            entry.origin = origin
        if origin is None and entry is not None and entry.state is State.REMOTE:
            self._lose(entry, lost(object_id, "its node is gone"))

    def fetch_failed(self, object_id: ObjectId, error: bytes) -> None:
        """Called when an object of another node can't be brought here."""
        entry = self._entries.get(object_id)
        if entry is None or entry.state is not State.REMOTE:
            return
        reason = decode_plain(error)
        if isinstance(reason, ObjectLostError):
            self._lose(entry, reason)
        else:
            self._fail(entry, error)

    def may_create(self, object_id: ObjectId) -> bool:
        """Whether the object is still to be made; False if it is sealed.

        Raises:
            ObjectLostError: the object failed, or another connection is making it.
        """
        entry = self._entries.get(object_id)
        if entry is None or entry.state in (State.EXPECTED, State.REMOTE, State.PENDING, State.LOST):
            return True
        if entry.is_readable:
            return False
        what = "is being made by another process" if entry.state is State.CREATED else "was given up"
        raise ObjectLostError(f"object {short(object_id)} {what}")

    def create(
        self, object_id: ObjectId, connection: int, place: Place, *, is_promised: bool = True, line: str = ""
    ) -> None:
        """Begin an object at a place, after `may_create` returned True.

        `is_promised` says that others may know the id: the object was declared, or will be.
        """
        is_known = object_id in self._entries
        entry = self._entry(object_id, State.CREATED)
        entry.is_private = not is_promised and not is_known
        entry.state, entry.place, entry.maker, entry.line = State.CREATED, place, connection, line
        self._hold(entry, connection)

    def contain(self, object_id: ObjectId, connection: int, contained: list[ObjectId]) -> None:
        """Let an object that the connection is making hold others while it lives."""
        entry = self._made_by(object_id, connection)
        if entry is None:
            return
        known = [inner for other in contained if (inner := self._entries.get(other)) is not None]
        found = [inner for inner in known if inner.state is not State.FREED]
        for inner in found:
            inner.containers_count += 1
            inner.is_private = False
        entry.contained = [*entry.contained, *(inner.object_id for inner in found)]

    def seal(self, object_id: ObjectId, connection: int) -> None:
        """Finish an object; it is never written again."""
        entry = self._made_by(object_id, connection)
        if entry is None:
            return
        if entry.state is not State.CREATED:  # it was failed or freed while it was being written
            self._drop_unsealed(entry)
            return
        entry.state, entry.loss = State.SEALED, None
        self._take_maker(entry)
        self._keep_promise(entry)
        self.idle.note(entry)
        self._instructions.extend(ObjectReady(waiter, object_id) for waiter in self._take_waiters(entry))
        self.suspects.add(entry.object_id)

    def abort(self, object_id: ObjectId, connection: int) -> None:
        """Give up an object that the connection is making, and the hold that `create` gave."""
        entry = self._made_by(object_id, connection)
        if entry is not None:
            self._drop_unsealed(entry)
            self.release(object_id, connection)

    def fail(self, object_id: ObjectId, error: bytes, connection: int | None = None) -> None:
        """Fail an object; without effect if it is sealed, failed or freed.

        If a keeper says so that was to make it again, the next keeper is asked.
        """
        entry = self._entry(object_id, State.PENDING)
        if not entry.is_unmade():
            return
        others = tuple([keeper for keeper in entry.keepers if keeper != connection])
        if entry.loss is None or entry.declarer != connection or connection is None or not others:
            self._fail(entry, error)
            return
        entry.keepers = others
        self._lose(entry, entry.loss)

    def _made_by(self, object_id: ObjectId, connection: int) -> ObjectEntry | None:
        entry = self._entries.get(object_id)
        return entry if entry is not None and entry.maker == connection else None

    # Holding objects

    def acquire(self, object_id: ObjectId, connection: int, token: Token | None) -> None:
        """Hold an object for a connection; a token ends one copy of its transit.

        An unknown object is expected while the token's sender is connected, and failed otherwise.
        """
        if (node := self.transits.node_of(token)) is not None:
            self.locate(object_id, connection, node, token)
            return
        entry = self._entries.get(object_id)
        if entry is None:
            entry = self._entry(object_id, State.EXPECTED)
            transit = None if token is None else self.transits.get(token)
            was_announced = transit is not None and transit.balance_count > 0
            if object_id in self._freed or was_announced:
                self._fail(entry, not_found(object_id, "is not known: it was freed"))
            elif self.transits.sender_of(token) is None:
                self._fail(entry, lost(object_id, "nothing kept it while its ref was under way"))
        entry.is_private = False
        self._hold(entry, connection)
        if token is not None:
            self.arrive(object_id, token, connection)

    def arrive(self, object_id: ObjectId, token: Token, connection: int) -> None:
        """End one copy of a transit, which arrived at a holder."""
        if (node := self.transits.node_of(token)) is not None:
            self._found(self._entry(object_id, State.REMOTE), node, token)
            return
        transit = self.transits.get(token)
        sender = self.transits.sender_of(token) if transit is None else transit.sender
        if sender is None:
            return
        entry = self._entries.get(object_id)
        if transit is None and entry is not None and entry.state is State.EXPECTED:
            entry.overtaken |= {token}
        self._change_transit(token, object_id, sender, -1, connection)

    def transit(self, object_id: ObjectId, connection: int, token: Token, copies_count: int) -> None:
        """Keep an object until `copies_count` copies of a message have arrived."""
        # The sender's own messages about the object came earlier, on the same connection.
        self._end_expectation(object_id, token, not_found(object_id, "was freed before it was sent"))
        self._change_transit(token, object_id, connection, copies_count)

    def _end_expectation(self, object_id: ObjectId, token: Token, error: ActorRtError) -> None:
        """Called when a sender has announced its transit, or has ended: the last one fails an EXPECTED object."""
        entry = self._entries.get(object_id)
        if entry is not None and token in entry.overtaken:
            entry.overtaken -= {token}
            if entry.state is State.EXPECTED and not entry.overtaken:
                self._fail(entry, error)

    def settle(self, token: Token) -> None:
        """End a transit whose message is lost, whether or not copies have arrived."""
        transit = self.transits.get(token)
        if transit is not None and transit.balance_count > 0:
            self._change_transit(token, transit.object_id, transit.sender, -transit.balance_count)

    def node_gone(self, node: PeerId) -> None:
        """End the copies of transits that left for processes of another node, which can't be reached."""
        for token, count in self.transits.lose_node(node):
            if (transit := self.transits.get(token)) is not None:
                self._change_transit(token, transit.object_id, transit.sender, -count)

    def _change_transit(self, token: Token, object_id: ObjectId, sender: int, count: int, receiver: int = 0) -> None:
        holds = self.transits.change(token, object_id, sender, count, receiver)
        entry = self._entries.get(object_id)
        if entry is not None:
            entry.is_private = False
            entry.note_transit(token, holds=holds)
            self.suspects.add(entry.object_id)

    def free(self, object_id: ObjectId) -> None:
        """Free an object for every holder; its bytes stay while a process views or writes them."""
        entry = self._entries.get(object_id)
        if entry is None or entry.state is State.FREED:
            return
        self.idle.pop(object_id, None)
        if not entry.is_readable:
            self._fail(entry, not_found(object_id, "was freed before it was made"))
        self._forget_keepers(entry)
        entry.state = State.FREED
        self._freed.add(object_id)
        self.suspects.add(entry.object_id)

    # Moving to disk

    def move(self, object_id: ObjectId, source: Place, target: Place) -> bool:
        """Move an object to disk; False if it is gone or was pinned meanwhile."""
        entry = self._entries.get(object_id)
        if entry is None or not entry.is_idle or entry.place != source:
            return False
        self._instructions.append(FreeBytes(source))
        del self.idle[object_id]
        entry.place, entry.state = target, State.SPILLED
        return True

    def lose(self, object_id: ObjectId, error: ActorRtError) -> None:
        """Called when the bytes of an object on disk have changed. Its readers have been unpinned."""
        entry = self._entries.get(object_id)
        if entry is not None and entry.state is State.SPILLED:
            self._lose(entry, error)

    # Making again

    def keep(self, object_id: ObjectId, connection: int) -> None:
        """Note that a process can make an object again, if it is lost while the process lives."""
        entry = self._entries.get(object_id)
        if entry is None or entry.state in (State.FAILED, State.FREED):
            return
        self._add_keeper(entry, connection)

    def find(self, object_id: ObjectId, connection: int) -> Presence:
        """Return whether an object is here, as its keeper sees it."""
        entry = self._entries.get(object_id)
        if entry is None:
            return Presence.HERE if object_id in self._freed else Presence.UNKNOWN
        return Presence.LOST if entry.state is State.LOST or entry.is_asked_of(connection) else Presence.HERE

    def claim(self, object_id: ObjectId, connection: int) -> bool:
        """Hold an object for a keeper of it. Return whether the keeper has to make it, and has promised that now.

        An object that is unknown, because nobody referred to it, is to be made.
        """
        if object_id not in self._entries and object_id in self._freed:
            self.acquire(object_id, connection, None)
            return False
        entry = self._entries.get(object_id)
        if entry is None:
            entry = self._entry(object_id, State.LOST)
            entry.loss = lost(object_id, "nobody referred to it")
        self._hold(entry, connection)
        if entry.state is State.LOST:
            self._add_keeper(entry, connection)
            entry.state, entry.declarer = State.PENDING, connection
        return entry.is_asked_of(connection)

    # Deleting

    def tick(self, now: float) -> None:
        """End the transits whose senders ended long enough ago."""
        for token in self.transits.expired(now):
            self.settle(token)


def _promise_lost(entry: ObjectEntry) -> ObjectLostError:
    return lost(entry.object_id, "the process that promised it ended before it was sealed")


def _keeper_lost(entry: ObjectEntry) -> ObjectLostError:
    return ObjectLostError(f"{entry.loss}; the process that submitted its task, and could make it again, has ended")
