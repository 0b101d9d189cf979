"""Pure: the settings that algorithms with a policy and an estimate of its value have in common."""

from __future__ import annotations

from dataclasses import dataclass

from actorrt.rl.settings.algorithm_settings import RolloutSettings


@dataclass(frozen=True, kw_only=True)
class ActorCriticSettings(RolloutSettings):
    """Settings of the algorithms that improve a policy by estimates of its value.

    Attributes:
        value_hidden: units of the hidden layers of the network that estimates values; None means as many as `hidden`.
        value_coefficient: weight of the value loss.
        entropy_coefficient: weight of the entropy bonus.
    """

    value_hidden: tuple[int, ...] | None = None
    value_coefficient: float = 0.5
    entropy_coefficient: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least_0("value_coefficient", "entropy_coefficient")
        if self.value_hidden is not None:
            self._require_layers("value_hidden")
        self._require_hidden("value_hidden")
