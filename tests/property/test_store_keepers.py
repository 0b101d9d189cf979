"""Objects that are lost in every order: whoever waits is told once, and a living keeper has been asked meanwhile."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actorrt.errors import ObjectLostError
from actorrt.ids import ObjectId, PeerId
from actorrt.store.memory.pool import Place
from actorrt.store.table.instructions import AskKeeper, FreeBytes, ObjectFailed, ObjectReady
from actorrt.store.table.objects import State
from actorrt.store.values.errors import encode
from tests.property.recording_table import RecordingTable

PROCESSES_COUNT, OBJECTS_COUNT = 3, 2
PROCESSES = st.integers(1, PROCESSES_COUNT)
OBJECTS = st.integers(1, OBJECTS_COUNT)
EVENTS = 100
"""The events connection of a process is its number and this."""
LOSS = ObjectLostError("its bytes are lost")
FAR = PeerId(b"f" * 16)


class KeepersMachine(RuleBasedStateMachine):
    """Objects, their keepers, and processes that wait for them."""

    @initialize()
    def begin(self) -> None:
        self.table = RecordingTable()
        self.alive = set(range(1, PROCESSES_COUNT + 1))
        for process in self.alive:
            self.table.connect(process, PeerId(bytes([process]) * 16))
            self.table.connect(process + EVENTS)
        self.table.introduce(FAR, b"far")
        self.holds: Counter[tuple[int, int]] = Counter()
        self.waiting: set[tuple[int, int]] = set()
        self.asked: set[tuple[int, int]] = set()
        self.keepers: dict[int, list[int]] = {}
        self.places: set[Place] = set()
        self.last_place = 0

    def object_id(self, number: int) -> ObjectId:
        return ObjectId(bytes([number]) * 16)

    def state(self, number: int) -> State | None:
        entry = self.table.get(self.object_id(number))
        return None if entry is None else entry.state

    def new_place(self) -> Place:
        self.last_place += 1
        place = Place(1, self.last_place * 64, 64)
        self.places.add(place)
        return place

    def make(self, process: int, number: int) -> None:
        self.table.create(self.object_id(number), process, self.new_place())
        self.table.seal(self.object_id(number), process)
        self.holds[process, number] += 1

    @rule(
        process=PROCESSES, number=OBJECTS, kind=st.sampled_from(["put", "promise", "adopt"]), keepers=st.sets(PROCESSES)
    )
    def begin_object(self, process: int, number: int, kind: str, keepers: set[int]) -> None:
        """Begin an object with some keepers, if there is none of the number."""
        if process not in self.alive or self.state(number) is not None:
            return
        if kind == "put":
            self.make(process, number)
        else:
            self.holds[process, number] += 1
        if kind == "promise":
            self.table.declare(self.object_id(number), process)
        elif kind == "adopt":
            self.table.acquire(self.object_id(number), process, FAR + bytes(8))
        for keeper in keepers & self.alive:
            self.table.keep(self.object_id(number), keeper)

    @rule(process=PROCESSES, number=OBJECTS)
    def hold(self, process: int, number: int) -> None:
        if process in self.alive and self.state(number) is not None:
            self.table.acquire(self.object_id(number), process, None)
            self.holds[process, number] += 1

    @rule(process=PROCESSES, number=OBJECTS)
    def release(self, process: int, number: int) -> None:
        if self.holds[process, number] > 0:
            self.holds[process, number] -= 1
            self.table.release(self.object_id(number), process)

    @rule(process=PROCESSES, number=OBJECTS)
    def keep(self, process: int, number: int) -> None:
        if process in self.alive:
            self.table.keep(self.object_id(number), process)

    @rule(process=PROCESSES, number=OBJECTS)
    def wait(self, process: int, number: int) -> None:
        self.hold(process, number)
        if self.holds[process, number] > 0:
            self.waiting.add((process, number))
            self.table.subscribe(self.object_id(number), process + EVENTS)

    @rule(number=OBJECTS)
    def lose(self, number: int) -> None:
        entry = self.table.get(self.object_id(number))
        if entry is not None and entry.state is State.SEALED:
            assert entry.place is not None
            assert self.table.move(entry.object_id, entry.place, self.new_place())
            self.table.lose(entry.object_id, LOSS)
        elif entry is not None and entry.state is State.REMOTE:
            self.table.set_origin(entry.object_id, None)

    @rule(number=OBJECTS, error=st.sampled_from([LOSS, ValueError("it failed")]))
    def not_fetched(self, number: int, error: Exception) -> None:
        self.table.fetch_failed(self.object_id(number), encode(error))

    @rule(process=PROCESSES, number=OBJECTS)
    def claim(self, process: int, number: int) -> None:
        if process in self.alive and self.state(number) in (None, State.LOST):
            assert self.table.claim(self.object_id(number), process)
            self.asked.add((process, number))
            self.holds[process, number] += 1

    @rule(choice=st.integers(0, 20), makes=st.booleans())
    def answer(self, choice: int, makes: bool) -> None:
        """Let a keeper make what it was asked for, or give up."""
        self.learn()
        asked = sorted(self.asked)
        if not asked:
            return
        process, number = asked[choice % len(asked)]
        self.asked.discard((process, number))
        if makes and self.table.may_create(self.object_id(number)):
            self.make(process, number)
        else:
            self.table.fail(self.object_id(number), encode(LOSS), process)

    @rule(process=PROCESSES)
    def die(self, process: int) -> None:
        if len(self.alive) == 1 or process not in self.alive:
            return
        self.learn()
        self.alive.discard(process)
        self.table.disconnect(process, 0.0)
        self.table.disconnect(process + EVENTS, 0.0)
        for number in range(1, OBJECTS_COUNT + 1):
            self.holds.pop((process, number), None)
            self.waiting.discard((process, number))
            self.asked.discard((process, number))

    @rule()
    def sweep(self) -> None:
        self.table.sweep()
        self.learn()
        known = {number for number in range(1, OBJECTS_COUNT + 1) if self.state(number) is not None}
        self.asked = {(process, number) for process, number in self.asked if number in known}
        self.waiting = {(process, number) for process, number in self.waiting if number in known}

    @invariant()
    def each_waiter_is_told_once(self) -> None:
        if not hasattr(self, "table"):
            return
        self.learn()
        self.table.check_invariants()
        for process, number in self.waiting:
            entry = self.table.get(self.object_id(number))
            assert entry is not None
            assert entry.is_unmade(), f"{process} waits for {entry}"
            assert entry.state is not State.LOST, f"nobody was asked to make {entry}"
            if entry.loss is not None and entry.state is State.PENDING:
                assert (entry.declarer, number) in self.asked, f"nobody makes {entry}"
                assert entry.declarer in self.alive, f"it is asked of a process that has ended: {entry}"

    def learn(self) -> None:
        for instruction in self.table.take():
            if isinstance(instruction, ObjectReady | ObjectFailed):
                told = (instruction.connection - EVENTS, instruction.object_id[0])
                assert told in self.waiting or told[0] not in self.alive, "it is told once, and only if it waits"
                self.waiting.discard(told)
            elif isinstance(instruction, FreeBytes):
                self.places.remove(instruction.place)
            elif isinstance(instruction, AskKeeper):
                asked = (instruction.connection, instruction.object_id[0])
                assert asked not in self.asked, "it is asked once for each loss"
                self.asked.add(asked)

    def teardown(self) -> None:
        if not hasattr(self, "table"):
            return
        while self.asked:
            self.answer(0, makes=True)
            self.learn()
        for (process, number), count in list(self.holds.items()):
            for _ in range(count):
                self.release(process, number)
        for process in list(self.alive):
            self.table.disconnect(process, 0.0)
        self.table.sweep()
        for instruction in self.table.take():
            if isinstance(instruction, FreeBytes):
                self.places.remove(instruction.place)
        assert list(self.table.entries()) == []
        assert self.places == set()


TestKeepers = KeepersMachine.TestCase
TestKeepers.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
