"""A node in virtual time costs so little that many seeds can be run."""

from __future__ import annotations

from tests.simulation.speed import quiet_speed

LEAST_SPEED = 200.0
"""How many virtual seconds of a quiet node pass in a second of processor time, at least."""


def test_a_quiet_node_of_30_actors_is_200_times_as_fast_as_real_time() -> None:
    assert quiet_speed(seed=1, quiet_s=600.0) >= LEAST_SPEED
