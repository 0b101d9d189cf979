"""A process's side of the store: puts and gets, and the refs and views that hold objects.

Thread-safe, and independent of any loop: the client has a socket of its own, and the daemon answers requests. Only
waiting for objects that are still to be made needs a loop, given by `attach`. `writing` makes objects, the package
`connection` makes requests, and `watching` completes refs.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final
from weakref import ReferenceType, WeakSet
from weakref import ref as weak

from actorrt.errors import ActorRtError, ObjectLostError, RuntimeStateError
from actorrt.ids import ID_BYTES, ObjectId, PeerAddress, PeerId
from actorrt.machine.surroundings import Surroundings
from actorrt.store.client.events import Events
from actorrt.store.client.keeping import Keeping
from actorrt.store.client.published import PublishedNames
from actorrt.store.client.ref import ObjectRef
from actorrt.store.client.watching import Watcher
from actorrt.store.client.writing import WritingClient
from actorrt.store.connection.connection import NotReadyError, StoreConnection
from actorrt.store.connection.reservations import Reservations
from actorrt.store.connection.socket_channel import SocketChannel
from actorrt.store.values.carrier import Carrier
from actorrt.store.values.encoding import decode, decode_plain
from actorrt.store.values.errors import encode as encode_error
from actorrt.store.wire.channel import Channel
from actorrt.store.wire.protocol import MAX_BATCH_COUNT, Op

_SENDERS_COUNT: Final = 10_000
_BESIDE_COUNT: Final = 256
"""How many more small objects a read asks for."""


class StoreClient(WritingClient):
    """One process's connection to its store.

    Args:
        channel: the way to the store.
        peer: this process.
        surroundings: time, identities and threads.

    Attributes:
        owner: given to every carrier of this client, for refs that are not the store's; its job is the scope of
            published names, and it has tasks of other processes cancelled.
        names: published values.
        keeping: makes lost objects again.
        call_later: calls something on the attached loop after a delay; see `EventsLoop.call_later`.
        node_of: returns the node of a process that sends refs here, empty for this node; None if there are no other
            nodes.
    """

    def __init__(self, channel: Channel, peer: PeerId, surroundings: Surroundings) -> None:
        clock, ids, threads = surroundings.clock, surroundings.ids, surroundings.threads
        self._connection = connection = StoreConnection(channel, threads)
        self._conversation, self._backlog = connection.conversation, connection.backlog
        reservations = Reservations(connection, connection.events_loop, clock, threads, is_apart=channel.is_apart)
        writable = partial(self._conversation.maps.view, writable=True)
        super().__init__(connection.loan, reservations, connection.post, writable, ids, threads)
        self.call_later = connection.events_loop.call_later
        self.peer = peer
        self._owner: Any = None
        self.names = PublishedNames(self._connection, self._put_or_pack, self._adopt, self._decode)
        self._watcher = Watcher(connection.post, connection.events_loop)
        self.keeping = Keeping(connection, partial(ObjectRef, self))
        self._events = Events(connection, self._watcher, reservations, self.names, self.keeping)
        self._refs: dict[ObjectId, ReferenceType[ObjectRef[Any]]] = {}
        self._unread: dict[ObjectId, ReferenceType[ObjectRef[Any]]] = {}
        self._pinned: dict[ObjectId, ObjectRef[Any]] = {}
        self._tokens = itertools.count()
        self.node_of: Callable[[PeerId], bytes] | None = None
        self._senders: set[PeerId] = set()
        self._tell_lost: Callable[[], None] | None = None
        _clients.add(self)

    @property
    def owner(self) -> Any:
        return self._owner

    @owner.setter
    def owner(self, owner: Any) -> None:
        self._owner = owner
        self.names.join(bytes(owner.job))

    @classmethod
    def connect(
        cls, path: str, peer: PeerId, surroundings: Surroundings, *, on_gone: Callable[[], None] | None = None
    ) -> StoreClient:
        """Connect to the daemon whose store socket is at `path`; for `on_gone` see `SocketChannel`.

        Raises:
            PeerUnreachableError: no store answers there.
        """
        return cls(SocketChannel(path, peer, surroundings.clock, on_gone), peer, surroundings)

    def attach(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[[], None] | None = None) -> None:
        """Have `loop`, which is running this, hear the store's events.

        Args:
            loop: the loop.
            on_lost: called when the store or the connection has ended, and everything that needs it has failed.
        """
        self._tell_lost = on_lost
        self._connection.attach(loop, self._events.on_event, self._on_lost)

    @property
    def is_attached(self) -> bool:
        return self._connection.events_loop.loop is not None

    @property
    def is_gone(self) -> bool:
        """Whether the store has ended, or was found gone: its node is lost for this process, or will be soon."""
        return self._conversation.has_ended or self._conversation.channel.is_gone

    def close(self) -> None:
        """Release everything, on the attached loop if there is one. Remaining refs fail. Idempotent."""
        self._end(RuntimeStateError, "the object store client of this process is closed")

    def _end(self, kind: type[ActorRtError], why: str) -> None:
        if not self._conversation.has_ended:
            self._connection.end(kind, why)
            self._pinned.clear()
            self._watcher.fail_all(why)
            self.names.fail_all(kind(why))
            self._reservations.fail_all(kind(why))
            self._deferred.close()
            self._conversation.warmer.close()

    def abandon_after_fork(self) -> None:
        """Disable the copy of this client in a forked child; the parent's client is not disturbed."""
        self._watcher.abandon_after_fork()
        self.names.abandon_after_fork()
        self._reservations.abandon_after_fork()
        self._deferred.abandon_after_fork()
        self._connection.abandon_after_fork()

    def forget(self, object_id: ObjectId) -> None:
        """Queue the end of a ref's hold. Finalizers call this, at any moment."""
        known = self._refs.get(object_id)
        if known is not None and known() is None:
            self._refs.pop(object_id, None)
            self._unread.pop(object_id, None)
        self._backlog.queue_release(object_id, is_pin=False)

    def flush(self) -> None:
        """Report every object made here, for processes that know the ids without having a ref."""
        self._backlog.flush()

    # Promising

    def declare(self, object_id: ObjectId | None = None) -> ObjectRef[Any]:
        """Promise an object that some process will put; it is lost if this process ends first.

        A `put`, `put_error` or `fail` in any process ends the promise.
        """
        object_id = self._ids.object() if object_id is None else object_id
        self._connection.post(Op.DECLARE, object_id)
        return self._new_ref(object_id)

    def fail(self, object_id: ObjectId, error: BaseException) -> None:
        """Fail an object: its waiters raise `error`.

        Without effect if it is sealed, or if the store is gone: the end of the store has failed the waiters.
        """
        if not self._conversation.has_ended:
            with suppress(ObjectLostError):
                self._connection.post(Op.FAIL, object_id, encode_error(error))

    def put_error(self, object_id: ObjectId, error: bytes) -> None:
        """Fail an object with an error that `values.errors.encode` has encoded."""
        self._connection.post(Op.FAIL, object_id, error)

    # Holding

    def ref(self, object_id: ObjectId, token: bytes | None = None) -> ObjectRef[Any]:
        """Register this process as a holder of an object.

        Args:
            object_id: the object; an unknown one is expected while the token's sender lives.
            token: the transit that came with the ref in a message; it ends.
        """
        weakly = self._refs.get(object_id)
        known = None if weakly is None else weakly()
        if token is not None and token[:ID_BYTES] not in self._senders:
            self._introduce(PeerId(token[:ID_BYTES]))
        if known is None:
            self.acquire([(object_id, token)])
            return self._new_ref(object_id)
        if token is not None:
            self._backlog.arrived(object_id, token)
        return known

    def _introduce(self, peer: PeerId) -> None:
        """Tell the store of another node's process, before any message about a ref that it sent."""
        node = b"" if self.node_of is None else self.node_of(peer)
        if node:
            self._connection.post(Op.INTRODUCE, peer, node)
        if len(self._senders) >= _SENDERS_COUNT:
            self._senders.clear()
        self._senders.add(peer)

    def acquire(self, arrived: Sequence[tuple[ObjectId, bytes | None]]) -> None:
        """Register this process as a holder of objects, whose refs came with tokens."""
        for start in range(0, len(arrived), MAX_BATCH_COUNT):
            self._connection.post(Op.ACQUIRE, arrived[start : start + MAX_BATCH_COUNT])

    def arrived(self, object_id: ObjectId, token: bytes | None, carrier: Carrier) -> ObjectRef[Any]:
        """Return the ref that came in a message; `carrier` acquires the objects that are new here, all at once.

        The ref is released a little later, since the next message may bring it again.
        """
        weakly = self._refs.get(object_id)
        if weakly is not None and weakly() is not None:
            ref = self.ref(object_id, token)
        else:
            if token is not None and token[:ID_BYTES] not in self._senders:
                self._introduce(PeerId(token[:ID_BYTES]))
            carrier.add_arrival(object_id, token)
            ref = self._new_ref(object_id)
            self._unread[object_id] = weak(ref)
        self._connection.release_later(object_id, ref)
        return ref

    def _adopt(self, object_id: ObjectId, place: list[int]) -> ObjectRef[Any]:
        """Return a ref to a sealed object that the store has held and pinned for this process."""
        return self._sealed(object_id, self._connection.view_pinned(object_id, place))

    def once_more(self, ref: ObjectRef[Any]) -> ObjectRef[Any]:
        """Return another ref to a ref's object, which is not done yet: the object has been lost since."""
        self.acquire([(ref.id, None)])
        return ObjectRef(self, ref.id)

    def _new_ref(self, object_id: ObjectId) -> ObjectRef[Any]:
        ref: ObjectRef[Any] = ObjectRef(self, object_id)
        self._refs[object_id] = weak(ref)
        return ref

    def _sealed(self, object_id: ObjectId, memory: memoryview | bytes | None = None) -> ObjectRef[Any]:
        ref: ObjectRef[Any] = ObjectRef.sealed(self, object_id, memory)
        self._refs[object_id] = weak(ref)
        return ref

    def cancel_task(self, object_id: ObjectId, maker: PeerAddress, *, force: bool) -> Any:
        """Have a process cancel the task that makes an object; see `ObjectRef.cancel`."""
        return self._owner.cancel_task(object_id, maker, force=force)

    def new_token(self) -> bytes:
        """Return a name for one transit."""
        return self.peer + next(self._tokens).to_bytes(8, "little")

    def begin_transit(self, ref: ObjectRef[Any], token: bytes, copies_count: int) -> None:
        """Keep an object until `copies_count` receivers of a message have registered."""
        self.begin_transits([(ref.id, token, copies_count)])

    def begin_transits(self, departed: Sequence[tuple[ObjectId, bytes, int]]) -> None:
        """Keep objects, each with its token and number of copies."""
        for start in range(0, len(departed), MAX_BATCH_COUNT):
            self._connection.post(Op.TRANSIT, departed[start : start + MAX_BATCH_COUNT])

    def address(self, tokens: Sequence[bytes], node: PeerId, *, has_left: bool = True) -> None:
        """Note that a message has left for a process of another node; or that it is not to be counted there any more.

        Its transits end with that node.
        """
        self._backlog.address([(token, node, has_left) for token in tokens])

    def settle(self, tokens: Sequence[bytes]) -> None:
        """End, sooner or later, transits whose messages are lost; without effect on those that arrived."""
        self._backlog.settle(tokens)

    def pin(self, ref: ObjectRef[Any]) -> None:
        """Hold an object in view until `free` or the end of this process, even without refs.

        Raises:
            NotReadyError, ObjectLostError, ObjectNotFoundError: the object is not sealed, is lost, or was freed. This
                call holds nothing then.
        """
        if not isinstance(ref.mapped(), memoryview):
            ref.keep(self._connection.pinned(ref.id)[0])
        self._pinned[ref.id] = ref

    def free(self, ref: ObjectRef[Any]) -> None:
        """Free an object for every process; views of it stay valid, and gets raise ObjectNotFoundError.

        A process that has read the object through a ref can read it as long as it has that ref.
        """
        weakly = self._refs.get(ref.id)
        for own in (ref, self._pinned.pop(ref.id, None), None if weakly is None else weakly()):
            if own is not None:
                own.keep(None)
        self._connection.drop_view(ref.id)
        self._connection.post(Op.FREE, ref.id)

    def stats(self) -> dict[str, int]:
        """Return the counts of the node's store."""
        counts: dict[str, int] = self._connection.request(Op.STATS)
        return counts

    def list_objects(self, count: int) -> list[list[Any]]:
        """Return the node's largest objects: start of the id, bytes, state, holders, and the line that made them."""
        listed: list[list[Any]] = self._connection.request(Op.LIST, count)
        return listed

    def statistics(self) -> dict[str, int]:
        """Return this process's counts: mappings, refs, watched refs, and releases that wait."""
        return {
            "maps_count": len(self._conversation.maps),
            "refs_count": len(self._refs),
            "watched_count": len(self._watcher),
            "to_release_count": self._backlog.to_release_count,
        }

    # Getting

    def get(self, object_id: ObjectId) -> Any:
        """Return the value of a sealed object.

        Raises:
            NotReadyError: it is not sealed yet.
            ObjectLostError, ObjectNotFoundError: it is lost, or was freed.
            The error that was put in its place.
        """
        return self.read(self.ref(object_id))

    def read(self, ref: ObjectRef[Any]) -> Any:
        """Return the value of a ref's object; raises as `get`."""
        memory = ref.mapped()
        if type(memory) is not bytes:
            return self._decode(self.view(ref))
        self._conversation.check()
        view = memoryview(memory)
        ref.keep(view)  # once it was read, it stays readable after the end of the store
        return decode_plain(view)

    def _carrier(self) -> Carrier:
        return Carrier(self, copies_count=0, owner=self._owner)

    def _decode(self, data: memoryview | bytes) -> Any:
        return decode(memoryview(data), self._carrier())

    def view(self, ref: ObjectRef[Any], *, waits_for_disk: bool = True) -> memoryview:
        """Return the bytes of a ref's object; raises as `get`. An object on disk is verified once."""
        memory = ref.mapped()
        if isinstance(memory, memoryview):
            return memory
        others = self._take_unread(ref.id) if self._unread else {}
        memory, beside = self._connection.pinned(ref.id, list(others), waits_for_disk=waits_for_disk)
        ref.keep(memory)
        for object_id, view in beside:
            others[object_id].keep(view)
            others[object_id].set_value(None)
        return memory

    def _take_unread(self, object_id: ObjectId) -> dict[ObjectId, ObjectRef[Any]]:
        """Return refs that arrived and were not read: a process that reads one reads the others next."""
        self._unread.pop(object_id, None)
        others: dict[ObjectId, ObjectRef[Any]] = {}
        for _ in range(min(_BESIDE_COUNT, len(self._unread))):
            other = next(iter(self._unread), None)  # other threads take refs, too
            weakly = None if other is None else self._unread.pop(other, None)
            ref = None if weakly is None else weakly()
            if ref is not None and ref.mapped() is None:
                others[ref.id] = ref
        return others

    def look(self, ref: ObjectRef[Any], *, waits_for_disk: bool = True) -> None:
        """Ask the store for a ref's object, and complete the ref if the object is sealed or lost."""
        try:
            self.view(ref, waits_for_disk=waits_for_disk)
        except NotReadyError:
            return
        except ActorRtError as error:
            self._conversation.check()
            ref.set_error(error)
        except Exception as error:  # the maker put it in the object's place; it may be of any type
            ref.set_error(error)
        else:
            ref.set_value(None)

    # Waiting

    def watch(self, ref: ObjectRef[Any]) -> None:
        """Have a ref completed by the store's events; the client keeps it until then.

        Raises:
            RuntimeStateError: no loop is attached, and the object is still to be made.
        """
        if self.is_attached or self._conversation.has_ended:
            self._watcher.watch(ref)
            return
        self.look(ref)
        if not ref.is_complete:
            raise RuntimeStateError(f"{ref!r} can't be watched: this object store client has no loop; use get()")

    def ask(self, ref: ObjectRef[Any]) -> None:
        """Have a ref completed, sooner or later; without a loop, now or not at all."""
        if self.is_attached or self._conversation.has_ended:
            self._watcher.watch(ref)
        else:
            self.look(ref)

    def wait_apart(self, ref: ObjectRef[Any], timeout_s: float | None) -> None:
        """Wait for a ref in this thread, on a connection of its own. For clients without a loop."""
        self.look(ref)
        if not ref.is_complete and self._connection.wait(Op.SUBSCRIBE, [ref.id], timeout_s=timeout_s):
            self.look(ref)

    def _on_lost(self) -> None:
        """Called when the daemon or the connection has ended: views stay readable, everything else is lost."""
        what = "the connection to the node's object store ended, and with it every hold of this process"
        self._end(ObjectLostError, f"{what}: only what is in view can be read")
        if self._tell_lost is not None:
            self._tell_lost()


_clients: WeakSet[StoreClient] = WeakSet()


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client.abandon_after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
