"""Environments that misbehave in many ways, at a step or at a reset; `Misbehaving(how, ...)` makes them."""

from __future__ import annotations

import os
import random
import threading
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv, CartPoleVectorEnv

AT_STEP = 5
CHANCE = random.Random(5)  # of all environments of a process that fail now and then


@dataclass(frozen=True)
class Misbehaving:
    """Makes an environment that misbehaves in every process except the one that asks for its spaces.

    Args:
        how: the fault; a method of `MisbehavingEnv`, or a name that its other methods compare with.
        good_pid: the process that asks.
        mark: a file; while it does not exist, the environment behaves well and ends its process at its fifth step.
    """

    how: str
    good_pid: int = 0
    mark: str = ""

    def __call__(self) -> Any:
        if os.getpid() == self.good_pid:
            return MisbehavingEnv("behave")
        if self.mark and not os.path.exists(self.mark):
            return MisbehavingEnv("exit_process", self.mark)
        return MisbehavingEnv(self.how)


class MisbehavingEnv(CartPoleEnv):
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
        result = obs, reward, terminated, truncated, info
        is_due = self._at == AT_STEP or self._how == "raise_now_and_then"
        if is_due and hasattr(self, self._how):
            return getattr(self, self._how)(result)
        return result

    def close(self) -> None:
        if self._how == "raise_in_close":
            raise ArithmeticError("can't be closed")
        super().close()

    def raise_in_step(self, result: Any) -> Any:
        raise ArithmeticError("can't be stepped")

    def raise_now_and_then(self, result: Any) -> Any:
        if CHANCE.random() < 0.005:
            raise ArithmeticError("can't be stepped")
        return result

    def nan_reward(self, result: Any) -> Any:
        return result[0], float("nan"), *result[2:]

    def infinite_reward(self, result: Any) -> Any:
        return result[0], float("inf"), *result[2:]

    def no_reward(self, result: Any) -> Any:
        return result[0], None, *result[2:]

    def nan_obs(self, result: Any) -> Any:
        return np.full(4, np.nan, np.float32), *result[1:]

    def larger_obs(self, result: Any) -> Any:
        return np.zeros(5, np.float32), *result[1:]

    def textual_obs(self, result: Any) -> Any:
        return np.array(list("abcd")), *result[1:]

    def four_values(self, result: Any) -> Any:
        return result[:4]

    def exit_process(self, result: Any) -> Any:
        if self._mark:
            open(self._mark, "w").close()
        os._exit(3)

    def other_types(self, result: Any) -> Any:
        """Return values whose types differ from the declared ones, but whose meaning is the same."""
        obs, reward, *_ = result
        return obs.astype(np.float64), np.float16(reward), np.bool_(False), 0, {"more": np.zeros(1_000_000)}

    def print_much(self, result: Any) -> Any:
        print("x" * 200_000)
        return result


class VectorThatRaises(CartPoleVectorEnv):
    """A vector of the environment CartPole that can't be stepped now and then."""

    def step(self, action: Any) -> Any:
        if CHANCE.random() < 0.005:
            raise ArithmeticError("can't be stepped")
        return super().step(action)


gymnasium.register("NowAndThen-v0", entry_point=lambda: MisbehavingEnv("behave"), vector_entry_point=VectorThatRaises)
