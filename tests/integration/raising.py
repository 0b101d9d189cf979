"""An environment that raises in the first incarnation of every simulator. Workers can import this module."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

_made_count = 0


class RaisesOnce(CartPoleEnv):
    """Raises at the third step of the first environment that a process makes."""

    def __init__(self, **options: Any) -> None:
        global _made_count
        super().__init__(**options)
        _made_count += 1
        self._is_first = _made_count == 1
        self._step_count = 0

    def step(self, action: Any) -> Any:
        self._step_count += 1
        if self._is_first and self._step_count == 3:
            raise ArithmeticError("this environment broke")
        return super().step(action)


gymnasium.register("RaisesOnce-v0", entry_point=RaisesOnce)
