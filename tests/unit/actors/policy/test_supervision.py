"""What decisions about children refuse, and what they tell of them."""

from __future__ import annotations

import pytest

from actorrt.actors.policy.instructions import (
    ChildState,
)
from tests.unit.actors.policy.supervising import (
    CRASHED,
    running,
    specs,
)


def test_event_of_an_unknown_child_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no child 'x'; there are: a, b"):
        running(specs("ab")).child_exited("x", CRASHED, 1.0)


def test_second_start_report_is_refused() -> None:
    with pytest.raises(ValueError, match="child 'a' is running, and the event needs it to be starting or stopping"):
        running(specs("a")).child_started("a", 1.0)


def test_children_tell_their_state_restarts_and_last_reason() -> None:
    supervision = running(specs("ab"))
    supervision.child_exited("b", CRASHED, 1.0)
    a, b = supervision.children()
    assert (a.id, a.state, a.restart_count, a.last_reason) == ("a", ChildState.RUNNING, 0, None)
    assert (b.id, b.state, b.restart_count, b.last_reason) == ("b", ChildState.STARTING, 1, CRASHED)
