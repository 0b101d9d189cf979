"""An object arrives whole and once, even if messages are lost, and never more than the window is in flight."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actorrt.ids import PeerId
from actorrt.node.objects.fanout import WIDTH, Fanout
from actorrt.node.objects.pulls import CHUNK_BYTES, WINDOW_BYTES, Pull, chunks


@given(
    length_bytes=st.integers(0, 40 * CHUNK_BYTES),
    steps=st.lists(st.tuples(st.sampled_from(["arrive", "wrong", "lost", "repeat"]), st.integers(0, 50)), max_size=120),
)
def test_every_chunk_is_taken_once_under_any_events(length_bytes: int, steps: list[tuple[str, int]]) -> None:
    pull = Pull(length_bytes)
    whole = dict(chunks(length_bytes))
    assert sum(whole.values()) == length_bytes
    on_the_way: list[tuple[int, int]] = []
    stale: list[tuple[int, int]] = []
    taken: list[int] = []

    def ask() -> None:
        on_the_way.extend(pull.next_requests())
        assert pull.in_flight_bytes <= WINDOW_BYTES
        assert pull.in_flight_bytes == sum(length for _, length in on_the_way)

    def arrive(choice: int, *, is_right: bool) -> None:
        offset, length = on_the_way.pop(choice % len(on_the_way))
        assert pull.awaits(offset, length)
        pull.arrived(offset, is_right=is_right)
        assert not pull.awaits(offset, length)
        if is_right:
            taken.append(offset)
            assert pull.has(offset)

    ask()
    for step, choice in steps:
        if step == "lost":
            stale += on_the_way
            on_the_way.clear()
            pull.source_lost()
        elif step == "repeat" and stale and stale[choice % len(stale)][0] in taken:
            assert not pull.awaits(*stale[choice % len(stale)])  # the old source's answer to what came since
        elif step in ("arrive", "wrong") and on_the_way:
            arrive(choice, is_right=step == "arrive")
        ask()
    while on_the_way:
        arrive(0, is_right=True)
        ask()
    assert pull.is_complete
    assert sorted(taken) == sorted(whole)


def test_a_chunk_of_another_length_is_not_taken() -> None:
    pull = Pull(CHUNK_BYTES + 1)
    assert pull.next_requests() == [(0, CHUNK_BYTES), (CHUNK_BYTES, 1)]
    assert not pull.awaits(0, CHUNK_BYTES - 1)
    assert not pull.awaits(1, CHUNK_BYTES)
    assert pull.awaits(CHUNK_BYTES, 1)


ORIGIN = PeerId(b"origin")
READERS = [PeerId(bytes([number])) for number in range(12)]


@given(st.lists(st.tuples(st.sampled_from(["join", "finished", "lost"]), st.sampled_from(READERS)), max_size=80))
def test_the_readers_of_an_object_are_a_tree_of_bounded_width(steps: list[tuple[str, PeerId]]) -> None:
    fanout = Fanout(ORIGIN)
    reads_from: dict[PeerId, PeerId] = {}

    def come_back(lost: PeerId) -> None:
        for reader in [reader for reader, source in reads_from.items() if source == lost]:
            reads_from[reader] = fanout.join(reader)

    for step, peer in steps:
        if step == "join":
            reads_from.pop(peer, None)
            reads_from[peer] = fanout.join(peer)
        elif step == "finished":
            fanout.finished(peer)
            reads_from.pop(peer, None)
        else:
            fanout.lost(peer)
            reads_from.pop(peer, None)
            come_back(peer)
        sources = list(reads_from.values())
        assert all(sources.count(source) <= WIDTH for source in set(sources))
        for reader in reads_from:
            path = [reader]
            while path[-1] in reads_from:
                path.append(reads_from[path[-1]])
                assert path[-1] not in path[:-1], "nobody reads, directly or not, from itself"
        assert fanout.is_idle == (not reads_from)


def test_many_readers_are_served_by_few_each() -> None:
    fanout = Fanout(ORIGIN)
    assert [fanout.join(reader) for reader in READERS[:6]] == [ORIGIN, ORIGIN, *READERS[:1] * 2, *READERS[1:2] * 2]
    fanout.finished(READERS[0])
    assert fanout.join(READERS[6]) == ORIGIN
    fanout.lost(READERS[2])
    assert fanout.join(READERS[7]) == READERS[0]
