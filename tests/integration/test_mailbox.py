"""Bounds of mailboxes, and what a full mailbox does to its senders."""

from __future__ import annotations

import asyncio

import pytest

import actorrt as art
from actorrt.actors.calling import call_table
from actorrt.actors.endpoint.consistency import check_cell
from actorrt.actors.refs.route import WAITING_BYTES, WAITING_MESSAGES
from actorrt.actors.wire.credit import FIRST_MESSAGES
from tests.integration.cast import Gate, Recorder
from tests.live_runtimes import hosted_cells


class Valve(art.Actor):
    """Handles no message until a file exists."""

    def __init__(self):
        self.items = []

    async def hold(self, path):
        import os

        while not os.path.exists(path):
            await asyncio.sleep(0.005)

    def note(self, item):
        self.items.append(item)

    def weigh(self, item):
        return len(item)

    def all(self):
        return self.items


@pytest.fixture
def key(tmp_path):
    """A file that does not exist yet."""
    return tmp_path / "key"


async def held(key, **options):
    """Return an actor that handles no message until the file exists, and the call that holds it."""
    valve = await Valve.options(**options).spawn()
    holding = valve.hold(str(key))
    done, _ = await art.wait([holding], timeout_s=0.05)
    assert done == []
    return valve, holding


async def outcomes(replies):
    """Return the value, or the type of the error, of each reply."""
    results = await art.gather(*replies, return_exceptions=True)
    return [type(result) if isinstance(result, BaseException) else result for result in results]


def _attempt(valve, n):
    """Ask, and return the reply, or None if the call was refused at once."""
    try:
        return valve.note(n)
    except art.MailboxFullError:
        return None


async def test_overflow_fail_refuses_the_newest_unexecuted(runtime, key):
    valve, holding = await held(key, mailbox_messages=3, overflow="fail")
    replies = [valve.note(n) for n in range(5)]
    for reply in replies[3:]:
        with pytest.raises(art.MailboxFullError) as caught:
            await reply
        assert caught.value.executed == "no"
    key.touch()
    await holding
    assert await outcomes(replies[:3]) == [None] * 3
    assert await valve.all() == [0, 1, 2]


async def test_overflow_drop_old_drops_the_oldest(runtime, key):
    valve, holding = await held(key, mailbox_messages=2, overflow="drop_old")
    replies = [valve.note(n) for n in range(4)]
    assert await outcomes(replies[:2]) == [art.MailboxFullError] * 2
    key.touch()
    await holding
    assert await outcomes(replies[2:]) == [None, None]
    assert await valve.all() == [2, 3]


async def test_overflow_drop_new_drops_the_newest(runtime, key):
    valve, holding = await held(key, mailbox_messages=2, overflow="drop_new")
    for n in range(4):
        valve.note.tell(n)
    key.touch()
    await holding
    assert await valve.all() == [0, 1]


async def test_overflow_latest_keeps_only_the_newest(runtime, key):
    valve, holding = await held(key, overflow="latest")
    replies = [valve.note(n) for n in range(4)]
    assert await outcomes(replies[:3]) == [art.MailboxFullError] * 3
    key.touch()
    await holding
    await replies[3]
    assert await valve.all() == [3]


class Mourner(Valve):
    """A valve that keeps, in order, its messages and the ends of other actors."""

    def tie(self, monitored, linked):
        self.context.trap_exits = True
        self.context.monitor(monitored)
        self.context.link(linked)

    def on_down(self, down):
        self.items.append("down")

    def on_exit(self, exit):
        self.items.append("exit")


async def until_queued(runtime, label, count):
    """Wait until `count` messages are queued for an actor."""
    queued = None
    while queued != count:
        actors = [actor for process in (await runtime.statistics()).values() for actor in process.get("actors", ())]
        [queued] = [actor["queued"] for actor in actors if actor["label"] == label]


@pytest.mark.parametrize(
    ("overflow", "items"),
    [
        ("latest", ["down", "exit", 2]),
        ("drop_old", ["down", "exit", 2]),
        ("drop_new", [0, "down", "exit"]),
        ("fail", [0, "down", "exit"]),
    ],
)
async def test_down_and_exit_enter_a_full_mailbox_in_order_and_displace_nothing(runtime, key, overflow, items):
    mourner = await Mourner.options(name="mourner", mailbox_messages=1, overflow=overflow).spawn()
    monitored, linked = await Valve.spawn(), await Valve.spawn()
    await mourner.tie(monitored, linked)
    holding = mourner.hold(str(key))
    await until_queued(runtime, "mourner", 0)
    notes = [mourner.note(0)]
    for count, ending in enumerate((monitored, linked), start=2):
        await until_queued(runtime, "mourner", count - 1)
        await ending.stop()
    await until_queued(runtime, "mourner", 3)
    notes += [mourner.note(1), mourner.note(2)]
    refused, _ = await art.wait(notes)
    assert {type(reply.error()) for reply in refused} == {art.MailboxFullError}
    key.touch()
    await holding
    await art.gather(*notes, return_exceptions=True)
    assert await mourner.all() == items


async def test_mailbox_bytes_bounds_the_bytes_in_the_mailbox(runtime, key):
    valve, holding = await held(key, mailbox_bytes=50_000, overflow="fail")
    replies = [valve.note(bytes([n]) * 20_000) for n in range(4)]
    assert await outcomes(replies[2:]) == [art.MailboxFullError] * 2
    key.touch()
    await holding
    assert [item[0] for item in await valve.all()] == [0, 1]


async def test_overflow_block_on_a_loop_fails_at_once_beyond_the_bound(runtime, key):
    valve, holding = await held(key, mailbox_messages=10)
    outcomes_of = [_attempt(valve, n) for n in range(WAITING_MESSAGES + 1000)]
    key.touch()
    await holding
    results = await outcomes([reply for reply in outcomes_of if reply is not None])
    taken = [n for n, reply in enumerate(outcomes_of) if reply is not None and reply.error() is None]
    assert len(taken) == FIRST_MESSAGES - 1 + WAITING_MESSAGES  # the first message is the one that holds the actor
    assert set(results) == {None}
    assert await valve.all() == taken


async def test_plain_arguments_count_in_bytes_as_well(runtime, key):
    valve, holding = await held(key, mailbox_bytes=5_000, overflow="fail")
    replies = [valve.note(bytes([n]) * 1_000) for n in range(8)]
    assert await outcomes(replies[4:]) == [art.MailboxFullError] * 4
    key.touch()
    await holding
    assert [item[0] for item in await valve.all()] == [0, 1, 2, 3]


async def test_messages_that_wait_at_their_sender_are_bounded_in_bytes_too(runtime, key):
    valve, holding = await held(key, mailbox_bytes=1 << 20)
    item = b"x" * 60_000  # about the largest message that does not go through the store
    replies = []
    with pytest.raises(art.MailboxFullError) as caught:  # noqa: PT012
        while True:
            replies.append(valve.weigh(item))
    assert caught.value.executed == "no"
    assert WAITING_BYTES < len(replies) * len(item) < WAITING_BYTES + 3 * (1 << 20)
    key.touch()
    await holding
    assert await art.gather(*replies) == [len(item)] * len(replies)


async def test_group_call_that_is_refused_for_one_member_reaches_the_other_members(runtime, key):
    full, holding_full = await held(key, mailbox_messages=10)
    other, holding_other = await held(key)
    waiting = [full.note(0) for _ in range(WAITING_MESSAGES + FIRST_MESSAGES - 1)]
    replies = [art.ActorGroup([full, other]).weigh(bytes(1_000_000)).replies for _ in range(2)]
    assert [type(refused.error()) for refused, _ in replies] == [art.MailboxFullError] * 2
    for _ in range(3):
        art.store_stats()  # reports the released objects to the store
    key.touch()
    assert await art.gather(*[sent for _, sent in replies]) == [1_000_000] * 2
    await art.gather(*waiting, holding_full, holding_other)


async def test_flood_of_tells_is_bounded_and_the_actor_still_serves(runtime):
    recorder = await Recorder.options(mailbox_messages=100).spawn()
    for n in range(5_000):
        try:
            await recorder.note.tell(n)
        except art.MailboxFullError:
            await asyncio.sleep(0)
    items = await recorder.all()
    assert items == sorted(items)
    assert len(items) >= 100


async def test_control_messages_bypass_a_full_mailbox(runtime):
    gate = await Gate.options(mailbox_messages=2, shutdown_s=0.1).spawn()
    replies = [gate.wait() for _ in range(5)]
    assert await gate.is_alive()
    await gate.stop()
    assert set(await outcomes(replies)) <= {art.ActorDiedError, art.MailboxFullError}


async def test_cancels_and_deadlines_that_overtake_their_calls_use_up_no_credit(runtime):
    gate = await Gate.options(mailbox_messages=100, max_concurrency=10).spawn()
    for _ in range(10):
        replies = [gate.counts() for _ in range(50)]
        for reply in replies:
            reply.cancel()
        assert set(await outcomes(replies)) == {art.CallCancelledError}
    assert await gate.counts() == (0, 0)


async def test_calls_that_wait_for_room_end_with_their_actor(runtime, key):
    valve, holding = await held(key, mailbox_messages=10)
    replies = [reply for reply in (_attempt(valve, n) for n in range(200)) if reply is not None]
    await valve.kill()
    results = await art.gather(holding, *replies, return_exceptions=True)
    assert {type(error) for error in results} == {art.ActorDiedError}
    assert (results[0].executed, {error.executed for error in results[1:]}) == ("maybe", {"no"})


async def test_tells_that_wait_for_room_end_with_their_actor(runtime, key):
    valve, _holding = await held(key, mailbox_messages=10)
    tells = [valve.note.tell(n) for n in range(200)]
    await valve.kill()
    results = await art.gather(*tells, return_exceptions=True)
    assert {type(error) for error in results if error is not None} == {art.ActorDiedError}


async def test_mailbox_that_blocks_takes_the_first_messages_of_a_sender_beyond_its_bound(runtime, key):
    valve, holding = await held(key, mailbox_messages=2)
    replies = [valve.note(n) for n in range(FIRST_MESSAGES * 2)]
    key.touch()
    await holding
    assert await outcomes(replies) == [None] * FIRST_MESSAGES * 2
    assert await valve.all() == list(range(FIRST_MESSAGES * 2))


async def test_tell_waits_for_room_until_its_deadline(runtime, key):
    valve, holding = await held(key, mailbox_messages=10)
    tells = [valve.note.options(timeout_s=0.2).tell(n) for n in range(200)]
    results = await art.gather(*tells, return_exceptions=True)
    assert {(type(error), error.executed) for error in results if error is not None} == {(art.CallTimeoutError, "no")}
    with pytest.raises(art.CallTimeoutError):  # by then the deadlines of the tells in the mailbox have passed, too
        await valve.all.options(timeout_s=0.2)()
    key.touch()
    await holding
    assert await valve.all() == []


async def test_method_that_ignores_its_cancellation_affects_no_later_call(runtime, monkeypatch):
    monkeypatch.setattr(call_table, "DEADLINE_VERDICT_S", 2.0)  # a busy machine may be slower than the usual wait

    class Stubborn(art.Actor):
        async def wait(self):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "stayed"

        async def cancel_oneself(self):
            raise asyncio.CancelledError

    stubborn = await Stubborn.spawn()
    for _ in range(3):
        assert await stubborn.wait.options(timeout_s=0.3)() == "stayed"
        with pytest.raises(art.RemoteActorError, match="CancelledError"):
            await stubborn.cancel_oneself()


class Pond(art.Actor):
    """Has a child that handles no message until a file exists, and calls it from the same process."""

    async def make(self, key, **options):
        self.valve = await Valve.options(**options).spawn()
        self.holding = self.valve.hold(key)
        return self.valve

    def begin(self, count):
        self.replies = [self.valve.note("here") for _ in range(count)]

    async def end(self):
        await art.gather(self.holding, *self.replies)

    async def note(self):
        await self.valve.note("here")


async def test_caller_in_the_actors_process_is_admitted_after_another_process_has_filled_the_mailbox(runtime, key):
    pond = await Pond.spawn()
    valve = await pond.make(str(key), mailbox_messages=20)
    replies = [valve.note("far") for _ in range(300)]
    await pond.begin(100)
    key.touch()
    await pond.end()
    await art.gather(*replies)
    items = await valve.all()
    assert (items.count("here"), items.count("far")) == (100, 300)


async def test_caller_in_the_actors_process_gets_its_share_while_another_process_keeps_the_mailbox_full(runtime):
    pond = await Pond.spawn()
    valve = await pond.make("/", mailbox_messages=20)
    is_over = False

    async def flood():
        while not is_over:
            await valve.note.tell("far")

    flooding = [asyncio.ensure_future(flood()) for _ in range(100)]  # they run beside the asks and end below
    for _ in range(20):
        await pond.note()
    is_over = True
    await asyncio.gather(*flooding)
    items = await valve.all()
    assert items.count("here") == 20
    assert items.count("far") > 20


class Source(art.Actor):
    """Sends messages to a sink."""

    def __init__(self, sink):
        self.sink = sink

    async def feed(self, count):
        for n in range(count):
            await self.sink.note.tell(n)
        await self.sink.all()


async def test_light_senders_inside_and_outside_the_process_of_the_receiver_are_all_admitted(runtime):
    sink = await Valve.options(mailbox_messages=20).spawn()
    sources = [await Source.spawn(sink) for _ in range(4)]
    await art.gather(*[source.feed(250) for source in sources])
    items = await sink.all()
    assert sorted(items) == sorted([*range(250)] * 4)


async def test_check_of_a_cell_whose_counts_differ_from_its_mailbox_shows_its_last_changes():
    async with art.Runtime(mode="local"):
        valve = await Valve.options(name="valve").spawn()
        await valve.note(1)
        [cell] = [cell for cell in hosted_cells() if cell.label == "valve"]
        check_cell(cell)
        cell.mailbox._queued_bytes += 7
        with pytest.raises(AssertionError, match=r"valve: queued_bytes is 7, and should be 0; \{.*'handled': 1"):
            check_cell(cell)
        cell.mailbox._queued_bytes -= 7
