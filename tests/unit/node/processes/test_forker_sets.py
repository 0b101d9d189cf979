"""How workers that need modules are forked: from a zygote for each set of modules, without a process."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.errors import RuntimeStateError
from actorrt.node.processes.forker import SETS_LIMIT
from actorrt.node.processes.process_watch import ProcessExit
from actorrt.node.processes.zygotes import FORKS_IN_FLIGHT
from tests.unit.node.processes.fake_zygotes import READY, World


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
