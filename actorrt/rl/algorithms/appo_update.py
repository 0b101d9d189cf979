"""One update of asynchronous proximal policy optimisation: PPO's update on transitions that V-trace has corrected.

Settings are in `appo`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorrt.rl.algorithms.ppo_update import PPOUpdate
from actorrt.rl.rollouts.trajectory import Fragment
from actorrt.rl.rollouts.transitions import Transitions, corrected_transitions

if TYPE_CHECKING:
    from actorrt.rl.algorithms.appo import APPOSettings


class APPOUpdate(PPOUpdate):
    """Holds the network and its optimiser, and improves them one batch at a time."""

    settings: APPOSettings

    def rows(self, fragments: tuple[Fragment, ...]) -> Transitions:
        """Compute V-trace advantages and value targets, under the policy as it is before the first epoch."""
        settings = self.settings
        rows, _ = corrected_transitions(
            self.network, fragments, gamma=settings.gamma, rho_limit=settings.rho_limit, c_limit=settings.c_limit
        )
        return rows
