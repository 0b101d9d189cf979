"""Statistics of every process: its queues, and its dead letters."""

from __future__ import annotations

import pytest

import actorrt as art
from actorrt.actors.endpoint import statistics
from tests.integration.cast import Counter, Recorder, Source
from tests.integration.witnesses import Notes, Subject, dead_letters
from tests.running import wait_for_answer

QUEUES = {
    "actors",
    "dead_letters",
    "early_cancels",
    "handed_over",
    "pending_calls",
    "poison",
    "requests",
    "routes",
    "runners",
    "store",
    "streams",
    "transits",
    "transport",
}


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path)


async def test_statistics_of_every_process_have_the_length_of_every_queue(runtime):
    await (await Counter.spawn()).add()
    everywhere = await runtime.statistics()
    assert "driver" in everywhere
    assert len(everywhere) > 1
    for here in everywhere.values():
        assert set(here) >= QUEUES


async def test_waiting_messages_are_counted_in_the_process_where_they_wait(runtime, notes):
    subject = await Subject.options(mailbox_messages=1).spawn(notes.folder)
    holding = subject.hold()
    await notes.wait_for("holding")
    waiting = [subject.record(n) for n in range(100)]
    while True:
        everywhere = await runtime.statistics()
        driver = everywhere["driver"]
        (actor,) = [actor for here in everywhere.values() for actor in here["actors"]]
        if actor["queued"] + driver["routes"]["waiting"] == 100:
            break
    assert driver["pending_calls"] == 101
    assert (actor["label"][:8], actor["state"], actor["running"]) == ("Subject-", "running", 1)
    assert driver["routes"]["waiting"] > 0
    notes.open()
    await art.gather(holding, *waiting)
    driver = (await runtime.statistics())["driver"]
    assert (driver["pending_calls"], driver["routes"]["waiting"]) == (0, 0)


async def test_streams_are_counted_on_both_sides(runtime):
    source = await Source.options(max_concurrency=2).spawn()
    items = aiter(source.numbers(100_000))
    await anext(items)
    everywhere = await runtime.statistics()
    assert everywhere["driver"]["streams"]["read"] == 1
    assert sum(here["streams"]["served"] for here in everywhere.values()) == 1
    await items.aclose()
    await wait_for_answer(
        runtime.statistics,
        lambda seen: not any(here["streams"]["served"] for here in seen.values()),
        "no stream is served any more",
    )


async def test_only_the_busiest_actors_are_listed_when_there_are_very_many(runtime, monkeypatch):
    monkeypatch.setattr(statistics, "LISTED_COUNT", 3)

    class Nest(art.Actor):
        async def fill(self, count):
            statistics.LISTED_COUNT = 3
            self.children = await art.gather(*[Counter.spawn() for _ in range(count)])
            await self.children[-1].add()

        async def leave(self):
            statistics.LISTED_COUNT = 1_000

    nest = await Nest.options(isolation="process").spawn()
    await nest.fill(10)
    (here,) = [here for here in (await runtime.statistics()).values() if here["actors_count"] == 11]
    assert len(here["actors"]) == 3
    assert {actor["handled"] for actor in here["actors"]} >= {1}
    await nest.leave()


async def test_tell_to_an_actor_that_has_ended_is_a_dead_letter_at_its_sender(runtime):
    recorder = await Recorder.spawn()
    await recorder.stop()
    with pytest.raises(art.ActorDiedError):
        await recorder.all()  # by then the sender knows of the end
    with pytest.raises(art.ActorDiedError):
        await recorder.note.tell(1)
    recorder.note.tell(2)
    letters = (await runtime.statistics())["driver"]["dead_letters"]
    assert [letter["method"] for letter in letters["last"]] == ["note", "note"]
    assert letters["count"] == 2
    assert "is gone" in letters["last"][0]["why"]


async def test_tell_to_a_process_that_the_actor_has_left_is_a_dead_letter_in_that_process(runtime):
    recorder = await Recorder.spawn()
    await recorder.stop()
    await recorder.note.tell(1)  # sent to the last place of the actor
    await wait_for_answer(lambda: dead_letters(runtime, "note"), lambda count: count == 1, "the tell is a dead letter")
    with pytest.raises(art.ActorDiedError):
        await recorder.all()


async def test_tell_that_is_cancelled_before_it_was_sent_is_no_dead_letter(runtime, notes):
    subject = await Subject.options(mailbox_messages=1).spawn(notes.folder)
    holding = subject.hold()
    await notes.wait_for("holding")
    tells = [subject.record.tell(n) for n in range(100)]
    assert not tells[-1].done()
    tells[-1].cancel()
    with pytest.raises(art.CallCancelledError):
        await tells[-1]
    notes.open()
    await holding
    await subject.record("end")
    assert await dead_letters(runtime, "record") == 0
    assert notes.read() == ["holding", "held", *map(str, range(99)), "end"]


def test_dead_letters_are_readable_in_plain_code_too(node_session):
    recorder = Recorder.spawn().result(10)
    recorder.stop().result(10)
    with pytest.raises(art.ActorDiedError):
        recorder.all().result(10)
    recorder.note.tell(1)
    letters = node_session.statistics().result(10)["driver"]["dead_letters"]
    assert (letters["count"], letters["last"][0]["method"]) == (1, "note")
