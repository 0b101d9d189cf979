"""Deaths of the processes of actors: the errors of callers, their delays and reasons, and the restarts."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

import actorrt as art
from actorrt.actors.wire.credit import FIRST_MESSAGES
from tests.integration.cast import Counter, Faulty, Gate, Recorder
from tests.running import is_running, wait_for_answer, wait_until_none_runs


class Victim(Faulty):
    """An actor that can end its process in many ways."""

    async def hang(self):
        await asyncio.Event().wait()

    def crash(self):
        import ctypes

        ctypes.string_at(0)

    def print_and_exit(self, text, status):
        print(text, flush=True)
        os._exit(status)

    def grow(self):
        os.kill(os.getpid(), signal.SIGKILL)


async def answering_pid(ref):
    """Return the process id of an actor when it answers, after restarts too."""
    return await ref.pid.options(retries=20)()


async def test_killed_permanent_actor_is_restarted_under_its_ref_in_a_new_process(node_runtime):
    victim = await Victim.options(isolation="process", restart="permanent").spawn()
    old = await victim.pid()
    os.kill(old, signal.SIGKILL)
    new = await answering_pid(victim)
    assert new != old
    assert await victim.incarnation() == 2
    assert not is_running(old)


async def test_callers_of_a_killed_actor_that_restarts_get_an_error_within_a_second(node_runtime):
    victim = await Victim.options(isolation="process", restart="permanent", max_concurrency=10).spawn()
    pid = await victim.pid()
    replies = [victim.hang() for _ in range(5)]
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    for reply in replies:
        with pytest.raises(art.ActorUnavailableError) as caught:
            await reply
        assert caught.value.executed == "maybe"
    assert time.monotonic() - began < 1
    assert await answering_pid(victim) != pid


async def test_callers_of_a_killed_temporary_actor_get_an_error_with_the_signal(node_runtime):
    victim = await Victim.options(isolation="process").spawn()
    hanging, queued = victim.hang(), victim.pid()
    down = art.monitor(victim)
    os.kill(pid_of(await node_runtime.status(), "Victim"), signal.SIGKILL)
    for reply in (hanging, queued):
        with pytest.raises(art.ActorDiedError) as caught:
            await reply
        assert caught.value.reason.kind is art.ExitKind.CRASHED
        assert caught.value.reason.signal == signal.SIGKILL
    assert (await down).reason.signal == signal.SIGKILL
    with pytest.raises(art.ActorDiedError) as caught:
        await victim.pid()
    assert caught.value.executed == "no"


def pid_of(status, label):
    """Return the process id of the actor whose label begins with `label`."""
    (pid,) = [actor["pid"] for actor in status["actors"] if actor["label"].startswith(label)]
    return pid


async def test_retries_send_a_call_again_to_the_next_incarnation(node_runtime):
    victim = await Victim.options(isolation="process", restart="permanent").spawn()
    pid = await victim.pid()
    os.kill(pid, signal.SIGKILL)
    assert await victim.tolerate.options(retries=3)() == "alive"


async def test_monitor_reports_each_restart_if_asked_and_otherwise_only_the_end(node_runtime):
    victim = await Victim.options(isolation="process", restart="permanent").spawn()
    final = art.monitor(victim)
    for incarnation in (1, 2):
        pid = await answering_pid(victim)
        down = art.monitor(victim, restarts=True)
        await victim.is_alive()  # the monitor has arrived before this answer
        os.kill(pid, signal.SIGKILL)
        heard = await down
        assert (heard.incarnation, heard.is_final, heard.reason.signal) == (incarnation, False, signal.SIGKILL)
        assert await answering_pid(victim) != pid
    assert not final.done()
    await victim.stop()
    assert (await final).reason.kind is art.ExitKind.SHUTDOWN


async def test_intensity_exceeded_by_kills_ends_the_actor(node_runtime):
    victim = await Victim.options(isolation="process", restart="permanent", max_restarts=1).spawn()
    down = art.monitor(victim)
    os.kill(await answering_pid(victim), signal.SIGKILL)
    os.kill(await answering_pid(victim), signal.SIGKILL)
    assert (await down).reason.kind is art.ExitKind.INTENSITY
    with pytest.raises(art.ActorDiedError) as caught:
        await victim.pid()
    assert caught.value.reason.kind is art.ExitKind.INTENSITY


async def test_exit_status_and_last_line_are_in_the_reason(node_runtime):
    victim = await Victim.options(isolation="process").spawn()
    with pytest.raises(art.ActorDiedError) as caught:
        await victim.print_and_exit("out of luck", 7)
    reason = caught.value.reason
    assert (reason.kind, reason.exit_status, reason.signal) == (art.ExitKind.CRASHED, 7, None)
    assert "out of luck" in str(caught.value)


async def test_segmentation_fault_leaves_its_stack_in_the_reason(node_runtime):
    victim = await Victim.options(isolation="process").spawn()
    down = art.monitor(victim)
    with pytest.raises(art.ActorDiedError) as caught:
        await victim.crash()
    assert caught.value.reason.signal == signal.SIGSEGV
    assert "in crash" in (await down).detail


async def test_system_exit_ends_the_actor_with_a_reason(node_runtime):
    victim = await Victim.options(isolation="process").spawn()
    with pytest.raises(art.ActorDiedError) as caught:
        await victim.exit(3)
    assert caught.value.reason.kind is art.ExitKind.ERROR
    assert "SystemExit" in str(caught.value.reason)


async def test_kill_of_an_actor_by_its_ref_ends_its_process(node_runtime):
    victim = await Victim.options(isolation="process", restart="permanent").spawn()
    pid = await victim.pid()
    hanging = victim.hang()
    await victim.kill()
    wait_until_none_runs([pid], within_s=2)
    with pytest.raises(art.ActorDiedError) as caught:
        await hanging
    assert caught.value.reason.kind is art.ExitKind.KILLED
    assert not await victim.is_alive()


async def test_stop_of_a_stuck_process_kills_it_after_shutdown_s(node_runtime):
    class Stuck(art.Actor):
        def block(self):
            time.sleep(60)  # the fault that is tested: a process that does not react

        def pid(self):
            return os.getpid()

    stuck = await Stuck.options(isolation="process", shutdown_s=0.2).spawn()
    pid = await stuck.pid()
    blocked = stuck.block()
    began = time.monotonic()
    await stuck.stop()
    assert time.monotonic() - began < 5
    wait_until_none_runs([pid], within_s=2)
    with pytest.raises(art.ActorDiedError):
        await blocked


async def test_process_that_dies_while_it_restarts_is_restarted_again_up_to_the_intensity(node_runtime, tmp_path):
    class Relapsing(art.Actor):
        def __init__(self, path):
            if os.path.exists(path):
                os._exit(9)

        def pid(self):
            return os.getpid()

    relapsing = await Relapsing.options(isolation="process", restart="permanent", max_restarts=2).spawn(
        str(tmp_path / "sick")
    )
    down = art.monitor(relapsing)
    pid = await relapsing.pid()
    (tmp_path / "sick").touch()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(art.ActorDiedError):
        await relapsing.pid.options(retries=50)()
    assert (await down).reason.kind is art.ExitKind.INTENSITY


async def test_death_of_a_shared_worker_decides_once_on_each_of_its_actors(node_runtime):
    permanent = await Counter.options(restart="permanent").spawn_many(8)
    temporary = await Counter.spawn_many(8)
    pids = await permanent.pid()
    fate = dict(zip(temporary, await temporary.pid(), strict=True))
    downs = {ref: art.monitor(ref) for ref in temporary}
    killed = pids[0]
    os.kill(killed, signal.SIGKILL)
    for ref, pid in zip(permanent, pids, strict=True):
        incarnation = await ref.incarnation.options(retries=5)()
        assert incarnation == (2 if pid == killed else 1)
        assert await answering_pid(ref) != killed
    for ref, pid in fate.items():
        assert (await ref.is_alive()) is (pid != killed)
        if pid == killed:
            assert (await downs[ref]).reason.signal == signal.SIGKILL


async def test_death_of_a_shared_worker_counts_once_for_a_supervisor(node_runtime):
    class Many(art.Supervisor):
        max_restarts = 1

        def children(self):
            for n in range(12):
                yield art.Child(Counter, n, id=f"c{n}")

    many = await Many.spawn()
    refs = [await many.child(f"c{n}") for n in range(12)]
    pids = [await ref.pid() for ref in refs]
    os.kill(pids[0], signal.SIGKILL)
    for ref, pid in zip(refs, pids, strict=True):
        assert await ref.incarnation.options(retries=5)() == (2 if pid == pids[0] else 1)
    assert await many.is_alive()


async def test_death_of_the_process_of_a_supervisor_ends_its_children_and_restarts_it_if_permanent(node_runtime):
    class Pair(art.Supervisor):
        def children(self):
            yield art.Child(Counter, 1, id="light")
            yield art.Child(Counter, 2, id="own", isolation="process")

        def pid(self):
            return os.getpid()

    pair = await Pair.options(restart="permanent").spawn()
    own = await pair.child("own")
    own_pid = await own.pid()
    os.kill(await pair.pid(), signal.SIGKILL)
    again = await pair.child.options(retries=5)("own")
    assert await again.value() == 2
    assert again != own
    assert not await own.is_alive()
    wait_until_none_runs([own_pid], within_s=5)


async def test_stopped_and_continued_process_is_not_declared_dead(node_runtime):
    victim = await Victim.options(isolation="process", restart="permanent").spawn()
    pid = await victim.pid()
    os.kill(pid, signal.SIGSTOP)
    reply = victim.tolerate()
    done, _ = await art.wait([reply], timeout_s=0.3)
    assert done == []
    os.kill(pid, signal.SIGCONT)
    assert await reply == "alive"
    assert await victim.incarnation() == 1


async def test_running_calls_of_a_killed_caller_are_cancelled(node_runtime):
    class Caller(art.Actor):
        async def call(self, gate):
            await gate.wait()

        def pid(self):
            return os.getpid()

    gate = await Gate.options(max_concurrency=5).spawn()
    caller = await Caller.options(isolation="process", max_concurrency=2).spawn()
    calling = caller.call(gate)
    await wait_for_answer(gate.counts, lambda counts: counts == (1, 0), "a call is in the gate")
    os.kill(await caller.pid(), signal.SIGKILL)
    with pytest.raises(art.ActorDiedError):
        await calling
    await wait_for_answer(gate.counts, lambda counts: counts == (1, 1), "the call in the gate is cancelled")


async def test_tells_to_a_dying_actor_do_not_block_their_sender(node_runtime):
    recorder = await Recorder.options(isolation="process", restart="permanent").spawn()
    pid = await recorder.pid()
    for n in range(200):
        recorder.note.tell(n)
        if n == 50:
            os.kill(pid, signal.SIGKILL)
    items = await recorder.all.options(retries=5)()
    assert items == sorted(items)


async def test_names_of_killed_actors_are_free_when_the_down_arrives(node_runtime):
    for _ in range(3):
        victim = await Victim.options(isolation="process", name="once").spawn()
        down = art.monitor(victim)
        os.kill(await victim.pid(), signal.SIGKILL)
        await down


async def test_kill_while_an_actor_restarts_leads_to_one_process(node_runtime):
    victim = await Victim.options(isolation="process", restart="permanent", max_restarts=50).spawn()
    for _ in range(10):
        os.kill(await answering_pid(victim), signal.SIGKILL)
    pid = await answering_pid(victim)
    workers = [worker for worker in (await node_runtime.status())["workers"] if worker["kind"] == "own"]
    assert [worker["pid"] for worker in workers] == [pid]


def test_kill_works_in_plain_code(node_session):
    victim = Victim.options(isolation="process", restart="permanent").spawn().result(10)
    pid = victim.pid().result(10)
    os.kill(pid, signal.SIGKILL)
    assert victim.pid.options(retries=3)().result(10) != pid


async def test_messages_beyond_the_credit_of_a_killed_actor_reach_the_next_incarnation(node_runtime):
    recorder = await Recorder.options(isolation="process", restart="permanent", mailbox_messages=FIRST_MESSAGES).spawn()
    os.kill(await recorder.pid(), signal.SIGKILL)
    for n in range(FIRST_MESSAGES + 10):  # the last ones need credit that the killed process can't grant
        recorder.note.tell(n)
    items = await recorder.all.options(retries=5)()
    assert len(items) in (10, 11)  # the credit for the first call may have arrived by then
    assert items == list(range(items[0], FIRST_MESSAGES + 10))


async def test_calls_that_wait_for_room_end_when_their_actors_process_is_killed(node_runtime):
    victim = await Victim.options(isolation="process", mailbox_messages=100).spawn()
    pid = await victim.pid()
    hanging = victim.hang()
    waiting = [victim.pid() for _ in range(1000)]
    tells = [victim.tolerate.tell() for _ in range(10)]
    os.kill(pid, signal.SIGKILL)
    results = await art.gather(hanging, *waiting, *tells, return_exceptions=True)
    assert {type(error) for error in results} == {art.ActorDiedError}
    assert results[-11].executed == "no"


async def test_calls_that_wait_for_room_go_to_the_next_process(node_runtime):
    victim = await Victim.options(isolation="process", mailbox_messages=100, restart="permanent").spawn()
    pid = await victim.pid()
    hanging = victim.hang()
    waiting = [victim.incarnation() for _ in range(1000)]
    os.kill(pid, signal.SIGKILL)
    results = await art.gather(hanging, *waiting, return_exceptions=True)
    assert {2 if result == 2 else type(result) for result in results} == {2, art.ActorUnavailableError}
    assert [result for result in results if result == 2] == results[-results.count(2) :]


async def test_tells_that_a_killed_process_had_sent_are_handled(node_runtime, tmp_path):
    class Teller(art.Actor):
        async def tell(self, recorder, count):
            for n in range(count):
                await recorder.note.tell(n)
            return await recorder.pid()

    class Busy(Recorder):
        async def hold(self, path):
            while not os.path.exists(path):
                await asyncio.sleep(0.005)

    busy = await Busy.options(isolation="process").spawn()
    teller = await Teller.options(isolation="process").spawn()
    await busy.pid()
    holding = busy.hold(str(tmp_path / "open"))
    telling = teller.tell(busy, 10)
    await wait_for_answer(node_runtime.statistics, lambda seen: _queued(seen, "Busy") >= 11, "11 messages are queued")
    os.kill(pid_of(await node_runtime.status(), "Teller"), signal.SIGKILL)
    with pytest.raises(art.ActorDiedError):
        await telling
    await wait_for_answer(  # its ask is withdrawn, but its tells are not
        node_runtime.statistics, lambda seen: _queued(seen, "Busy") <= 10, "the ask of the dead caller is withdrawn"
    )
    (tmp_path / "open").touch()
    await holding
    assert await busy.all() == list(range(10))


def _queued(statistics, label):
    """Return how many messages are in the mailbox of the actor whose label begins with `label`."""
    return sum(a["queued"] for here in statistics.values() for a in here["actors"] if a["label"].startswith(label))
