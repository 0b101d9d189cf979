"""Limiters: the rule, the usual ones, and those that could never let a table go on."""

from __future__ import annotations

import logging
import math

import pytest

from actorrt.rl.replay.limiters import Counts, Limiter, MinSize, Queue, SampleToInsertRatio, Stack


def test_min_size_sets_no_limit_beyond_the_first_items() -> None:
    limiter = MinSize(3)
    assert limiter.allowed_samples(Counts(2, 0, 0)) == 0
    assert limiter.allowed_samples(Counts(3, 1_000, 0)) == math.inf
    assert limiter.allowed_inserts(Counts(3, 0, 0)) == math.inf


def test_a_ratio_holds_up_inserts_and_samples_at_its_bounds() -> None:
    limiter = SampleToInsertRatio(2.0, 10, error_buffer=4.0)  # the difference is 16 to 24
    assert limiter.allowed_inserts(Counts(0, 0, 0)) == 12
    assert limiter.allowed_inserts(Counts(11, 0, 0)) == 1
    assert limiter.allowed_inserts(Counts(12, 0, 0)) == 0
    assert limiter.allowed_inserts(Counts(12, 2, 0)) == 1
    assert limiter.allowed_inserts(Counts(12, 0, 5)) == 3  # up to the smallest size, inserts are free
    assert limiter.allowed_samples(Counts(9, 0, 0)) == 0
    assert limiter.allowed_samples(Counts(10, 0, 0)) == 4
    assert limiter.allowed_samples(Counts(10, 4, 0)) == 0
    assert limiter.allowed_samples(Counts(11, 4, 0)) == 2


def test_after_deletions_below_the_smallest_size_inserts_are_free_and_samples_wait() -> None:
    limiter = SampleToInsertRatio(2.0, 10, error_buffer=4.0)
    counts = Counts(inserts=12, samples=0, deletions=3)
    assert limiter.allowed_inserts(counts) == 1
    assert limiter.allowed_samples(counts) == 0
    counts.inserts += 1
    assert limiter.allowed_samples(counts) > 0


def test_a_queue_holds_up_inserts_when_it_is_full_and_samples_when_it_is_empty() -> None:
    for limiter in (Queue(2), Stack(2)):
        assert [limiter.allowed_inserts(Counts(n, 0, 0)) for n in range(3)] == [2, 1, 0]
        assert limiter.allowed_samples(Counts(2, 0, 0)) == 2
        assert limiter.allowed_samples(Counts(2, 2, 2)) == 0


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: MinSize(0), "min_size"),
        (lambda: SampleToInsertRatio(0.0, 1, 4.0), "samples_per_insert"),
        (lambda: SampleToInsertRatio(4.0, 1, 3.9), "leaves inserts and samples no room"),
        (lambda: SampleToInsertRatio(1.0, 5, (6.0, 20.0)), "nothing could ever be taken"),
        (lambda: Limiter(samples_per_insert=1.0, min_size=1, lowest=2.0, highest=9.0), "could ever be taken"),
    ],
)
def test_limiters_that_can_not_go_on_are_refused(make, text) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_a_limiter_that_stops_inserts_before_anything_can_be_taken_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        SampleToInsertRatio(1.0, 10, (0.0, 5.0))
    assert "stops inserts before anything can be taken" in caplog.text
