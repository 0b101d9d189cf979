"""How workers are forked by zygotes that answer, end and are replaced, without a process."""

from __future__ import annotations

import asyncio

import pytest

from actorrt.errors import ActorStartError, RuntimeStateError
from actorrt.node.processes.process_watch import ProcessExit
from actorrt.node.processes.zygotes import PATIENCE
from tests.unit.node.processes.fake_zygotes import NOT_READY, READY, World


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
