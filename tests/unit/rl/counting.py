"""Environments whose observations count steps, so that what is recorded can be told exactly."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class CountingEnv(gymnasium.Env[Any, Any]):
    """Observes how many steps the episode has had; ends after `length`, terminated or truncated."""

    def __init__(self, length: int, *, truncates: bool) -> None:
        self.observation_space = spaces.Box(0.0, 1e6, (1,), np.float32)
        self.action_space = spaces.Discrete(2)
        self._length, self._truncates = length, truncates
        self._count = 0
        self.seeds: list[int | None] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.seeds.append(seed)
        self._count = 0
        return np.array([0.0], np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._count += 1
        ended = self._count == self._length
        obs = np.array([self._count], np.float32)
        return obs, float(self._count), ended and not self._truncates, ended and self._truncates, {}


class IdentityEnv(gymnasium.Env[Any, Any]):
    """Pays 1 for the action that equals the observation; episodes are cut after 100 steps."""

    def __init__(self, n: int = 4) -> None:
        self.observation_space = spaces.Discrete(n)
        self.action_space = spaces.Discrete(n)
        self._target = 0
        self._count = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._count = 0
        self._target = int(self.np_random.integers(self.action_space.n))
        return self._target, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(int(action) == self._target)
        self._count += 1
        self._target = int(self.np_random.integers(self.action_space.n))
        return self._target, reward, False, self._count == 100, {}


class BoxIdentityEnv(gymnasium.Env[Any, Any]):
    """Pays more the nearer the action is to the observation; episodes are cut after 100 steps."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self._count = 0

    def _target(self) -> Any:
        self._obs = self.np_random.uniform(-1.0, 1.0, 1).astype(np.float32)
        return self._obs

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._count = 0
        return self._target(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        reward = -float(abs(action - self._obs)[0])
        self._count += 1
        return self._target(), reward, False, self._count == 100, {}
