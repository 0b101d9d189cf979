"""Seeds that have found a defect of the runtime, each with few faults that are enough, by name.

`scripts/simulate --seed N --keep NAME` adds one to `kept_seeds.json`; `test_kept_seeds.py` runs all. A case tells the
same story as long as runtime and story draw the same chance. After that it is a seed as any other, so a defect that
must not come back gets a test of its own, too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

FILE: Final = Path(__file__).with_name("kept_seeds.json")


class Case(NamedTuple):
    """A seed that has failed.

    Attributes:
        seed, hosts: the seed, and the number of hosts in its story.
        only: the numbers of the faults that are enough.
        found: what it found.
    """

    seed: int
    hosts: int
    only: Sequence[int]
    found: str


def read_cases(file: Path = FILE) -> dict[str, Case]:
    """Return the cases by name."""
    return {name: Case(**case) for name, case in json.loads(file.read_text()).items()}


def keep(name: str, case: Case, file: Path = FILE) -> None:
    """Add a case.

    Raises:
        ValueError: another case has the name.
    """
    cases = read_cases(file)
    if cases.get(name, case).seed != case.seed:
        raise ValueError(f"{name!r} is the name of seed {cases[name].seed}: choose another, or take that case out")
    kept = {known: known_case._asdict() for known, known_case in {**cases, name: case}.items()}
    file.write_text(json.dumps(kept, indent=2) + "\n")
