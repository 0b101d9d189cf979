"""Environments whose observations count steps, so that tests can state every recorded value."""

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


class AnyIdentityEnv(gymnasium.Env[Any, Any]):
    """Pays for each part of an action that equals that part of the observation, 1 for all; cut after 100 steps.

    Numbers that are less than 1 apart are paid for in part. The space serves both ways; parts are what is left when
    tuples, dictionaries and arrays are taken apart.
    """

    def __init__(self, space: Any) -> None:
        self.observation_space = self.action_space = space
        self._count = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self._count = 0
        self._target = self.observation_space.sample()
        return self._target, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        pairs = list(zip(_parts(action), _parts(self._target), strict=True))
        reward = sum(max(0.0, 1.0 - abs(float(mine) - float(target))) for mine, target in pairs) / len(pairs)
        self._count += 1
        self._target = self.observation_space.sample()
        return self._target, reward, False, self._count == 100, {}


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [part for name in sorted(value) for part in _parts(value[name])]
    if isinstance(value, tuple):
        return [part for each in value for part in _parts(each)]
    return list(np.ravel(value))


class MaskedIdentityEnv(gymnasium.Env[Any, Any]):
    """Allows two of `n` actions at each step, and pays 1 for the smaller; forbidden ones end in an error."""

    def __init__(self, n: int = 6) -> None:
        mask = spaces.MultiBinary(n)
        self.observation_space = spaces.Dict({"observation": spaces.MultiBinary(n), "action_mask": mask})
        self.action_space = spaces.Discrete(n)
        self._n, self._count = n, 0

    def _shown(self) -> Any:
        self._allowed = self.np_random.choice(self._n, 2, replace=False)
        mask = np.zeros(self._n, np.int8)
        mask[self._allowed] = 1
        return {"observation": mask, "action_mask": mask}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._count = 0
        return self._shown(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert action in self._allowed
        reward = float(action == min(self._allowed))
        self._count += 1
        return self._shown(), reward, False, self._count == 100, {}


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


class CameraIdentityEnv(gymnasium.Env[Any, Any]):
    """Shows an image with a bright half and a bit, and pays 1 for the number that they make; cut after 100 steps."""

    def __init__(self) -> None:
        camera = spaces.Box(0, 255, (8, 8, 1), np.uint8)
        self.observation_space = spaces.Dict({"bit": spaces.Discrete(2), "camera": camera})
        self.action_space = spaces.Discrete(4)
        self._count = 0

    def _shown(self) -> Any:
        self._target = int(self.np_random.integers(4))
        half, bit = divmod(self._target, 2)
        camera = np.zeros((8, 8, 1), np.uint8)
        camera[4 * half : 4 * half + 4] = 200
        return {"bit": bit, "camera": camera}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._count = 0
        return self._shown(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(action == self._target)
        self._count += 1
        return self._shown(), reward, False, self._count == 100, {}


class ImageIdentityEnv(gymnasium.Env[Any, Any]):
    """Shows a bright quarter of a small image, and pays 1 for its number; cut after 100 steps."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 255, (8, 8, 1), np.uint8)
        self.action_space = spaces.Discrete(4)
        self._count = 0

    def _shown(self) -> Any:
        self._target = int(self.np_random.integers(4))
        image = np.zeros((8, 8, 1), np.uint8)
        row, column = divmod(self._target, 2)
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 200
        return image

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._count = 0
        return self._shown(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(action == self._target)
        self._count += 1
        return self._shown(), reward, False, self._count == 100, {}
