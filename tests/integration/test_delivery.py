"""How often a call is handled: at most once, at least once with `retries=`, once in an incarnation with `key=`."""

from __future__ import annotations

import asyncio
import os
import signal

import numpy as np
import pytest

import actorrt as art
from actorrt.actors.cells import deduplication
from tests.integration.cast import Counter
from tests.running import wait_for_answer

WINDOW_COUNT = deduplication.KEY_WINDOW_COUNT


class Ledger(art.Actor):
    """Counts in a file how many of its methods ran, so that the count survives restarts."""

    def __init__(self, path):
        self.path = str(path)
        self.opened = asyncio.Event()

    def _note(self):
        with open(self.path, "a") as file:
            file.write("x")

    def add(self, n):
        self._note()
        return n

    async def add_when_open(self, n):
        self._note()
        await self.opened.wait()
        return n

    def open(self):
        self.opened.set()

    def count(self):
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def refuse(self, n):
        self._note()
        raise ValueError(f"not {n}")

    def array(self, n):
        self._note()
        return np.full(100_000, n)

    def add_and_die(self, n):
        self._note()
        os.kill(os.getpid(), signal.SIGKILL)

    def fail(self):
        raise SystemExit("on purpose")

    async def fail_when_open(self):
        self._note()
        await self.opened.wait()
        raise SystemExit("on purpose")

    def pid(self):
        return os.getpid()


async def counted(ledger, count):
    """Wait until `count` methods of the ledger have run."""
    await wait_for_answer(ledger.count, lambda ran: ran == count, f"{count} methods have run")


async def test_plain_call_that_kills_its_actor_is_not_sent_again(node_runtime, tmp_path):
    ledger = await Ledger.options(isolation="process", restart="permanent").spawn(tmp_path / "ran")
    with pytest.raises(art.ActorUnavailableError):
        await ledger.add_and_die(1)
    assert await ledger.count() == 1


async def test_call_with_retries_is_sent_again_at_most_that_many_times(node_runtime, tmp_path):
    ledger = await Ledger.options(isolation="process", restart="permanent").spawn(tmp_path / "ran")
    with pytest.raises(art.ActorUnavailableError) as caught:
        await ledger.add_and_die.options(retries=1)(1)
    assert caught.value.executed == "maybe"
    assert await ledger.count() == 2


async def test_call_that_can_not_be_sent_a_second_time_reports_that_it_may_have_run(node_runtime, tmp_path):
    class Relapsing(Ledger):
        async def on_start(self):
            if self.count():
                raise ValueError("sick")

    ledger = await Relapsing.options(isolation="process", restart="permanent", max_restarts=1).spawn(tmp_path / "ran")
    with pytest.raises(art.ActorDiedError) as caught:
        await ledger.add_and_die.options(retries=3)(1)
    assert (caught.value.executed, caught.value.reason.kind) == ("maybe", art.ExitKind.INTENSITY)


async def test_unavailable_error_raised_by_a_method_is_not_treated_as_the_death_of_its_actor(runtime):
    class Front(art.Actor):
        def __init__(self):
            self.calls = 0

        async def ask(self):
            self.calls += 1
            raise art.ActorUnavailableError("of another", executed="maybe")

        def count(self):
            return self.calls

    class Asker(art.Actor):
        async def on_start(self):
            self.front = await Front.spawn()

        async def ask(self):
            try:
                await self.front.ask.options(retries=2)()
            except art.ActorUnavailableError as error:
                return error.executed, await self.front.count()

    front = await Front.spawn()
    with pytest.raises(art.ActorUnavailableError, match="of another") as caught:
        await front.ask.options(retries=2)()
    assert (caught.value.executed, await front.count()) == ("yes", 1)
    asker = await Asker.spawn()
    assert await asker.ask() == ("yes", 1)  # the same in one process


async def test_calls_of_one_key_run_once_and_all_get_the_outcome_of_the_first_call(runtime, tmp_path):
    ledger = await Ledger.spawn(tmp_path / "ran")
    replies = [ledger.add.options(key="k")(n) for n in range(5)]
    assert await art.gather(*replies) == [0] * 5
    assert await ledger.add.options(key="k")(7) == 0
    assert await ledger.add.options(key="l")(7) == 7
    assert await ledger.count() == 2


async def test_calls_of_one_key_wait_while_the_first_still_runs(runtime, tmp_path):
    ledger = await Ledger.options(max_concurrency=10).spawn(tmp_path / "ran")
    replies = [ledger.add_when_open.options(key="k")(n) for n in range(5)]
    await counted(ledger, 1)
    assert not any(reply.done() for reply in replies)
    await ledger.open()
    assert await art.gather(*replies) == [0] * 5
    assert await ledger.count() == 1


async def test_exception_is_remembered_as_the_outcome_of_a_key(runtime, tmp_path):
    ledger = await Ledger.spawn(tmp_path / "ran")
    for n in range(3):
        with pytest.raises(ValueError, match="not 0") as caught:
            await ledger.refuse.options(key="k")(n)
        assert caught.value.executed == "yes"
    assert await ledger.count() == 1


async def test_key_of_a_tell_counts_for_a_later_ask(runtime, tmp_path):
    ledger = await Ledger.spawn(tmp_path / "ran")
    await ledger.add.options(key="k").tell(3)
    assert await ledger.add.options(key="k")(4) == 3
    assert await ledger.count() == 1


async def test_result_of_a_key_that_stays_in_the_store_is_available_to_each_call(runtime, tmp_path):
    ledger = await Ledger.spawn(tmp_path / "ran")
    refs = [ledger.array.options(key="k", returns="ref")(n) for n in (1, 2)]
    assert [int((await ref)[0]) for ref in refs] == [1, 1]
    assert await ledger.count() == 1


async def test_key_whose_first_call_is_withdrawn_is_free_for_the_next_call(runtime, tmp_path):
    ledger = await Ledger.options(max_concurrency=10).spawn(tmp_path / "ran")
    first = ledger.add_when_open.options(key="k")(1)
    await counted(ledger, 1)
    second = ledger.add_when_open.options(key="k")(2)
    await ledger.count()
    first.cancel()
    await counted(ledger, 2)  # the second call is handled in its place
    await ledger.open()
    assert await second == 2


async def test_key_survives_the_withdrawal_of_a_call_that_waits_for_the_first(runtime, tmp_path):
    ledger = await Ledger.spawn(tmp_path / "ran")
    first, second = ledger.add_when_open.options(key="k", timeout_s=0.1)(1), ledger.add.options(key="k")(2)
    third = ledger.add.options(key="k")(3)
    third.cancel()
    with pytest.raises(art.CallTimeoutError):
        await first
    assert await second == 2
    assert await ledger.add.options(key="k")(4) == 2
    assert await ledger.count() == 2


async def test_calls_of_one_key_beyond_the_mailbox_bound_all_end(runtime, tmp_path):
    ledger = await Ledger.options(mailbox_messages=100).spawn(tmp_path / "ran")
    for _ in range(3):
        assert await art.gather(*[ledger.add.options(key="k")(n) for n in range(64)]) == [0] * 64
    assert await ledger.count() == 1


class Windowed(Ledger):
    """Remembers the outcomes of two keys."""

    async def on_start(self):
        deduplication.KEY_WINDOW_COUNT = 2

    async def on_stop(self, reason):
        deduplication.KEY_WINDOW_COUNT = WINDOW_COUNT


async def test_oldest_key_beyond_the_window_is_forgotten_unless_its_call_runs(runtime, tmp_path):
    ledger = await Windowed.options(max_concurrency=10).spawn(tmp_path / "ran")
    running = ledger.add_when_open.options(key="runs")(0)
    await counted(ledger, 1)
    for n in range(3):
        await ledger.add.options(key=f"k{n}")(n)
    assert await ledger.add.options(key="k2")(-1) == 2
    assert await ledger.add.options(key="k0")(-1) == -1
    waiting = ledger.add.options(key="runs")(7)
    await ledger.open()
    assert await art.gather(running, waiting) == [0, 0]
    await ledger.stop()


async def test_restart_in_place_forgets_a_key_and_every_call_ends(runtime, tmp_path):
    ledger = await Ledger.options(restart="permanent").spawn(tmp_path / "ran")
    assert await ledger.add.options(key="k")(1) == 1
    ledger.fail.tell()
    replies = [ledger.add.options(key="k")(n) for n in (2, 3, 4)]
    assert await art.gather(*replies) == [2, 2, 2]
    assert await ledger.count() == 2


@pytest.mark.parametrize("form", ["ask", "tell"])
async def test_calls_that_wait_for_a_first_call_that_fails_the_actor_go_to_the_next_incarnation(
    runtime, tmp_path, form
):
    ledger = await Ledger.options(restart="permanent", max_concurrency=10).spawn(tmp_path / "ran")
    method = ledger.fail_when_open.options(key="k")
    first = method() if form == "ask" else method.tell()
    await counted(ledger, 1)
    others = [ledger.add.options(key="k")(n) for n in (2, 3)]
    await ledger.count()
    await ledger.open()
    if form == "ask":
        with pytest.raises(art.ActorUnavailableError):
            await first
    assert await art.gather(*others) == [2, 2]


async def test_calls_that_wait_for_a_first_call_end_with_their_actor(runtime, tmp_path):
    ledger = await Ledger.options(max_concurrency=10).spawn(tmp_path / "ran")
    first = ledger.fail_when_open.options(key="k")()
    await counted(ledger, 1)
    others = [ledger.add.options(key="k")(n) for n in (2, 3)]
    await ledger.count()
    await ledger.open()
    for reply, executed in ((first, "maybe"), (others[0], "no"), (others[1], "no")):
        with pytest.raises(art.ActorDiedError) as caught:
            await reply
        assert caught.value.executed == executed


async def test_retries_with_a_key_run_once_in_each_incarnation(node_runtime, tmp_path):
    ledger = await Ledger.options(isolation="process", restart="permanent").spawn(tmp_path / "ran")
    assert await ledger.add.options(key="k")(1) == 1
    with pytest.raises(art.ActorUnavailableError):
        await ledger.add_and_die.options(key="die")(1)
    assert await ledger.add.options(key="k", retries=3)(2) == 2
    assert await ledger.count() == 3


async def test_every_call_without_a_key_runs(runtime):
    counter = await Counter.spawn()
    assert await art.gather(*[counter.add() for _ in range(3)]) == [1, 2, 3]
