"""Pure: the strategy of a supervisor, and the specification of each child. `supervision` decides by these."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from actorrt.actors.policy import checks
from actorrt.actors.policy.backoff import DEFAULT_BACKOFF, Backoff
from actorrt.actors.policy.options import RestartType


class Strategy(StrEnum):
    """Which children are restarted when one of them fails."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"
    QUORUM = "quorum"  # as one_for_one, but escalates when fewer than a quorum run, not by intensity


class AutoShutdown(StrEnum):
    """Which ends of significant children end their supervisor."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


def check_quorum(strategy: Strategy, quorum: int | None) -> None:
    """Refuse a quorum that does not go with the strategy.

    Raises:
        ValueError: a quorum without the strategy, the strategy without a quorum, or one below 1.
        TypeError: a quorum that is no integer.
    """
    if quorum is None:
        if strategy is Strategy.QUORUM:
            raise ValueError("strategy='quorum' without a quorum: give quorum=, the least number of children to run")
        return
    if strategy is not Strategy.QUORUM:
        raise ValueError(f"quorum={quorum} with strategy={strategy.value!r}: it goes with strategy='quorum' only")
    checks.count(1)("quorum", quorum)


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """The specification of one child, as far as decisions depend on it.

    Raises:
        ValueError: a significant child that is permanent: it would never end by itself.
    """

    id: str
    restart: RestartType = RestartType.PERMANENT
    backoff: Backoff = DEFAULT_BACKOFF
    significant: bool = False

    def __post_init__(self) -> None:
        if self.significant and self.restart is RestartType.PERMANENT:
            raise ValueError(
                f"child {self.id!r} is significant and permanent, so it never ends by itself; "
                "give restart='transient' or 'temporary'"
            )
