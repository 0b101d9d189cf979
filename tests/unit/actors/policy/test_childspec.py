"""What `Supervision` is told: which combinations are refused."""

from __future__ import annotations

import pytest

from actorrt.actors.policy.childspec import ChildSpec, Strategy, check_quorum


def test_significant_permanent_child_is_refused() -> None:
    with pytest.raises(ValueError, match="child 'a' is significant and permanent, so it never ends by itself"):
        ChildSpec("a", significant=True)


@pytest.mark.parametrize("strategy", [s for s in Strategy if s is not Strategy.QUORUM])
def test_quorum_goes_with_its_strategy_only(strategy: Strategy) -> None:
    check_quorum(strategy, None)
    with pytest.raises(ValueError, match=f"quorum=2 with strategy='{strategy.value}'"):
        check_quorum(strategy, 2)


def test_quorum_strategy_needs_a_quorum_of_one_or_more() -> None:
    check_quorum(Strategy.QUORUM, 1)
    with pytest.raises(ValueError, match="strategy='quorum' without a quorum: give quorum="):
        check_quorum(Strategy.QUORUM, None)
    with pytest.raises(ValueError, match=r"option quorum=0: give a whole number of at least 1"):
        check_quorum(Strategy.QUORUM, 0)
    with pytest.raises(TypeError, match=r"option quorum=1\.5: give a whole number of at least 1"):
        check_quorum(Strategy.QUORUM, 1.5)  # type: ignore[arg-type]
