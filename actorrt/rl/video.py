"""Films policies: one episode with the most likely actions, as an animated GIF."""

from __future__ import annotations

import base64
import html
from typing import Any

import numpy as np

from actorrt.rl.environment import EVALUATION_KEY, Maker, episode_seed, make_environment
from actorrt.rl.extras import require
from actorrt.rl.policy import FlatPolicy
from actorrt.rl.spaces import Array

MAX_FRAMES = 1_000
DEFAULT_HZ = 30


class Video:
    """A film on disk; a notebook shows it.

    Attributes:
        path: of the file.
        episode_return: undiscounted return of the episode, or of what of it was filmed.
        frame_count: how many pictures it has.
    """

    def __init__(self, path: str, episode_return: float, frame_count: int) -> None:
        self.path, self.episode_return, self.frame_count = path, episode_return, frame_count

    def __repr__(self) -> str:
        return f"<Video {self.path}: return {self.episode_return:.1f}, {self.frame_count} frames>"

    def _repr_html_(self) -> str:
        with open(self.path, "rb") as file:
            data = base64.b64encode(file.read()).decode()
        return f'<img src="data:image/gif;base64,{data}"><br>{html.escape(repr(self))}'


def film(
    policy: FlatPolicy, path: str, env: Maker | None = None, *, seed: int = 1, max_frames: int = MAX_FRAMES
) -> Video:
    """Play one episode and write what it looks like to a GIF.

    Args:
        policy: what acts.
        path: of the file, which is written over.
        env: Gymnasium id, or a function that makes an environment that renders `"rgb_array"`; the policy's own id where
            left out.
        seed: the episode follows from it.
        max_frames: longer episodes are cut.

    Raises:
        MissingPackageError: Pillow is not installed.
        ValueError: the environment does not render pictures, or the policy has no id of one.
    """
    require("PIL")
    made = env or policy.spec.env_id
    if not made:
        raise ValueError("the policy was trained in an environment without an id: give what makes it as env=")
    environment = make_environment(made, **({"render_mode": "rgb_array"} if isinstance(made, str) else {}))
    try:
        frames, total = _play(policy, environment, episode_seed(seed, EVALUATION_KEY, 0, 0), max_frames)
        hz = environment.metadata.get("render_fps") or DEFAULT_HZ
    finally:
        environment.close()
    _write(frames, path, hz)
    return Video(path, total, len(frames))


def _play(policy: FlatPolicy, environment: Any, seed: int, max_frames: int) -> tuple[list[Array], float]:
    obs, _ = environment.reset(seed=seed)
    frames, total, is_over = [_picture(environment)], 0.0, False
    while not is_over and len(frames) < max_frames:
        obs, reward, is_terminated, is_truncated, _ = environment.step(policy(obs))
        total += float(reward)
        is_over = bool(is_terminated or is_truncated)
        frames.append(_picture(environment))
    return frames, total


def _picture(environment: Any) -> Array:
    picture = environment.render()
    if not isinstance(picture, np.ndarray) or picture.ndim != 3:
        raise ValueError(f"{environment} renders no pictures: make it with render_mode='rgb_array'")
    return picture


def _write(frames: list[Array], path: str, hz: float) -> None:
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(path, "GIF", save_all=True, append_images=images[1:], duration=max(20, round(1_000 / hz)), loop=0)
