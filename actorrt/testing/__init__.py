"""The public test kit, for tests of actors. It may use every layer, and no layer uses it."""

from actorrt.testing.virtual.stuck import Stuck
from actorrt.testing.world.faults import Faults
from actorrt.testing.world.findings import BrokenPromiseError
from actorrt.testing.world.world import World

__all__ = ["BrokenPromiseError", "Faults", "Stuck", "World"]
