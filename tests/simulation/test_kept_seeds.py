"""Seeds that have found a defect find nothing any more."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.kept import Case, keep, read_cases
from tests.simulation.seeds import outcome_of

CASES = read_cases()


@pytest.fixture(autouse=True)
def nothing_is_logged() -> Iterator[None]:
    """Log nothing: records keep errors, whose tracebacks keep the memory of processes that are long dead."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", CASES)
def test_seed_that_has_found_a_defect_finds_none(name: str) -> None:
    case = CASES[name]
    outcome = outcome_of(case.seed, case.hosts, case.only)
    numbers = ",".join(map(str, case.only)) or "0"
    repeat = f"scripts/simulate --seed {case.seed} --hosts {case.hosts} --only {numbers} --trace"
    assert not outcome.error, f"{name}: {outcome.error}\nit has found before: {case.found}\nsee {repeat}"


def test_case_is_kept_under_its_name(tmp_path: Path) -> None:
    file, one, two = tmp_path / "kept.json", Case(7, 1, [1, 4], "it was late"), Case(9, 3, [], "it was lost")
    file.write_text("{}")
    keep("late", one, file)
    keep("lost", two, file)
    keep("late", one._replace(only=[4]), file)
    assert read_cases(file) == {"late": Case(7, 1, [4], "it was late"), "lost": two}
    with pytest.raises(ValueError, match="'late' is the name of seed 7"):
        keep("late", two, file)
