"""How workers are forked by zygotes that answer, end and are replaced, without a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgpack
import pytest

from actorrt.errors import ActorStartError, RuntimeStateError
from actorrt.node.processes import forker as forker_module
from actorrt.node.processes import zygotes as zygotes_module
from actorrt.node.processes.forker import SETS_LIMIT, Forker
from actorrt.node.processes.process_watch import ProcessExit
from actorrt.node.processes.zygotes import FORKS_IN_FLIGHT, PATIENCE

READY, NOT_READY = True, False


class FakeZygote:
    """A zygote that answers when the test says so."""

    def __init__(
        self,
        _: Any,
        preload: tuple[str, ...],
        lease_fd: int | None,
        on_answer: Callable[[Any], None],
        on_end: Callable[[bool], None],
    ) -> None:
        self.lease_fd = lease_fd
        self.preload, self._on_answer, self._on_end = preload, on_answer, on_end
        self.pid = 1000
        self.is_ready = True
        self.is_reaped = False
        self.sent: list[dict[str, Any]] = []
        self.fds: list[tuple[int, ...]] = []
        self.kills_count = 0
        self.unsendable: set[int] = set()

    def send(self, packet: bytes, fds: tuple[int, ...] = (), number: int | None = None) -> None:
        self.sent.append(msgpack.unpackb(packet))
        self.fds.append(fds)

    def unsend(self, number: int) -> bool:
        return number in self.unsendable

    def kill(self) -> None:
        self.kills_count += 1

    def close(self) -> None:
        """There is nothing to close."""

    async def wait_ended(self) -> None:
        """It has no process."""

    # What the test has it do

    def asked(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message["kind"] == kind]

    def forks(self, number: int, pid: int) -> None:
        self._on_answer({"kind": "forked", "id": number, "pid": pid})

    def guarded(self, pid: int) -> None:
        self._on_answer({"kind": "guarded", "pid": pid})

    def refuses(self, number: int, message: str) -> None:
        self._on_answer({"kind": "refused", "id": number, "message": message})

    def preloaded(self, module: str, problem: str | None, *, is_end: bool = False) -> None:
        self._on_answer({"kind": "preloaded", "module": module, "problem": problem, "is_end": is_end})

    def ends(self, was_ready: bool) -> None:
        self.is_reaped = True
        self._on_end(was_ready)


class FakeWatch:
    """A worker that ends when it is killed."""

    def __init__(self, pid: int, on_exit: Callable[[ProcessExit], None]) -> None:
        self.pid, self.on_exit = pid, on_exit

    def kill(self, signal: int = 9) -> None:
        asyncio.get_running_loop().call_soon(self.on_exit, ProcessExit(self.pid, signal=9, was_killed_by_us=True))

    def close(self) -> None:
        """There is nothing to close."""


class FakeOrphans:
    """Ends nothing, and notes what it is to end."""

    def __init__(self, _: Any) -> None:
        self.sessions: list[int] = []
        self.unwatched: list[int] = []
        self.spared: list[set[int]] = []

    def end_session(self, pid: int) -> None:
        self.sessions.append(pid)

    def end_unwatched(self, pid: int) -> None:
        self.unwatched.append(pid)

    def reap_strays(self, spared: set[int]) -> None:
        self.spared.append(set(spared))

    async def end_children(self) -> None:
        """There are none."""

    def close(self) -> None:
        """There is nothing to close."""


class FakeLease:
    """A lease that only has a descriptor."""

    fd = 77

    def close(self) -> None:
        """There is nothing to close."""


class World:
    """A forker, its zygotes and its workers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lease: Any = None) -> None:
        self.watches: dict[int, FakeWatch] = {}
        self.zygotes: list[FakeZygote] = []
        self.start_error: OSError | None = None
        self.watch_error: OSError | None = None
        self.watched: list[int] = []
        monkeypatch.setattr(zygotes_module, "ZygoteProcess", self._new_zygote)
        monkeypatch.setattr(forker_module, "Orphans", FakeOrphans)
        monkeypatch.setattr(forker_module, "watch_exit", self._watch)
        self.forker = Forker(asyncio.get_running_loop(), preload=("numpy",), fork_timeout_s=5.0, lease=lease)

    def _new_zygote(self, *args: Any) -> FakeZygote:
        if self.start_error is not None:
            raise self.start_error
        self.zygotes.append(FakeZygote(*args))
        return self.zygotes[-1]

    def _watch(self, _: Any, pid: int, on_exit: Callable[[ProcessExit], None]) -> FakeWatch:
        if self.watch_error is not None:
            raise self.watch_error
        self.watched.append(pid)
        self.watches[pid] = FakeWatch(pid, on_exit)
        return self.watches[pid]

    @property
    def zygote(self) -> FakeZygote:
        return self.zygotes[-1]

    @property
    def orphans(self) -> Any:
        return self.forker._orphans

    async def fork(self, *preload: str, **config: Any) -> asyncio.Future[int]:
        forking = asyncio.ensure_future(self.forker.fork(config, 1, 2, preload))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return forking


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    world = World(monkeypatch)
    yield world
    await world.forker.close()


async def test_fork_is_asked_of_the_zygote_with_the_output_and_answered_with_the_process(world: World) -> None:
    forking = await world.fork(label="sim", env_vars={"OMP_NUM_THREADS": "4"})
    (asked,) = world.zygote.asked("fork")
    assert (asked["config"]["label"], asked["config"]["env_vars"]["OMP_NUM_THREADS"]) == ("sim", "4")
    assert (world.zygote.fds, world.zygote.preload, world.forker.zygote_pid) == ([(1, 2)], ("numpy",), 1000)
    world.zygote.forks(asked["id"], 50)
    world.zygote.forks(asked["id"], 50)  # the worker says so, too
    assert await forking == 50
    assert world.watched == []


async def test_threads_that_this_process_was_told_to_use_are_told_to_workers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    forking = await world.fork()
    (asked,) = world.zygote.asked("fork")
    assert (asked["config"]["env_vars"]["OMP_NUM_THREADS"], "MKL_NUM_THREADS" in asked["config"]["env_vars"]) == (
        "3",
        False,
    )
    world.zygote.forks(asked["id"], 50)
    await forking


async def test_refusal_of_the_zygote_is_the_failure_of_the_fork(world: World) -> None:
    forking = await world.fork()
    world.zygote.refuses(0, "fork failed: no memory")
    with pytest.raises(ActorStartError, match="no worker could be forked: fork failed: no memory"):
        await forking


async def test_request_without_an_answer_goes_to_the_next_zygote_until_patience_ends(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    forking = await world.fork()
    for count in range(1, PATIENCE):
        world.zygote.ends(READY)
        assert (len(world.zygotes), [asked["id"] for asked in world.zygote.asked("fork")]) == (count + 1, [0])
    world.zygote.ends(READY)
    with pytest.raises(ActorStartError, match="the zygote ended before it forked the worker"):
        await forking
    assert caplog.messages == ["the zygote ended and is started again"] * PATIENCE


async def test_zygote_that_never_gets_ready_costs_twice_the_patience_and_is_not_started_for_nothing(
    world: World,
) -> None:
    forking = await world.fork()
    for _ in range(PATIENCE // 2 + 1):
        world.zygote.ends(NOT_READY)
    with pytest.raises(ActorStartError):
        await forking
    assert (len(world.zygotes), world.forker.zygote_pid) == (PATIENCE // 2 + 1, None)


async def test_zygote_that_can_not_be_started_fails_the_fork_and_the_next_one_tries_again(world: World) -> None:
    world.start_error = OSError(24, "no descriptors")
    with pytest.raises(ActorStartError, match=r"the zygote can't be started: .*no descriptors"):
        await world.forker.fork({}, 1, 2)
    world.start_error = None
    forking = await world.fork()
    world.zygote.forks(1, 50)
    assert await forking == 50


async def test_fork_that_is_cancelled_takes_back_its_request_or_ends_its_worker(world: World) -> None:
    unsent, sent = await world.fork(), await world.fork()
    world.zygote.unsendable.add(0)
    for forking in (unsent, sent):
        forking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await forking
    world.zygote.forks(1, 50)
    assert world.watched == [50]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert world.orphans.sessions == [50]
    world.zygote.forks(1, 51)  # an answer that nobody waits for any more, of a worker that is told of twice
    assert world.watched == [50]


async def test_zygote_that_gives_no_answer_in_time_is_killed(world: World) -> None:
    world.forker._fork_timeout_s = 0.01
    with pytest.raises(ActorStartError, match=r"no answer in 0\.01 s"):
        await world.forker.fork({}, 1, 2)
    assert world.zygote.kills_count == 1


async def test_next_zygote_is_told_of_the_workers_and_of_the_modules_that_were_ordered(world: World) -> None:
    forking = await world.fork()
    world.zygote.forks(0, 50)
    watch = world.forker.watch(await forking, lambda _: None)
    world.forker.preload(["json", "csv"], ["/code"])
    assert [asked["module"] for asked in world.zygote.asked("preload")] == ["json", "csv"]
    world.zygote.preloaded("json", None)
    world.zygote.preloaded("csv", None)
    world.zygote.ends(READY)
    assert world.zygote.sent == [
        {"kind": "keep", "pids": [50]},
        *({"kind": "preload", "module": name, "sys_path": ["/code"]} for name in ("json", "csv")),
    ]
    watch.on_exit(ProcessExit(50, exit_status=0))
    assert world.zygote.sent[-1] == {"kind": "forget", "pid": 50}


async def test_zygote_that_ends_over_a_module_costs_no_patience_and_the_next_is_spared_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    forking = await world.fork()
    world.forker.preload(["threaded", "crashes"], ["/code"])
    world.zygote.preloaded("threaded", "it starts threads", is_end=True)
    world.zygote.ends(READY)
    assert [asked["module"] for asked in world.zygote.asked("preload")] == ["crashes"]
    assert world.forker._first._requests[0].patience == PATIENCE
    world.zygote.ends(READY)
    assert world.zygote.asked("preload") == []
    assert [message for message in caplog.messages if "is not preloaded" in message] == [
        "threaded is not preloaded: it starts threads; workers import it themselves",
        "crashes is not preloaded: the zygote ended while it imported it; workers import it themselves",
    ]
    world.zygote.forks(0, 50)
    assert await forking == 50


async def test_end_of_a_worker_ends_its_subprocesses_and_is_then_reported(world: World) -> None:
    forking = await world.fork()
    world.zygote.forks(0, 50)
    exits: list[ProcessExit] = []
    watch = world.forker.watch(await forking, exits.append)
    how = ProcessExit(50, exit_status=3)
    watch.on_exit(how)
    assert (exits, world.orphans.sessions, world.orphans.spared) == ([how], [50], [{1000}])


async def test_worker_that_can_not_be_watched_is_ended(world: World) -> None:
    forking = await world.fork()
    world.zygote.forks(0, 50)
    world.watch_error = OSError(24, "no descriptors")
    with pytest.raises(OSError, match="no descriptors"):
        world.forker.watch(await forking, lambda _: None)
    assert (world.orphans.unwatched, world.zygote.sent[-1]) == ([50], {"kind": "forget", "pid": 50})


async def test_close_fails_waiting_requests_ends_workers_and_takes_no_more_requests(world: World) -> None:
    done, waiting = await world.fork(), await world.fork()
    world.zygote.forks(0, 50)
    exits: list[ProcessExit] = []
    world.forker.watch(await done, exits.append)
    closing = asyncio.ensure_future(world.forker.close())
    with pytest.raises(RuntimeStateError, match="the node is closing: the worker was not started"):
        await waiting
    await closing
    assert [how.pid for how in exits] == [50]
    assert world.zygote.kills_count == 1
    with pytest.raises(RuntimeStateError, match="no more workers are started"):
        await world.forker.fork({}, 1, 2)
    await world.forker.close()


# Sets of modules


async def test_worker_that_needs_modules_is_forked_from_a_zygote_that_imports_them_as_well(world: World) -> None:
    world.forker.preload(["gymnasium"], ["/code"])
    plain = await world.fork()
    first = await world.fork("torch", "torch.nn", sys_path=["/job"])
    second = await world.fork("torch.nn", "torch", sys_path=["/job"])
    base, own = world.zygotes
    assert [asked["id"] for asked in base.asked("fork")] == [0]
    assert [asked["id"] for asked in own.asked("fork")] == [1, 2]
    paths = [(asked["module"], asked["sys_path"]) for asked in own.asked("preload")]
    assert paths == [("gymnasium", ["/code"]), ("torch", ["/job"]), ("torch.nn", ["/job"])]
    assert own.preload == base.preload == ("numpy",)
    base.forks(0, 50)
    own.forks(1, 51)
    own.forks(2, 52)
    assert [await forking for forking in (plain, first, second)] == [50, 51, 52]


async def test_modules_that_are_ordered_later_are_imported_by_every_zygote_and_those_given_up_by_no_new_one(
    world: World,
) -> None:
    world.forker.preload(["absent"], ["/code"])
    forks = [await world.fork(), await world.fork("torch")]
    world.zygotes[0].preloaded("absent", "it is not there")
    world.forker.preload(["json"], ["/code"])
    assert [zygote.asked("preload")[-1]["module"] for zygote in world.zygotes] == ["json", "json"]
    forks.append(await world.fork("jax"))
    assert [asked["module"] for asked in world.zygote.asked("preload")] == ["json", "jax"]
    for number, zygote in enumerate(world.zygotes):
        zygote.forks(number, 50 + number)
    assert [await forking for forking in forks] == [50, 51, 52]


async def test_zygote_of_a_set_that_ends_is_replaced_and_the_first_is_not_touched(world: World) -> None:
    plain, forking = await world.fork(), await world.fork("torch")
    base, own = world.zygotes
    own.preloaded("torch", None)
    own.ends(READY)
    assert (len(world.zygotes), world.forker.zygote_pid_of(["torch"]), base.kills_count) == (3, 1000, 0)
    assert [asked["module"] for asked in world.zygote.asked("preload")] == ["torch"]
    base.forks(0, 50)
    world.zygote.forks(1, 51)
    assert [await plain, await forking] == [50, 51]


async def test_worker_is_forked_without_modules_that_its_zygote_can_not_import(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    forking = await world.fork("torch")
    world.zygote.preloaded("torch", "it starts threads", is_end=True)
    world.zygote.ends(READY)
    assert (world.zygote.asked("preload"), len(world.zygote.asked("fork"))) == ([], 1)
    world.zygote.forks(0, 50)
    assert await forking == 50
    assert "torch is not preloaded: it starts threads; workers import it themselves" in caplog.messages


async def test_module_whose_import_takes_too_long_is_given_up_and_the_fork_goes_on(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.forker._fork_timeout_s = 0.05
    forking = await world.fork("endless")
    slow = world.zygote
    while not slow.kills_count:
        await asyncio.sleep(0.001)
    slow.ends(READY)
    assert world.zygote.asked("preload") == []
    world.zygote.forks(0, 50)
    assert await forking == 50
    words = "endless is not preloaded: the zygote ended while it imported it; workers import it themselves"
    assert words in caplog.messages


async def test_every_answer_of_a_zygote_gives_it_more_time(world: World) -> None:
    loop = asyncio.get_running_loop()
    world.forker._fork_timeout_s = 0.2
    modules = [f"module_{number}" for number in range(4)]
    began_at = loop.time()
    forking = await world.fork(*modules)
    for module in modules:
        answer_at = loop.time() + 0.1
        while loop.time() < answer_at:
            await asyncio.sleep(0.001)
        world.zygote.preloaded(module, None)
    world.zygote.forks(0, 50)
    assert await forking == 50
    assert loop.time() - began_at > 0.2
    assert world.zygote.kills_count == 0


async def test_beyond_so_many_sets_workers_are_forked_from_the_first_zygote(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    plain = await world.fork()
    forks = [await world.fork(f"module_{number}") for number in range(SETS_LIMIT + 1)]
    assert len(world.zygotes) == 1 + SETS_LIMIT
    base, *others = world.zygotes
    assert [asked["id"] for asked in base.asked("fork")] == [0, SETS_LIMIT + 1]
    assert caplog.messages == [f"there are {SETS_LIMIT + 1} zygotes: workers import module_{SETS_LIMIT} themselves"]
    base.forks(0, 50)
    base.forks(SETS_LIMIT + 1, 70)
    for number, zygote in enumerate(others, 1):
        zygote.forks(number, 50 + number)
    assert [await forking for forking in (plain, *forks)] == [50, 51, 52, 53, 54, 70]


async def test_forks_that_wait_for_an_import_hold_up_no_others(world: World) -> None:
    waiting = [await world.fork("torch") for _ in range(FORKS_IN_FLIGHT + 1)]
    plain = await world.fork()
    world.zygote.forks(FORKS_IN_FLIGHT + 1, 50)
    assert await plain == 50
    await world.forker.close()
    for forking in waiting:
        with pytest.raises(RuntimeStateError, match="the node is closing"):
            await forking


async def test_end_of_a_worker_is_told_to_every_zygote_and_the_close_ends_them_all(world: World) -> None:
    plain, own = await world.fork(), await world.fork("torch")
    world.zygotes[0].forks(0, 50)
    world.zygotes[1].forks(1, 51)
    watches = [world.forker.watch(await forking, lambda _: None) for forking in (plain, own)]
    world.zygotes[1].ends(READY)
    assert world.zygote.asked("keep") == [{"kind": "keep", "pids": [50, 51]}]
    for watch in watches:
        watch.on_exit(ProcessExit(watch.pid, exit_status=0))
    for zygote in (world.zygotes[0], world.zygotes[2]):
        assert zygote.asked("forget") == [{"kind": "forget", "pid": 50}, {"kind": "forget", "pid": 51}]
    await world.forker.close()
    assert [zygote.kills_count for zygote in world.zygotes] == [1, 0, 1]
    with pytest.raises(RuntimeStateError, match="no more workers are started"):
        await world.forker.fork({}, 1, 2, ["another"])


async def test_zygote_of_a_set_is_started_before_a_worker_needs_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.start_error = OSError(24, "no descriptors")
    world.forker.prepare(["torch"], ["/code"])
    assert caplog.messages == ["the zygote can't be started: [Errno 24] no descriptors; the next fork tries again"]
    world.start_error = None
    world.forker.prepare(["torch"], ["/code"])
    assert [asked["module"] for asked in world.zygote.asked("preload")] == ["torch"]
    forking = await world.fork("torch", sys_path=["/code"])
    world.zygote.forks(0, 50)
    assert (await forking, len(world.zygotes)) == (50, 1)


# The guard of a lease


@pytest.fixture
async def leased(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A node with a lease, whose zygote and guard run; the signals for its workers are in `signalled`."""
    monkeypatch.setattr(forker_module, "signal_workers", lambda _, signal: signalled.append(signal))
    signalled.clear()
    world = World(monkeypatch, FakeLease())
    await world.forker.start()
    world.zygote.guarded(50)
    yield world
    for zygote in world.zygotes:
        zygote.is_reaped = True
    await world.forker.close()


signalled: list[int] = []


def die(world: World, pid: int) -> None:
    world.watches[pid].on_exit(ProcessExit(pid, signal=9))


async def test_zygotes_of_a_node_with_a_lease_get_its_page_and_others_get_none(leased: World, world: World) -> None:
    assert leased.zygote.lease_fd == 77
    await world.forker.start()
    assert world.zygote.lease_fd is None
    assert (leased.forker.guard_pid, world.forker.guard_pid) == (50, None)


async def test_workers_stop_when_the_guard_ends_and_the_next_zygote_forks_another(leased: World) -> None:
    die(leased, 50)
    assert (signalled, leased.zygote.kills_count, leased.forker.guard_pid) == ([19], 1, None)
    leased.zygote.ends(was_ready=True)
    leased.zygote.guarded(51)
    assert (len(leased.zygotes), leased.forker.guard_pid, leased.forker._unguarded) == (2, 51, None)


async def test_guard_of_the_next_zygote_replaces_that_of_the_last_one(leased: World) -> None:
    leased.zygote.ends(was_ready=True)
    leased.zygote.guarded(51)
    await asyncio.sleep(0)
    assert (list(leased.forker._guards), signalled) == ([51], [])


async def test_node_that_gets_no_guard_is_told_so(leased: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    leased.forker.on_unguarded = told.append
    monkeypatch.setattr(forker_module, "GUARD_TIMEOUT_S", 0.0)
    die(leased, 50)
    await asyncio.sleep(0.01)
    assert told == ["nothing would stop its workers if it lost its lease: no guard could be forked"]


async def test_guard_that_can_not_be_watched_is_ended_and_the_older_one_stays(leased: World) -> None:
    leased.watch_error = OSError("no descriptor")
    leased.zygote.guarded(51)
    assert (leased.forker.guard_pid, leased.orphans.unwatched) == (50, [51])
