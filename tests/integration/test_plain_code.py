"""Plain code: every operation without `await`, from several threads at once, and inside another running loop."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import actorrt as art
from actorrt.actors.calling.calls import HANDED_OVER_COUNT
from actorrt.actors.refs.route import WAITING_MESSAGES
from actorrt.actors.wire.credit import FIRST_MESSAGES
from tests.integration.cast import Counter, Faulty, Gate, Recorder, Source
from tests.integration.witnesses import Notes, Subject

THREADS_COUNT = 6


def everything(n):
    """Use every operation on actors in plain code, and return the results."""
    counter = Counter.options(name=f"counter-{n}").spawn(n).result(10)
    source = Source.options(max_concurrency=2).spawn().result(10)
    group = Counter.spawn_many(2, n).result(10)
    down = art.monitor(counter)
    seen = [
        counter.add(1).result(10),
        counter.add.tell(1).result(10),
        art.lookup(f"counter-{n}", timeout_s=1).result(10).value().result(10),
        group.add(1).result(10),
        [reply.result(10) for reply in art.as_completed([ref.value() for ref in group])],
        art.gather(*[ref.value() for ref in group]).result(10),
        list(source.numbers(50)) == list(range(50)),
        art.put(n).get(10),
        len(art.wait([counter.value(), counter.value()], count=2).result(10)[0]),
        counter.is_alive().result(10),
    ]
    for item in source.numbers(1_000):
        if item == 3:
            break
    while source.state().result(10)[1] < 2:
        pass
    for ref in (counter, source, group):
        ref.stop().result(10)
    return [*seen, str(down.result(10).reason.kind), counter.is_alive().result(10)]


def expected(n):
    return [n + 1, None, n + 2, [n + 1] * 2, [n + 1] * 2, [n + 1] * 2, True, n, 2, True, "shutdown", False]


def test_every_operation_works_from_one_thread(session):
    assert everything(1) == expected(1)


def test_every_operation_works_from_several_threads_at_once(node_session):
    with ThreadPoolExecutor(THREADS_COUNT) as pool:
        results = list(pool.map(everything, range(THREADS_COUNT)))
    assert results == [expected(n) for n in range(THREADS_COUNT)]


def test_each_threads_messages_arrive_in_order(node_session):
    recorder = Recorder.spawn().result(10)

    def tell(n):
        for i in range(300):
            recorder.note.tell((n, i))

    with ThreadPoolExecutor(THREADS_COUNT) as pool:
        list(pool.map(tell, range(THREADS_COUNT)))
    items = recorder.all().result(10)
    for n in range(THREADS_COUNT):
        assert [i for thread, i in items if thread == n] == list(range(300))


def test_several_threads_wait_for_one_reply(node_session):
    gate = Gate.options(max_concurrency=2).spawn().result(10)
    reply = gate.wait()
    with ThreadPoolExecutor(THREADS_COUNT) as pool:
        waiting = [pool.submit(reply.result, 10) for _ in range(THREADS_COUNT)]
        gate.open().result(10)
        assert [each.result() for each in waiting] == ["open"] * THREADS_COUNT


def test_cancel_from_another_thread_ends_the_wait(node_session):
    gate = Gate.options(max_concurrency=2).spawn().result(10)
    reply = gate.wait()
    threading.Timer(0.05, reply.cancel).start()
    with pytest.raises(art.CallCancelledError):
        reply.result(10)
    while gate.counts().result(10) != (1, 1):
        pass


def test_every_operation_works_in_plain_code_inside_a_running_loop(node_session):
    async def cell_of_a_notebook():
        return everything(7)  # blocks this loop, which is not the runtime's

    assert asyncio.run(cell_of_a_notebook()) == expected(7)


def test_init_and_await_work_inside_a_running_loop(node):
    async def cells_of_a_notebook():
        art.init(address=node.url)
        try:
            counter = Counter.spawn(1).result(10)
            source = await Source.spawn()
            assert counter.add().result(10) == 2
            assert await counter.add() == 3
            assert [n async for n in source.numbers(40)] == list(source.plain_numbers(40))
            with pytest.raises(ValueError, match="no such thing"):
                await (await Faulty.spawn()).raise_value_error()
            return await art.gather(counter.value(), counter.value())
        finally:
            art.shutdown()

    assert asyncio.run(cells_of_a_notebook()) == [3, 3]


def test_loops_of_several_threads_can_call_one_actor_at_once(node_session):
    counter = Counter.spawn().result(10)

    async def add():
        return [await counter.add_async() for _ in range(50)]

    with ThreadPoolExecutor(THREADS_COUNT) as pool:
        seen = list(pool.map(lambda _: asyncio.run(add()), range(THREADS_COUNT)))
    assert sorted(n for values in seen for n in values) == list(range(1, 50 * THREADS_COUNT + 1))
    assert all(values == sorted(values) for values in seen)


def test_plain_thread_is_held_back_to_the_speed_of_the_loop(node_session):
    counter = Counter.options(mailbox_messages=200_000).spawn().result(10)
    most = 0
    for _ in range(60_000):
        counter.add.tell()
        most = max(most, len(node_session.endpoint.threads))
    assert 0 < most <= HANDED_OVER_COUNT
    assert counter.value().result(30) == 60_000


def test_plain_thread_waits_for_room_until_its_deadline(node_session, tmp_path):
    notes = Notes(tmp_path)
    subject = Subject.options(mailbox_messages=1).spawn(str(tmp_path)).result(10)
    holding = subject.hold()
    replies = [subject.incarnation() for _ in range(FIRST_MESSAGES + WAITING_MESSAGES - 1)]
    while node_session.statistics().result(10)["driver"]["routes"]["waiting"] < WAITING_MESSAGES:
        pass
    began = time.monotonic()
    with pytest.raises(art.MailboxFullError) as caught:
        subject.incarnation.options(timeout_s=0.3)()
    assert (time.monotonic() - began >= 0.3, caught.value.executed) == (True, "no")
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(lambda: subject.incarnation().result(30))
        with pytest.raises(TimeoutError):
            waits.result(0.2)
        notes.open()
        assert waits.result(30) == 1
    assert (holding.result(10), {reply.result(30) for reply in replies}) == ("held", {1})
