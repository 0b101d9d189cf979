"""A Gymnasium wrapper that adds the mask of allowed actions to observations. Importing this imports Gymnasium."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from actorrt.rl.environments import environment_checks
from actorrt.rl.spaces.gymnasium_spaces import from_gymnasium
from actorrt.rl.spaces.leaves import output_count
from actorrt.rl.spaces.spaces import MASK_KEY, flat_mask


class ActionMask(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Returns observations of the form `{"observation": ..., "action_mask": ...}`.

    The mask is the one in the wrapped environment's `info`. At the end of an episode the mask may be missing, since no
    action follows.

    Raises:
        KeyError: (at a reset or a step) there is no mask in `info`.
    """

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self._anything = np.ones(output_count(from_gymnasium(env.action_space)), np.int8)
        mask = spaces.MultiBinary(len(self._anything))
        self.observation_space = spaces.Dict({"observation": env.observation_space, MASK_KEY: mask})

    def reset(self, **options: Any) -> Any:
        """Begin an episode."""
        obs, info = environment_checks.reset_of(self.env, self.env.reset(**options))
        return self._shown(obs, info), info

    def step(self, action: Any) -> Any:
        """Take a step."""
        obs, reward, terminated, truncated, info = environment_checks.step_of(self.env, self.env.step(action))
        if (terminated or truncated) and MASK_KEY not in info:
            return {"observation": obs, MASK_KEY: self._anything}, reward, terminated, truncated, info
        return self._shown(obs, info), reward, terminated, truncated, info

    def _shown(self, obs: Any, info: dict[str, Any]) -> dict[str, Any]:
        if MASK_KEY not in info:
            raise KeyError(f"{self.env} gives no {MASK_KEY!r} in its info; leave out rl.MaskedByInfo")
        return {"observation": obs, MASK_KEY: flat_mask(info[MASK_KEY]).astype(np.int8)}
