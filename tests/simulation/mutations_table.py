"""All mutations, and the stories that find them.

`mutation_seeds.json` says which story finds which mutation. `scripts/mutate --search --write` writes it. `null` means
that no seed that was tried finds the mutation; `mutations_uncaught.py` says why.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, NamedTuple

from tests.simulation.mutations import Mutation
from tests.simulation.mutations_of_calls import CALLS
from tests.simulation.mutations_of_links import LINKS
from tests.simulation.mutations_of_lives import LIVES
from tests.simulation.mutations_of_repairs import REPAIRS

MUTATIONS: Final[tuple[Mutation, ...]] = (*CALLS, *LIVES, *LINKS, *REPAIRS)
SEEDS_FILE: Final = Path(__file__).with_name("mutation_seeds.json")


class Story(NamedTuple):
    """A standard story that finds a mutation: its seed, and its length in virtual seconds."""

    seed: int
    length_s: float


def read_stories() -> dict[str, Story | None]:
    """Return the story that finds each mutation, by the mutation's name; None: none that was tried does."""
    found = json.loads(SEEDS_FILE.read_text()) if SEEDS_FILE.exists() else {}
    return {name: None if story is None else Story(**story) for name, story in found.items()}


def write_stories(stories: dict[str, Story | None]) -> None:
    """Keep the stories of the mutations that there are."""
    names = [mutation.name for mutation in MUTATIONS if mutation.name in stories]
    kept = {name: None if (story := stories[name]) is None else story._asdict() for name in names}
    SEEDS_FILE.write_text(json.dumps(kept, indent=2) + "\n")
