"""All acts of the standard story, and the few of them that one story has."""

from __future__ import annotations

import random
from typing import Final

from tests.simulation.acts import CALLS, Act
from tests.simulation.acts_of_cuts import CUTS
from tests.simulation.acts_of_lives import LIVES
from tests.simulation.acts_of_objects import OBJECTS
from tests.simulation.acts_of_supervisors import SUPERVISORS

ACTS: Final = (*CALLS, *OBJECTS, *LIVES, *SUPERVISORS, *CUTS)


def some_acts() -> list[Act]:
    """Return the acts of one story: all, or a few, which happen often then.

    Defects that need two rare events are found sooner by stories that differ in what happens at all (Groce et al.,
    "Swarm Testing", ISSTA 2012).
    """
    return random.sample(ACTS, random.choice((4, 8, len(ACTS))))
