"""Kills random processes of a busy node, and reports the outcomes of the calls and the resources that the node holds.

The workload has actors with and without a supervisor, light and in their own processes, parents with children, large
values through the store, and puts and pins in progress. A kill may hit while actors restart after the previous kill.
Every call must end, with its value or with a typed error.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import actorrt as art
from actorrt.actors.endpoint.current_endpoint import current_endpoint
from actorrt.node.processes.process_watch import STACK_SIGNAL
from tests.running import children_of, descendants_of, state_of

CALL_TIMEOUT_S = 30.0
VALUE_COUNT = 20_000  # 160 kB, which go through the store
VALUES_BETWEEN_KILLS = 10
EMPTY_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 2 * CALL_TIMEOUT_S
STATUS_TIMEOUT_S = 10.0
NEVER = 1_000_000


class Worker(art.Actor):
    """Returns twice its argument."""

    async def double(self, array):
        return array * 2

    def ping(self):
        return os.getpid()


class Owner(art.Actor):
    """Has one child in the same process and one in its own process."""

    async def on_start(self):
        self.workers = [await Worker.spawn(), await Worker.options(isolation="process").spawn()]

    async def double(self, array):
        for worker in self.workers:
            array = await worker.double(array)
        return array / 2

    def ping(self):
        return os.getpid()


class Hoarder(art.Actor):
    """Puts and pins objects all the time, and keeps the newest three."""

    def __init__(self):
        self.pinned = deque()

    async def on_start(self):
        self.context.every(0.005, "hoard")

    def hoard(self):
        self.pinned.append(art.put(np.ones(10 * VALUE_COUNT)))
        art.pin(self.pinned[-1])
        while len(self.pinned) > 3:
            art.free(self.pinned.popleft())

    async def on_stop(self, reason):
        for ref in self.pinned:
            art.free(ref)  # pins belong to the process, which survives

    def double(self, array):
        return array * 2

    def ping(self):
        return os.getpid()


class Family(art.Supervisor):
    """A supervisor of light children and of children in their own process."""

    max_restarts = NEVER

    def children(self):
        for n in range(3):
            yield art.Child(Worker, id=f"light-{n}")
        for n in range(2):
            yield art.Child(Worker, id=f"own-{n}", isolation="process")


class Crew(Family):
    """A family whose children restart together."""

    strategy = "one_for_all"


@dataclass
class Outcome:
    """The result of a run of kills.

    Attributes:
        calls: how often each outcome of a call was seen: `value`, or the name of its error.
        kinds: how many processes of each kind were killed.
        zombies, strangers: processes that were not reaped, and descendants of the node that are no workers.
        objects: the objects that the store still holds: bytes, state, holders and line of each.
        used_bytes: the memory that the store accounts for them.
        driver_fds, node_fds: descriptors open before the kills, and after.
    """

    calls: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    zombies: list[int] = field(default_factory=list)
    strangers: list[int] = field(default_factory=list)
    objects: list[list[object]] = field(default_factory=list)
    used_bytes: int = 0
    driver_fds: tuple[int, int] = (0, 0)
    node_fds: tuple[int, int] = (0, 0)


async def kill_at_random(count: int, seed: int) -> Outcome:
    """Kill `count` processes of an embedded node, one after the other, while calls are made."""
    chance = random.Random(seed)
    outcome = Outcome()
    before = set(children_of(os.getpid()))
    async with art.Runtime(cpus=2, store_bytes=256 << 20) as runtime:
        (node_pid,) = set(children_of(os.getpid())) - before
        refs, hoarders, families = await _spawn()
        await _settle(refs, families)
        fds = _fd_count(os.getpid()), _fd_count(node_pid)
        is_over = asyncio.Event()
        calls = [_call(ref, families, is_over, chance, outcome) for ref in [*refs, *refs]]
        callers = [asyncio.ensure_future(call) for call in calls]  # beside the kills; awaited after them
        try:
            for _ in range(count):
                await _kill_one(runtime, chance, outcome)
        finally:
            is_over.set()
            await asyncio.gather(*callers)
        await _settle(refs, families)
        await art.gather(*[hoarder.stop() for hoarder in hoarders])
        await _record_resources(runtime, node_pid, fds, outcome)
    return outcome


async def _spawn():
    options = {"restart": "permanent", "max_restarts": NEVER}
    refs = [await Worker.options(**options).spawn() for _ in range(4)]
    refs += [await Worker.options(isolation="process", **options).spawn() for _ in range(2)]
    refs += [await Owner.options(isolation=isolation, **options).spawn() for isolation in ("shared", "process")]
    hoarders = [await Hoarder.options(isolation=isolation, **options).spawn() for isolation in ("shared", "process")]
    families = [await supervisor.options(**options).spawn() for supervisor in (Family, Crew)]
    return [*refs, *hoarders], hoarders, families


async def _call(ref, families, is_over, chance, outcome):
    """Make calls until `is_over` is set; about half of them go to a child of a family."""
    array = np.ones(VALUE_COUNT)
    while not is_over.is_set():
        try:
            if chance.random() < 0.5:
                family = chance.choice(families)
                child = await family.child.options(timeout_s=CALL_TIMEOUT_S)(f"light-{chance.randrange(3)}")
            else:
                child = ref
            result = await child.double.options(timeout_s=CALL_TIMEOUT_S)(array)
            assert result[-1] == 2
            outcome.calls["value"] += 1
        except art.ActorRtError as error:
            outcome.calls[type(error).__name__] += 1


async def _kill_one(runtime, chance, outcome):
    """Kill one process, and wait until it has ended and calls succeed again; one time in three, return at once."""
    stage = "a process is killed"
    try:
        async with asyncio.timeout(STALL_TIMEOUT_S):
            pid = await _kill_any(runtime, chance, outcome)
            if chance.random() < 1 / 3:
                return
            stage = f"process {pid} is seen to end"
            while pid in [other["pid"] for other in (await runtime.status())["workers"]]:
                pass
            stage = "calls succeed again"
            enough = outcome.calls["value"] + VALUES_BETWEEN_KILLS
            while outcome.calls["value"] < enough:
                await runtime.status()
    except TimeoutError:
        raise AssertionError(f"not in {STALL_TIMEOUT_S} s: {stage}\n{await _stalled(runtime, outcome)}") from None
    if outcome.calls["CallTimeoutError"]:
        raise AssertionError(f"a call took {CALL_TIMEOUT_S} s\n{await _stalled(runtime, outcome)}")


async def _stalled(runtime, outcome):
    """Return the state of a node that makes no progress; its processes print their stacks."""
    lines = [f"{outcome.kinds.total()} killed; calls: {dict(outcome.calls)}"]
    try:
        async with asyncio.timeout(STATUS_TIMEOUT_S):
            status = await runtime.status()
    except TimeoutError:
        return "\n".join([*lines, f"the node gives no answer in {STATUS_TIMEOUT_S} s"])
    for worker in status["workers"]:
        lines.append(f"{worker['label']} ({worker['kind']}, {worker['actors']} actors, pid {worker['pid']})")
        if worker["pid"] is not None:
            lines[-1] += f" {state_of(worker['pid'])}"
            with suppress(ProcessLookupError):
                os.kill(worker["pid"], STACK_SIGNAL)
    for actor in status["actors"]:
        lines.append("{label} is {state}, incarnation {incarnation}, pid {pid}: {last_exit}".format(**actor))
    return "\n".join(lines)


async def _kill_any(runtime, chance, outcome):
    while True:
        workers = [worker for worker in (await runtime.status())["workers"] if worker["pid"] is not None]
        worker = chance.choice(workers) if workers else None
        try:
            if worker is not None:
                os.kill(worker["pid"], signal.SIGKILL)
                outcome.kinds[worker["kind"]] += 1
                return worker["pid"]
        except ProcessLookupError:
            continue  # it has ended with the owner of its actor


async def _settle(refs, families):
    """Wait until every actor answers."""
    patient = {"retries": 1000, "timeout_s": CALL_TIMEOUT_S}
    for ref in refs:
        await ref.ping.options(**patient)()
    for family in families:
        for info in await family.children_info.options(**patient)():
            child = await family.child.options(**patient)(info.id)
            await child.ping.options(**patient)()


async def _record_resources(runtime, node_pid, fds_before, outcome):
    """Record the resources that the node holds when no call runs."""
    with suppress(TimeoutError):
        async with asyncio.timeout(EMPTY_TIMEOUT_S):
            while art.store_stats()["objects_count"]:
                await runtime.status()
    outcome.objects = [row[1:] for row in current_endpoint().require_store().list_objects(100)]
    outcome.used_bytes = art.store_stats()["used_bytes"]
    with suppress(TimeoutError):
        async with asyncio.timeout(EMPTY_TIMEOUT_S):
            while len(await _strangers(runtime, node_pid)) > 1 or _zombies(node_pid):  # some may be about to end
                pass
    outcome.strangers = await _strangers(runtime, node_pid)
    outcome.zombies = _zombies(node_pid)
    outcome.driver_fds = (fds_before[0], _fd_count(os.getpid()))
    outcome.node_fds = (fds_before[1], _fd_count(node_pid))


async def _strangers(runtime, node_pid):
    """Return the descendants of the node that are not its workers; the zygote is one."""
    workers = {worker["pid"] for worker in (await runtime.status())["workers"]}
    return sorted(set(descendants_of(node_pid)) - workers)


def _zombies(node_pid):
    return [pid for pid in descendants_of(node_pid) if state_of(pid) == "Z"]


def _fd_count(pid):
    """Return the number of open descriptors without the segments of the store, which vary with its load."""
    folder = Path(f"/proc/{pid}/fd")
    count = 0
    for entry in os.listdir(folder):
        with suppress(FileNotFoundError):
            count += not os.readlink(folder / entry).startswith("/memfd:")
    return count
