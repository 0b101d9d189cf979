"""Refs that are put, sent, dropped and received in every interleaving, by processes that may die.

Each process sends to the table over a queue of its own, which is read in order but at any time. Messages between
processes may overtake those queues. An object that a process holds must exist; when no process holds anything, no
object is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actorrt.errors import ObjectLostError
from actorrt.ids import ObjectId, PeerId
from actorrt.store.memory.pool import Place
from actorrt.store.table.instructions import FreeBytes
from actorrt.store.table.objects import State
from actorrt.store.table.ref_transits import TRANSIT_GRACE_S
from tests.property.recording_table import RecordingTable

PROCESSES = st.integers(0, 2)
CHOICE = st.integers(0, 10)


@dataclass
class Process:
    """One process: its queue to the table, the refs it has, the messages on their way to it."""

    number: int
    queue: deque[Callable[[], object]] = field(default_factory=deque)
    refs: list[ObjectId] = field(default_factory=list)
    inbox: list[tuple[ObjectId, bytes]] = field(default_factory=list)
    is_alive: bool = True

    @property
    def peer(self) -> PeerId:
        return PeerId(bytes([self.number]) * 16)


class RefsMachine(RuleBasedStateMachine):
    """Refs in a message under way."""

    @initialize()
    def begin(self) -> None:
        self.table = RecordingTable()
        self.processes = [Process(number) for number in range(3)]
        for process in self.processes:
            self.table.connect(process.number, process.peer)
        self.count = 0
        self.places: set[Place] = set()
        self.anybody_died = False
        self.now = 0.0

    def number(self) -> int:
        self.count += 1
        return self.count

    @rule(who=PROCESSES, is_promised=st.booleans())
    def put(self, who: int, is_promised: bool) -> None:
        process = self.processes[who]
        if not process.is_alive:
            return
        number = self.number()
        object_id, place = ObjectId(number.to_bytes(16, "little")), Place(1, number * 64, 64)

        def create() -> None:
            self.table.create(object_id, who, place, is_promised=is_promised)
            self.places.add(place)

        process.queue.append(create)
        process.queue.append(lambda: self.table.seal(object_id, who))
        process.refs.append(object_id)

    @rule(who=PROCESSES)
    def declare(self, who: int) -> None:
        """Declare an object that another process makes and drops at once."""
        process, maker = self.processes[who], self.processes[(who + 1) % 3]
        if not (process.is_alive and maker.is_alive):
            return
        number = self.number()
        object_id, place = ObjectId(number.to_bytes(16, "little")), Place(1, number * 64, 64)
        process.queue.append(lambda: self.table.declare(object_id, who))
        process.refs.append(object_id)

        def make() -> None:
            try:
                assert self.table.may_create(object_id)
            except ObjectLostError:
                assert self.anybody_died
                return
            self.table.create(object_id, maker.number, place)
            self.places.add(place)
            maker.queue.appendleft(lambda: self.table.release(object_id, maker.number))
            maker.queue.appendleft(lambda: self.table.seal(object_id, maker.number))

        maker.queue.append(make)

    @rule(who=PROCESSES, to=PROCESSES, choice=CHOICE, drops=st.booleans())
    def send(self, who: int, to: int, choice: int, drops: bool) -> None:
        process, receiver = self.processes[who], self.processes[to]
        if not (process.refs and receiver.is_alive):
            return
        object_id = process.refs[choice % len(process.refs)]
        token = process.peer + self.number().to_bytes(8, "little")
        process.queue.append(lambda: self.table.transit(object_id, who, token, 1))
        receiver.inbox.append((object_id, token))
        if drops:
            process.refs.remove(object_id)
            process.queue.append(lambda: self.table.release(object_id, who))

    @rule(who=PROCESSES, choice=CHOICE)
    def receive(self, who: int, choice: int) -> None:
        process = self.processes[who]
        if not process.inbox:
            return
        object_id, token = process.inbox.pop(choice % len(process.inbox))
        process.queue.append(lambda: self.table.acquire(object_id, who, token))
        process.refs.append(object_id)

    @rule(who=PROCESSES, choice=CHOICE)
    def drop(self, who: int, choice: int) -> None:
        process = self.processes[who]
        if process.refs:
            object_id = process.refs.pop(choice % len(process.refs))
            process.queue.append(lambda: self.table.release(object_id, who))

    @rule(who=PROCESSES, count=st.integers(1, 4))
    def read(self, who: int, count: int) -> None:
        """Let the table read some messages of a process."""
        queue = self.processes[who].queue
        for _ in range(min(count, len(queue))):
            queue.popleft()()

    @precondition(lambda self: not any(process.queue for process in self.processes))
    @rule()
    def sweep(self) -> None:
        self.table.sweep()

    @rule(who=PROCESSES)
    def die(self, who: int) -> None:
        """End a process: its earlier messages are read first, and the senders settle the messages under way to it."""
        process = self.processes[who]
        if not process.is_alive or sum(p.is_alive for p in self.processes) == 1:
            return
        self.anybody_died = True
        process.is_alive = False
        while process.queue:
            process.queue.popleft()()
        self.table.disconnect(who, self.now)
        for _, token in process.inbox:
            sender = self.processes[token[0]]
            sender.queue.append(lambda token=token: self.table.settle(token))
        process.inbox.clear()
        process.refs.clear()

    @invariant()
    def bytes_are_given_up_once(self) -> None:
        if not hasattr(self, "table"):
            return
        for instruction in self.table.take():
            if isinstance(instruction, FreeBytes):
                self.places.remove(instruction.place)

    @invariant()
    def every_object_is_as_it_has_to_be(self) -> None:
        if hasattr(self, "table"):
            self.table.check_invariants()

    @invariant()
    def what_is_held_is_there(self) -> None:
        if not hasattr(self, "table") or self.anybody_died or any(process.queue for process in self.processes):
            return
        for process in self.processes:
            for object_id in process.refs:
                entry = self.table.get(object_id)
                assert entry is not None
                assert entry.state is State.SEALED
                assert entry.holds[process.number] == process.refs.count(object_id)

    def teardown(self) -> None:
        if not hasattr(self, "table"):
            return
        for process in self.processes:
            while process.inbox and process.is_alive:
                self.receive(process.number, 0)
            while process.refs:
                self.drop(process.number, 0)
        for process in self.processes:
            while process.queue:
                process.queue.popleft()()
        self.table.tick(self.now + TRANSIT_GRACE_S)
        self.table.sweep()
        self.bytes_are_given_up_once()
        assert self.places == set()
        assert list(self.table.entries()) == []
        assert len(self.table.transits) == 0


TestRefs = RefsMachine.TestCase
TestRefs.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
