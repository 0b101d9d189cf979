"""Medians, spread, ratios and targets of samples; outcomes as JSON and as a table."""

from __future__ import annotations

import json

import pytest

from actorrt.bench.measuring.measurement import (
    Effort,
    Row,
    RowOutcome,
    Samples,
    Summary,
    Target,
    pool,
    summarise,
    to_data,
)
from actorrt.bench.measuring.table import figure, render
from actorrt.bench.rows.catalogue import ROWS, find_row


def row(target: Target | None = None, reference: str = "") -> Row:
    return Row("ask", "ask, p50", "us", lambda _: Samples([1.0]), Effort(2), Effort(1), target, reference)


def test_summary_of_one_value_is_that_value() -> None:
    assert summarise([7.0]) == Summary(7.0, 7.0, 7.0, 7.0, 1)


def test_summary_takes_nearest_ranks_of_unordered_values() -> None:
    values = [float(value) for value in (10, 0, 1, 9, 2, 8, 3, 7, 4, 6, 5)]
    assert summarise(values) == Summary(5.0, 1.0, 9.0, 10.0, 11)


def test_ratio_is_that_of_medians_and_none_without_references() -> None:
    assert Samples([2.0, 3.0, 100.0], [1.0, 2.0, 2.0]).ratio == 1.5
    assert Samples([2.0]).ratio is None


def test_pool_holds_the_samples_of_all_processes_in_order() -> None:
    parts = [Samples([1.0], [2.0], ["seeds 1"]), Samples([3.0], [4.0], ["seeds 2"])]
    assert pool(parts) == Samples([1.0, 3.0], [2.0, 4.0], ["seeds 1", "seeds 2"])


@pytest.mark.parametrize(
    ("target", "is_met"),
    [
        (Target(6.0), True),
        (Target(5.9), False),
        (Target(6.0, is_least=True), True),
        (Target(6.1, is_least=True), False),
        (Target(1.5, is_ratio=True), True),
        (Target(1.4, is_ratio=True), False),
        (Target(1.6, is_least=True, is_ratio=True), False),
    ],
)
def test_target_bounds_the_median_or_the_ratio(target: Target, is_met: bool) -> None:
    assert target.is_met(Samples([6.0], [4.0])) is is_met


def test_names_of_rows_are_unique() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


def test_ratio_targets_belong_to_rows_with_a_reference() -> None:
    assert [row.name for row in ROWS if row.target and row.target.is_ratio and not row.reference] == []


def test_unknown_row_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"^there is no row 'put-10'; did you mean put-10mib\?$"):
        find_row("put-10")


def test_measured_outcome_is_written_with_samples_ratio_and_verdict() -> None:
    outcome = RowOutcome(row(Target(1.3, is_ratio=True), "floor"), Samples([2.0, 4.0], [2.0, 2.0], ["seeds 1"]))
    assert json.loads(json.dumps(to_data(outcome))) == {
        "name": "ask",
        "title": "ask, p50",
        "unit": "us",
        "status": "measured",
        "median": 3.0,
        "p10": 2.0,
        "p90": 4.0,
        "p99": 4.0,
        "count": 2,
        "samples": [2.0, 4.0],
        "notes": ["seeds 1"],
        "reference": "floor",
        "references": [2.0, 2.0],
        "ratio": 1.5,
        "target": {"bound": 1.3, "is_least": False, "is_ratio": True},
        "is_met": False,
    }


@pytest.mark.parametrize(("is_skipped", "status"), [(True, "skipped"), (False, "failed")])
def test_outcome_without_samples_is_written_with_its_reason(is_skipped: bool, status: str) -> None:
    data = to_data(RowOutcome(row(), failure="needs torch", is_skipped=is_skipped))
    assert data == {"name": "ask", "title": "ask, p50", "unit": "us", "status": status, "reason": "needs torch"}


def test_table_shows_ratio_target_and_verdict_in_aligned_columns_and_reasons_below() -> None:
    met = RowOutcome(row(Target(1.3, is_ratio=True), "floor"), Samples([2.0], [2.0]))
    failed = RowOutcome(row(), failure="ended with 1: boom")
    assert render([met, failed]).splitlines() == [
        "row  what      median  p10 .. p90  p99  n  ratio         target",
        "-" * len("ask  ask, p50  2 us    2 .. 2      2    1  1.00 x floor  at most 1.3 x  met"),
        "ask  ask, p50  2 us    2 .. 2      2    1  1.00 x floor  at most 1.3 x  met",
        "ask  ask, p50  FAILED",
        "ask: ended with 1: boom",
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(123456.7, "123,457"), (99.96, "100"), (12.34, "12.3"), (0.4914, "0.491"), (0.0, "0")]
)
def test_figures_have_three_digits_that_say_something(value: float, text: str) -> None:
    assert figure(value) == text
