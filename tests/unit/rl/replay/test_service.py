"""The replay service: requests that wait, in their order, over tables that share rows; and its states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorrt.rl.replay import service as module
from actorrt.rl.replay.limiters import MinSize, Queue, SampleToInsertRatio
from actorrt.rl.replay.selectors import Fifo, Lifo, Prioritised
from actorrt.rl.replay.service import ReplayService, Sample
from actorrt.rl.replay.table import Table

QUEUE = Table(name="q", max_size=3, sampler=Fifo(), remover=Fifo(), max_times_sampled=1, limiter=Queue(3))


def rows(*numbers: int) -> dict[str, np.ndarray]:
    return {"x": np.array(numbers), "y": np.array(numbers, np.float32)[:, None] * [1, 2]}


def taken(service: ReplayService, table: str, count: int = 1) -> Sample:
    """Return a sample that need not wait."""
    sample = service.sample(table, count).sample
    assert sample is not None
    return sample


def test_a_full_queue_holds_inserts_up_and_they_go_on_in_order() -> None:
    service = ReplayService([QUEUE])
    first, second = service.insert(rows(0, 1, 2, 3)), service.insert(rows(4))
    assert (first.is_done, second.is_done) == (False, False)
    assert service.info()["q"] | {"samples_per_insert": 0} == {
        "size": 3,
        "inserts": 3,
        "samples": 0,
        "deletions": 0,
        "samples_per_insert": 0,
        "never_sampled": 3,
        "waiting_samples": 0,
        "waiting_inserts": 2,
    }
    samples = [taken(service, "q") for _ in range(5)]
    assert [int(sample.columns["x"][0]) for sample in samples] == [0, 1, 2, 3, 4]
    assert first.keys.tolist() == [0, 1, 2, 3]
    assert second.is_done
    service.check_invariants()


def test_a_sample_waits_for_one_item_and_then_takes_what_it_may() -> None:
    service = ReplayService([QUEUE])
    early, later = service.sample("q", 2), service.sample("q", 2)
    assert not early.is_done
    service.insert(rows(7, 8, 9))
    assert early.sample.columns["x"].tolist() == [7, 8]
    assert early.sample.has_waited
    assert later.sample.columns["y"].tolist() == [[9.0, 18.0]]  # a short batch: it does not wait again


def test_a_request_that_is_withdrawn_takes_nothing_and_others_go_on() -> None:
    service = ReplayService([QUEUE])
    gone, other = service.sample("q", 1), service.sample("q", 1)
    service.withdraw(gone)
    service.insert(rows(5))
    assert not gone.is_done
    assert other.sample.columns["x"].tolist() == [5]


def test_an_insertion_that_is_withdrawn_keeps_the_rows_that_are_in_the_tables() -> None:
    service = ReplayService([QUEUE])
    service.withdraw(service.insert(rows(0, 1, 2, 3, 4)))
    later = service.insert(rows(9))
    assert [taken(service, "q").columns["x"][0] for _ in range(4)] == [0, 1, 2, 9]
    assert later.is_done


def test_tables_share_rows_which_go_with_the_last_item() -> None:
    tables = [Table(name="old", max_size=2), Table(name="new", max_size=2, remover=Lifo())]
    service = ReplayService(tables)
    keys = service.insert(rows(*range(6))).keys
    service.check_invariants()
    assert {*taken(service, "old", 50).columns["x"].tolist()} == {4, 5}
    assert {*taken(service, "new", 50).columns["x"].tolist()} <= {0, 1, 5}
    service.delete("old", keys)
    service.delete("new", keys)
    service.check_invariants()
    assert [service.info()[name]["size"] for name in ("old", "new")] == [0, 0]


def test_priorities_are_given_for_each_table() -> None:
    tables = [Table(name="a", max_size=9, sampler=Prioritised(1.0)), Table(name="b", max_size=9)]
    service = ReplayService(tables)
    keys = service.insert(rows(0, 1), {"a": [0.0, 2.0]}).keys
    assert {*taken(service, "a", 50).columns["x"].tolist()} == {1}
    assert service.info()["b"]["size"] == 0
    service.update("a", keys, np.array([3.0, 0.0]))
    sample = taken(service, "a", 50)
    assert {*sample.columns["x"].tolist()} == {0}
    assert {*sample.priorities.tolist()} == {3.0}


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda s: s.sample("z", 1), "there is no table 'z'; there are q"),
        (lambda s: s.sample("q", 0), "count"),
        (lambda s: s.insert({"x": np.arange(2), "y": np.arange(3)}), "one length"),
        (lambda s: s.insert({"x": np.arange(2)}), "rows have the columns"),
        (lambda s: s.insert(rows(1), {"z": 1.0}), "there is no table 'z'"),
        (lambda s: s.insert(rows(1), {}), "rows without a table"),
        (lambda s: s.insert(rows(1), {"q": -1.0}), "priorities are finite"),
        (lambda s: s.resume({"tables": {"z": {}}}), "the state is of tables"),
    ],
)
def test_bad_requests_name_what_is_wrong_and_change_nothing(act, text) -> None:
    service = ReplayService([QUEUE])
    service.insert(rows(1))
    before = service.info()
    with pytest.raises(ValueError, match=text):
        act(service)
    assert service.info() == before


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ReplayService([]), "at least one table"),
        (lambda: ReplayService([QUEUE, QUEUE]), "different names"),
        (lambda: Table(name="t", max_size=5, limiter=MinSize(6)), "waits for 6 items, and max_size=5"),
    ],
)
def test_services_that_can_not_work_are_refused(make, text) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_requests_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_LIMIT", 3)
    service = ReplayService([QUEUE])
    for _ in range(3):
        service.sample("q", 1)
    with pytest.raises(ValueError, match="3 requests wait for a limiter already"):
        service.sample("q", 1)


@given(st.lists(st.one_of(st.integers(1, 6), st.integers(-6, -1)), max_size=60), st.integers(0, 3))
def test_a_state_in_the_middle_continues_as_the_uninterrupted_service(turns: list[int], seed: int) -> None:
    tables = [
        Table(name="a", max_size=8, sampler=Prioritised(0.6), limiter=SampleToInsertRatio(2.0, 2, 8.0)),
        Table(name="b", max_size=5, sampler=Fifo(), max_times_sampled=2),
    ]
    one, number = ReplayService(tables, seed), 0
    other = ReplayService(tables, seed)
    for place, turn in enumerate(turns):
        if place == len(turns) // 2:
            other = ReplayService(tables, seed + 1)
            other.resume(one.state())
        for service in (one, other):
            if turn > 0:
                numbers = range(number, number + turn)
                done = service.insert(rows(*numbers), {"a": [float(n % 3) for n in numbers], "b": 1.0})
                if not done.is_done:
                    service.withdraw(done)  # a state has no requests that wait
            else:
                samples = [service.sample(name, -turn) for name in ("a", "b")]
                for sample in samples:
                    if not sample.is_done:
                        service.withdraw(sample)
        number += max(0, turn)
        assert one.info() == other.info()
        one.check_invariants()
        other.check_invariants()
    if one.info()["b"]["size"] and turns:
        values = [taken(service, "b").columns["x"].tolist() for service in (one, other)]
        assert values[0] == values[1]
