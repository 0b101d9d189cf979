"""The example of the page on simulation: a lost update that a seed finds, and that is gone with its cause."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"


@pytest.fixture(scope="module")
def example() -> Any:
    """Run the code of the page as a module."""
    section = PAGE.read_text().partition("## A lost update, found")[2]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert code is not None
    module = ModuleType("lost_update")
    exec(compile(code[1], str(PAGE), "exec"), module.__dict__)
    return module


def test_a_seed_finds_the_lost_update_and_finds_it_again(example: Any) -> None:
    with pytest.raises(AssertionError, match=r"seed \d+: of 10 deposits \d are there") as first:
        example.test_no_deposit_is_lost()
    with pytest.raises(AssertionError) as second:
        example.test_no_deposit_is_lost()
    assert str(first.value) == str(second.value)


def test_without_its_cause_nothing_is_lost(example: Any) -> None:
    example.test_no_deposit_is_lost(concurrency=1)
