"""Environments that misbehave in many ways, at a step or at a reset; `Naughty(how, ...)` makes them."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv

AT_STEP = 5


@dataclass(frozen=True)
class Naughty:
    """Makes an environment that misbehaves in every process except the one that asks for its spaces.

    Args:
        how: the fault; a method of `NaughtyEnv`, or a name that its other methods compare with.
        good_pid: the process that asks.
        mark: a file; while it does not exist, the environment behaves well and ends its process at its fifth step.
    """

    how: str
    good_pid: int = 0
    mark: str = ""

    def __call__(self) -> Any:
        if os.getpid() == self.good_pid:
            return NaughtyEnv("behave")
        if self.mark and not os.path.exists(self.mark):
            return NaughtyEnv("exit_process", self.mark)
        return NaughtyEnv(self.how)


class NaughtyEnv(CartPoleEnv):
    """The environment CartPole, whose fifth step of each episode has a fault."""

    def __init__(self, how: str, mark: str = "") -> None:
        super().__init__()
        self._how, self._at, self._mark = how, 0, mark
        if how == "raise_when_made":
            raise ArithmeticError("can't be made")
        if how == "leak_threads":
            for _ in range(3):
                threading.Thread(target=threading.Event().wait, daemon=True).start()

    def reset(self, **options: Any) -> Any:
        self._at = 0
        if self._how == "raise_in_reset":
            raise ArithmeticError("can't be reset")
        if self._how == "hang_in_reset":
            threading.Event().wait()
        return super().reset(**options)

    def step(self, action: Any) -> Any:
        self._at += 1
        obs, reward, terminated, truncated, info = super().step(action)
        told = obs, reward, terminated, truncated, info
        if self._at == AT_STEP and hasattr(self, self._how):
            return getattr(self, self._how)(told)
        return told

    def close(self) -> None:
        if self._how == "raise_in_close":
            raise ArithmeticError("can't be closed")
        super().close()

    def raise_in_step(self, told: Any) -> Any:
        raise ArithmeticError("can't be stepped")

    def nan_reward(self, told: Any) -> Any:
        return told[0], float("nan"), *told[2:]

    def infinite_reward(self, told: Any) -> Any:
        return told[0], float("inf"), *told[2:]

    def no_reward(self, told: Any) -> Any:
        return told[0], None, *told[2:]

    def nan_obs(self, told: Any) -> Any:
        return np.full(4, np.nan, np.float32), *told[1:]

    def larger_obs(self, told: Any) -> Any:
        return np.zeros(5, np.float32), *told[1:]

    def textual_obs(self, told: Any) -> Any:
        return np.array(list("abcd")), *told[1:]

    def four_values(self, told: Any) -> Any:
        return told[:4]

    def exit_process(self, told: Any) -> Any:
        if self._mark:
            open(self._mark, "w").close()
        os._exit(3)

    def other_types(self, told: Any) -> Any:
        """Return values whose types differ from the declared ones, but whose meaning is the same."""
        obs, reward, *_ = told
        return obs.astype(np.float64), np.float16(reward), np.bool_(False), 0, {"more": np.zeros(1_000_000)}

    def print_much(self, told: Any) -> Any:
        print("x" * 200_000)
        return told
