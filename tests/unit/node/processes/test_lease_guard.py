"""The guard of a node's lease decides by the page alone; the page is written by the daemon and by nobody else."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from signal import SIGCONT, SIGKILL, SIGSTOP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorrt.node.processes import lease_page
from actorrt.node.processes.lease_guard import STOP_AGAIN_S, Guard
from actorrt.node.processes.lease_page import LeasePage, LeaseReader


@pytest.fixture
def page() -> Iterator[LeasePage]:
    page = LeasePage(kill_after_s=120.0)
    yield page
    page.close()
    page.close()


def test_guard_continues_first_stops_again_and_again_and_kills_at_last() -> None:
    guard = Guard(kill_after_s=10.0)
    assert [guard.look(5.0, now) for now in (0.0, 1.0, 4.999)] == [SIGCONT, None, None]
    assert guard.look(5.0, 5.0) is SIGSTOP
    assert guard.look(5.0, 5.0 + STOP_AGAIN_S / 2) is None
    assert guard.look(5.0, 5.0 + STOP_AGAIN_S) is SIGSTOP
    assert guard.look(20.0, 6.0) is SIGCONT
    assert guard.look(20.0, 6.1) is None
    assert guard.look(20.0, 20.0) is SIGSTOP
    assert guard.look(20.0, 29.99) is SIGSTOP
    assert guard.look(20.0, 30.5) is SIGKILL


def test_guard_that_finds_no_lease_at_first_stops_the_workers() -> None:
    assert Guard(kill_after_s=10.0).look(5.0, 7.0) is SIGSTOP


def test_guard_whose_signals_failed_sends_them_again() -> None:
    guard = Guard(kill_after_s=10.0)
    for until, expected in ((5.0, SIGCONT), (0.0, SIGSTOP)):
        assert guard.look(until, 1.0) is expected
        guard.failed()
        assert guard.look(until, 1.0) is expected


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans()), max_size=60))
def test_last_signal_says_whether_there_is_a_lease(looks: list[tuple[float, bool]]) -> None:
    guard, now, last = Guard(kill_after_s=5.0), 0.0, None
    without_since: float | None = None
    for passed, has_lease in looks:
        now += passed
        last = guard.look(now + 1.0 if has_lease else now, now) or last
        without_since = None if has_lease else now if without_since is None else without_since
        if has_lease:
            assert last is SIGCONT
        else:
            assert without_since is not None
            assert last in (SIGSTOP, SIGKILL)
            assert last is not SIGKILL or now - without_since >= 5.0


def test_readers_see_the_lease_and_can_not_write_it(page: LeasePage, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = LeaseReader(os.dup(page.fd))
    assert reader.kill_after_s() == 120.0
    assert reader.until_s() > 1e9  # there is no lease to lose before the node has joined
    page.set_until(12.5)
    assert reader.until_s() == 12.5
    for ended in (-1.0, float("-inf")):
        page.set_until(ended)
        assert reader.until_s() == 0.0
    with pytest.raises(PermissionError):
        mmap.mmap(page.fd, mmap.PAGESIZE)
    page.set_until(7.0)
    times = iter([8.0, 7.0, 6.9])
    monkeypatch.setattr(lease_page, "boot_time_s", lambda: next(times))
    reader.wait(0.001)
    assert list(times) == []
