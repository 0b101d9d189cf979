"""Environments that hang once or are slow: `tests.integration.slow_environments:HangsOnce-v0` and `:OneIsSlow-v0`."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

HANGS, SLOW = "HANGS_ONCE_MARK", "ONE_IS_SLOW_MARK"  # variables that name a file and a folder of the test
DRIVER = "ONE_IS_SLOW_DRIVER"  # variable that names the process of the test, which is not slow: it only asks for spaces
STEP_S = 0.001
OVER = "over"  # while the folder has a file of this name, no step is slow


def is_first(mark: Path) -> bool:
    """Create the file `mark`, and return whether it did not exist before."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


class HangsOnce(CartPoleEnv):
    """An environment whose third reset never returns, the first time that any process reaches it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._reset_count = 0

    def reset(self, **options: Any) -> Any:
        self._reset_count += 1
        if self._reset_count == 3 and is_first(Path(os.environ[HANGS])):
            threading.Event().wait()
        return super().reset(**options)


class OneIsSlow(CartPoleEnv):
    """An environment whose steps take a millisecond; in the first process beside the test's that makes one, ten."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._folder = folder = Path(os.environ[SLOW])
        is_driver = os.environ[DRIVER] == str(os.getpid())
        is_slow = not is_driver and is_first(folder / "taken") and is_first(folder / str(os.getpid()))
        self._step_s = 10.0 * STEP_S if is_slow or (folder / str(os.getpid())).exists() else STEP_S

    def step(self, action: Any) -> Any:
        if not (self._folder / OVER).exists():
            time.sleep(self._step_s)  # the slowness itself
        return super().step(action)


gymnasium.register("HangsOnce-v0", entry_point=HangsOnce, max_episode_steps=500)
gymnasium.register("OneIsSlow-v0", entry_point=OneIsSlow, max_episode_steps=500)
