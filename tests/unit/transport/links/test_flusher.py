"""Links are flushed at the end of the tick or of the drain."""

from __future__ import annotations

from actorrt.transport.links.flusher import Flusher
from tests.fake_loop import FakeLoop


class FakeLink:
    """Counts its flushes; adds itself to the flusher again in the first `again_count` flushes."""

    def __init__(self, flusher: Flusher, again_count: int = 0) -> None:
        self._flusher = flusher
        self._again_count = again_count
        self.flush_count = 0

    def flush_now(self) -> None:
        self.flush_count += 1
        if self._again_count:
            self._again_count -= 1
            self._flusher.add(self)


def test_links_of_one_tick_are_flushed_once_at_its_end() -> None:
    loop = FakeLoop()
    flusher = Flusher(loop)
    links = [FakeLink(flusher), FakeLink(flusher)]
    for link in links:
        flusher.add(link)
    assert [link.flush_count for link in links] == [0, 0]
    assert loop.tick() == 1
    assert [link.flush_count for link in links] == [1, 1]
    assert loop.tick() == 0


def test_links_of_a_drain_are_flushed_at_its_end_and_need_no_tick() -> None:
    loop = FakeLoop()
    flusher = Flusher(loop)
    link = FakeLink(flusher)
    flusher.is_draining = True
    flusher.add(link)
    assert loop.tick() == 0
    flusher.is_draining = False
    flusher.flush()
    assert link.flush_count == 1
    assert loop.tick() == 0


def test_link_that_was_flushed_by_a_drain_is_not_flushed_again_at_the_end_of_the_tick() -> None:
    loop = FakeLoop()
    flusher = Flusher(loop)
    link = FakeLink(flusher)
    flusher.add(link)
    flusher.flush()
    loop.tick()
    assert link.flush_count == 1


def test_link_that_is_added_while_it_is_flushed_has_its_turn_in_the_next_tick() -> None:
    loop = FakeLoop()
    flusher = Flusher(loop)
    link = FakeLink(flusher, again_count=1)
    flusher.add(link)
    loop.tick()
    assert link.flush_count == 1
    loop.tick()
    assert link.flush_count == 2
    assert loop.tick() == 0
