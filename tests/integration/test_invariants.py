"""`check_invariants` finds state that is broken on purpose, and reports the last changes of the object concerned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import actorrt as art
from actorrt.actors.authority.record import ActorRecord, RecordState
from actorrt.actors.cells.cell_state import CellState
from actorrt.actors.endpoint.consistency import check_endpoint
from actorrt.actors.refs import current
from actorrt.actors.wire.credit import Ledger
from actorrt.invariants import BrokenInvariantError
from actorrt.protocol.authorities import CheckInvariants
from tests.live_runtimes import check_live_runtimes, cores, endpoints, hosted_cells
from tests.running import wait_until


class Kept(art.Actor):
    """Holds calls until it is opened, and can break the accounts of its own process."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def hold(self, value: Any = None) -> Any:
        await self.opened.wait()
        return value

    async def open(self) -> None:
        self.opened.set()

    def value(self) -> int:
        return 7

    def count_wrongly(self, by: int) -> None:
        endpoint: Any = current.endpoint()
        (cell,) = [cell for cell in endpoint.population.cells() if isinstance(cell.instance, Kept)]
        assert cell.mailbox is not None
        cell.mailbox._queued_bytes += by


class Stage:
    """A local runtime with one actor, and the entries of that actor in the tables of the runtime.

    Attributes:
        core: the node; its registry has `record`.
        host: the endpoint that has `cell`.
        driver: the endpoint that calls it.
    """

    def __init__(self, runtime: art.Runtime, ref: Any) -> None:
        self.ref = ref
        self.driver = runtime.endpoint
        (self.core,) = cores()
        (self.cell,) = hosted_cells()
        self.host: Any = self.cell.host.endpoint
        record = self.core.registry.record(ref._actor_id)
        assert record is not None
        self.record: ActorRecord = record

    def check(self) -> None:
        for endpoint in endpoints():
            check_endpoint(endpoint)
        self.core.check_invariants()


@pytest.fixture
async def stage() -> Any:
    async with art.Runtime(mode="local", cpus=4) as runtime:
        ref = await Kept.options(name="kept", max_concurrency=2).spawn()
        assert await ref.value() == 7
        yield Stage(runtime, ref)


@contextmanager
def changed(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Set an attribute until the block ends."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def without(table: Any, key: Any) -> Iterator[None]:
    """Remove an entry from a table until the block ends."""
    kept = table.pop(key)
    try:
        yield
    finally:
        table[key] = kept


@contextmanager
def added(table: Any, key: Any, value: Any) -> Iterator[None]:
    """Add an entry to a table until the block ends."""
    table[key] = value
    try:
        yield
    finally:
        del table[key]


def expect(stage: Stage, text: str) -> BrokenInvariantError:
    """Return the error of the check, whose text must match."""
    with pytest.raises(BrokenInvariantError, match=text) as caught:
        stage.check()
    return caught.value


OTHER = b"another actor..."

OF_RECORDS: dict[str, tuple[Callable[[Stage], Any], str]] = {
    "place": (lambda s: changed(s.record, "peer_address", None), "its place and state differ"),
    "gone": (lambda s: changed(s.record, "state", RecordState.GONE), "its place and state differ"),
    "started twice": (lambda s: changed(s.record, "is_start_under_way", True), "it runs, and is being started"),
    "filed": (lambda s: changed(s.record, "actor_id", OTHER), "it is known as another one"),
    "tombstone": (
        lambda s: added(s.core.registry._tombstones._kept, s.record.actor_id, s.record.tombstone()),
        "it lives, and has a tombstone",
    ),
    "name": (lambda s: without(s.core.registry._names._holders, ("default", "kept")), "it does not have its name"),
    "kept": (lambda s: without(s.core.registry._records, s.record.actor_id), "belongs to an actor that is gone"),
}


@pytest.mark.parametrize("breach", OF_RECORDS)
async def test_broken_registry_is_found_and_the_actor_named(stage: Stage, breach: str) -> None:
    breaking, text = OF_RECORDS[breach]
    stage.check()
    with breaking(stage):
        error = expect(stage, text)
        assert "kept, " in str(error)
    stage.check()


def ledger(stage: Stage) -> Ledger:
    """Return the ledger that the actor keeps for the driver, which is another endpoint of this process."""
    assert stage.cell.mailbox is not None
    ledgers = stage.cell.mailbox._ledgers
    assert ledgers is not None
    (sender,) = ledgers.senders()
    return ledgers._ledgers[sender]


def execution(stage: Stage) -> Any:
    assert stage.cell.execution is not None
    return stage.cell.execution


OF_CELLS: dict[str, tuple[Callable[[Stage], Any], str]] = {
    "instance": (lambda s: changed(s.cell, "state", CellState.STARTING), "it has an instance, and takes no messages"),
    "half a mailbox": (lambda s: changed(s.cell, "execution", None), "it has one of mailbox and execution"),
    "bytes": (lambda s: changed(s.cell.mailbox, "_queued_bytes", 5), "queued_bytes is 5, and should be 0"),
    "runners": (lambda s: changed(execution(s), "runner_count", 3), "3 runners are at work, of 2"),
    "credit": (lambda s: changed(ledger(s), "taken_messages", 100_000), "100000 have arrived"),
    "filed": (lambda s: changed(s.cell, "actor_id", OTHER), "is filed as another actor"),
    "unknown": (lambda s: without(s.host.population._with_mailbox, s.cell), "has a mailbox that nobody looks into"),
    "buried": (lambda s: without(s.host.population._cells, s.cell.actor_id), "is gone, and has a mailbox"),
}


@pytest.mark.parametrize("breach", OF_CELLS)
async def test_broken_cell_is_found(stage: Stage, breach: str) -> None:
    breaking, text = OF_CELLS[breach]
    stage.check()
    with breaking(stage):
        expect(stage, text)
    stage.check()


OF_ROUTES: dict[str, tuple[Callable[[Stage, Any], Any], str]] = {
    "two ways": (lambda s, _: changed(s.ref._route, "gone", art.ActorDiedError("")), "two ways"),
    "half a link": (lambda s, _: changed(s.ref._route, "window", None), "half a link"),
    "peer": (lambda s, _: changed(s.ref._route, "peer", OTHER), "it is filed under another endpoint"),
    "credit": (lambda s, _: changed(s.ref._route.window, "granted_messages", 0), "more was sent than granted"),
    "call": (lambda _, call: changed(call, "call_id", 0), "it is filed as"),
    "lost call": (lambda _, call: changed(call, "peer", None), "it neither waits nor has left"),
    "ended call": (lambda _, call: changed(call, "_is_done", True), "it has ended, and is pending"),
}


@pytest.mark.parametrize("breach", OF_ROUTES)
async def test_broken_route_or_call_is_found(stage: Stage, breach: str) -> None:
    breaking, text = OF_ROUTES[breach]
    call = stage.ref.hold("held")
    assert await stage.ref.value() == 7
    stage.check()
    with breaking(stage, call):
        expect(stage, text)
    stage.check()
    await stage.ref.open()
    assert await call == "held"


def entry(stage: Stage, ref: Any) -> Any:
    found = stage.core._retention._core.get(ref.id)
    assert found is not None
    return found


async def test_broken_object_or_memory_is_found(stage: Stage) -> None:
    ref = await art.put_async(bytes(1_000_000))
    core = stage.core._retention._core
    while core.get(ref.id) is None:  # a put is reported to the store a little later
        await asyncio.sleep(0.001)
    stage.check()
    with changed(entry(stage, ref), "error", None), changed(entry(stage, ref), "place", None):
        expect(stage, "has a place")
    with changed(core._pool, "_reserved_bytes", 1):
        expect(stage, "1 bytes are counted for")
    stage.check()


async def test_report_of_a_broken_invariant_lists_the_last_changes_of_the_actor(stage: Stage) -> None:
    with changed(stage.record, "peer_address", None):
        text = str(expect(stage, "its place and state differ"))
    lines = [line.strip().partition(" s ago: ")[2] for line in text.splitlines()[1:]]
    assert [line for line in lines if line.startswith("ActorRecord.state")] == [
        *("ActorRecord.state = starting", "ActorRecord.state = running"),
    ]
    assert "Cell.incarnation = 1" in lines
    assert lines[-1] == "ActorRecord.peer_address = None"


async def test_endpoints_of_this_process_are_checked_when_they_close() -> None:
    async with art.Runtime(mode="local", cpus=4):
        ref = await Kept.spawn()
        assert await ref.value() == 7
        (cell,) = hosted_cells()
        assert cell.mailbox is not None
        cell.mailbox._queued_bytes = 5
    (found,) = check_live_runtimes()
    assert "queued_bytes is 5, and should be 0" in found


def test_runtime_of_another_thread_is_checked_on_its_loop(node_session: art.Runtime) -> None:
    call = Kept.spawn().result(10).hold()
    wait_until(lambda: call.call_id, "the call has left")
    with changed(call, "call_id", 0):
        (found,) = check_live_runtimes()
    assert "it is filed as" in found
    call.cancel()


@pytest.mark.parametrize("isolation", ["shared", "process"])
async def test_check_of_a_node_finds_a_broken_worker(node_runtime: art.Runtime, isolation: str) -> None:
    ref = await Kept.options(isolation=isolation).spawn()
    endpoint = node_runtime.endpoint
    await endpoint.control.request(endpoint.node, CheckInvariants())
    await ref.count_wrongly(5)
    with pytest.raises(art.RemoteActorError, match=r"BrokenInvariantError: Kept.*queued_bytes is 5, and should be 0"):
        await endpoint.control.request(endpoint.node, CheckInvariants())
    await ref.count_wrongly(-5)
    await endpoint.control.request(endpoint.node, CheckInvariants())
