"""The calling side of an endpoint, whose loop, clock, links and peers do only what the test says."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from actorrt.actors.calling.arrivals import Arrivals
from actorrt.actors.calling.call_table import CallTable
from actorrt.actors.calling.calls import Calls
from actorrt.actors.calling.captures import Captures
from actorrt.actors.calling.deadly_calls import DeathCounter
from actorrt.actors.calling.routes import Routes
from actorrt.actors.calling.streams import Streams
from actorrt.actors.refs.loop_thread import LoopThread
from actorrt.actors.refs.message import Message
from actorrt.actors.refs.ref import DEFAULT_CALL, ActorRef, CallOptions
from actorrt.actors.refs.reply import Reply
from actorrt.actors.refs.route import Route
from actorrt.actors.wire.interface import Interface, MethodKind, MethodSpec
from actorrt.actors.wire.origins import Origins
from actorrt.actors.wire.payload import Payloads
from actorrt.actors.wire.peers import Peers
from actorrt.actors.wire.transits import Transits
from actorrt.completion import Completion
from actorrt.ids import ActorId, IdSource, PeerAddress, PeerId
from actorrt.machine.clock import ManualClock
from actorrt.protocol.authorities import Sighting
from actorrt.protocol.verb import Handler, Request
from actorrt.transport.interfaces import Lane
from tests.fake_loop import FakeLoop

HERE = PeerAddress(PeerId(b"h" * 16), "memory://here")
THERE = PeerAddress(PeerId(b"t" * 16), "memory://there")
NODE = PeerAddress(PeerId(b"n" * 16), "memory://node")
ACTOR = ActorId(b"a" * 16)

SPECS = {
    name: MethodSpec(name, kind, (("args", 2, True), ("kwargs", 4, True)))
    for name, kind in (("note", MethodKind.PLAIN), ("count", MethodKind.PLAIN_STREAM))
}
KIND = Interface("Noted", SPECS)


class FakeLink:
    """Numbers what is sent, and keeps it; `refusal` is what sending raises while it is set."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.refusal: Exception | None = None
        self.left_below = 0

    def send(self, envelope: Any, buffers: Sequence[Any] = ()) -> int:
        if self.refusal is not None:
            raise self.refusal
        self.sent.append((*envelope, *buffers))
        return len(self.sent) - 1


class FakeTransport:
    """Has a link to each peer. `heard` are the addresses of those that have spoken to this endpoint."""

    def __init__(self) -> None:
        self.peer, self.address = HERE
        self.links: dict[PeerId, FakeLink] = {}
        self.heard: dict[PeerId, str] = {}
        self.far: set[PeerId] = set()
        self.round_trips_s: dict[PeerId, float] = {}
        self.refusal: Exception | None = None

    def link(self, peer: PeerId, address: str, lane: Lane = Lane.USER) -> FakeLink:
        if self.refusal is not None:
            raise self.refusal
        return self.links.setdefault(peer, FakeLink())

    def address_of(self, peer: PeerId) -> str | None:
        return self.heard.get(peer)

    def round_trip_s(self, peer: PeerId) -> float:
        return self.round_trips_s.get(peer, 0.0)

    def node_of(self, peer: PeerId) -> bytes:
        return b"elsewhere" if peer in self.far else b""


class Asked(Completion[Any]):
    """A request that waits for the test to answer it."""

    def __init__(self, to: PeerAddress, request: Request[Any], lane: Lane) -> None:
        super().__init__()
        self.to, self.request, self.lane = to, request, lane


class FakeControl:
    """Notes what is asked and sent on the control lane."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.delivered: list[tuple[PeerAddress, list[Any]]] = []
        self.handlers: dict[type, Callable[[PeerId, Any], Any]] = {}

    def handle(self, handler: Handler) -> None:
        self.handlers[handler.request] = handler.handle

    def request(self, to: PeerAddress, request: Request[Any], lane: Lane = Lane.CONTROL) -> Asked:
        self.asked.append(asked := Asked(to, request, lane))
        return asked

    def deliver(self, to: PeerAddress, envelope: Sequence[Any]) -> bool:
        self.delivered.append((to, list(envelope)))
        return True


class FakeScope:
    """Runs timers by the fake loop; coroutines wait for the test."""

    is_closed = False

    def __init__(self, loop: FakeLoop) -> None:
        self._loop = loop
        self.started: list[Coroutine[Any, Any, Any]] = []
        self.defects: list[BaseException] = []

    def after(self, delay_s: float, callback: Callable[[], None]) -> Callable[[], None]:
        cancel: Callable[[], None] = self._loop.call_later(delay_s, callback).cancel
        return cancel

    def start(self, coroutine: Coroutine[Any, Any, Any], _: str, **__: Any) -> None:
        self.started.append(coroutine)

    def fail(self, error: BaseException) -> None:
        self.defects.append(error)

    def run(self) -> None:
        """Run what was started, none of which may wait any more."""
        started, self.started = self.started, []
        for coroutine in started:
            run(coroutine)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing; return its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError(f"{coroutine} waits")


class FakeInbox:
    """An actor of this endpoint: keeps what is delivered, while there is room for so much."""

    def __init__(self, room: int = 1_000) -> None:
        self.room = room
        self.delivered: list[Message] = []
        self.local_route: Route | None = None
        self.mailbox = self

    @property
    def has_local_room(self) -> bool:
        return len(self.delivered) < self.room

    has_room = has_local_room

    def deliver(self, message: Message) -> None:
        self.delivered.append(message)

    def await_room(self, route: Route) -> None:
        self.local_route = route


class FakeHost:
    """The actors of this endpoint, by their ids."""

    def __init__(self) -> None:
        self.local_caller: Any = object()
        self.cells: dict[ActorId, FakeInbox] = {}
        self.withdrawn: list[tuple[ActorId, int, bool]] = []
        self.granted_items: list[tuple[int, int]] = []
        self.serving = self

    def cell(self, actor_id: ActorId) -> FakeInbox | None:
        return self.cells.get(actor_id)

    def withdraw(self, _: Any, actor_id: ActorId, call_id: int, is_late: bool) -> bool:
        self.withdrawn.append((actor_id, call_id, is_late))
        return True

    def granted(self, _: Any, call_id: int, count: int) -> None:
        self.granted_items.append((call_id, count))


class LoopClock(ManualClock):
    """Shows the time of a fake loop."""

    def __init__(self, loop: FakeLoop) -> None:
        super().__init__()
        self._loop = loop

    def now(self) -> float:
        return self._loop.time()


class CallingSide:
    """The calling side of an endpoint, as the endpoint puts it together."""

    def __init__(self, store: Any = None, origins: Origins | None = None) -> None:
        self.loop = FakeLoop()
        self.scope: Any = FakeScope(self.loop)
        self.threads = LoopThread()
        self.threads.begin(self.loop, self.scope)
        self.clock = LoopClock(self.loop)
        self.transport: Any = FakeTransport()
        self.control: Any = FakeControl()
        self.host = FakeHost()
        self.dead_letters: list[tuple[str, ...]] = []
        self.is_closed = False
        self.peers = Peers(self.transport, NODE)
        self.peers.started()
        self.payloads = Payloads(store, self)
        self.transits = Transits(store, self.peers.node_of)
        self.routes = Routes(self.peers, self.control, self.clock, self.payloads, self.transits)
        self.routes.here = self.host
        self.table = CallTable(
            self.threads,
            self.clock,
            self.routes,
            DeathCounter(),
            origins,
            lambda *letter: self.dead_letters.append(letter),
        )
        self.arrivals = Arrivals(self.table, self.routes, self.payloads, self.scope, self.clock)
        self.streams = Streams(self.table, self.routes, self.payloads, self.threads, self.clock)
        captures = Captures(self.table, self.payloads, self.clock, store, IdSource(), {})
        self.calls = Calls(captures, self.table, self.routes, self.streams, self.threads, self.clock)
        self.ends: Any = None

    def refusal(self) -> Any:
        return self.threads.refusal()

    def ref(self, seen: PeerAddress | None = THERE, actor: ActorId = ACTOR, incarnation: int = 1) -> ActorRef[Any]:
        """Return a ref to an actor that the node is the authority of, seen at a peer."""
        sighting = None if seen is None else Sighting(seen, incarnation)
        return ActorRef(self, actor, KIND, "noted", NODE, sighting)

    def ask(self, ref: ActorRef[Any], *args: Any, options: CallOptions = DEFAULT_CALL, **kwargs: Any) -> Any:
        return self.calls.ask(ref, SPECS["note"], args, kwargs, options)

    def tell(self, ref: ActorRef[Any], *args: Any, options: CallOptions = DEFAULT_CALL) -> Reply[None]:
        return self.calls.tell(ref, SPECS["note"], args, {}, options)

    def stream(self, ref: ActorRef[Any], *args: Any, options: CallOptions = DEFAULT_CALL) -> Any:
        return self.calls.ask(ref, SPECS["count"], args, {}, options)

    @property
    def sent(self) -> list[Any]:
        """What has left for `THERE`."""
        link = self.transport.links.get(THERE.peer)
        return [] if link is None else link.sent

    def check(self) -> None:
        """Raise AssertionError if what is known of routes and calls contradicts itself."""
        self.routes.check_invariants()
        self.table.check_invariants()


def error_of(reply: Any) -> tuple[type[BaseException], Any]:
    """Return the type of the error of a call that has failed, and what it says of its execution."""
    error = reply.error()
    return type(error), getattr(error, "executed", None)
