"""Whole nodes in virtual time: the world, the faults in it, and what must be true of it."""
