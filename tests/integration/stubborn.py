"""Environments that are slow, or hang once: `tests.integration.stubborn:HangsOnce-v0` and `:OneIsSlow-v0`."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

HANGS, SLOW = "HANGS_ONCE_MARK", "ONE_IS_SLOW_MARK"  # variables that name a file and a folder of the test's own
STEP_S = 0.001
OVER = "over"  # once there is a file of this name in the folder, nothing is slow any more


def is_first(mark: Path) -> bool:
    """Whether nobody has been here before; from now on, somebody has."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


class HangsOnce(CartPoleEnv):
    """The third reset of the first of all never returns."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._reset_count = 0

    def reset(self, **options: Any) -> Any:
        self._reset_count += 1
        if self._reset_count == 3 and is_first(Path(os.environ[HANGS])):
            threading.Event().wait()
        return super().reset(**options)


class OneIsSlow(CartPoleEnv):
    """Every step takes a millisecond; those of the first process to make one take ten."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._folder = folder = Path(os.environ[SLOW])
        is_slow = is_first(folder / "taken") and is_first(folder / str(os.getpid()))
        self._step_s = 10.0 * STEP_S if is_slow or (folder / str(os.getpid())).exists() else STEP_S

    def step(self, action: Any) -> Any:
        if not (self._folder / OVER).exists():
            time.sleep(self._step_s)  # the slowness itself
        return super().step(action)


gymnasium.register("HangsOnce-v0", entry_point=HangsOnce, max_episode_steps=500)
gymnasium.register("OneIsSlow-v0", entry_point=OneIsSlow, max_episode_steps=500)
