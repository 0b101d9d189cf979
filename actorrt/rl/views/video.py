"""Films policies: one episode with the most likely actions, as an animated GIF or as MP4."""

from __future__ import annotations

import base64
import contextlib
import html
import importlib
import os
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np

from actorrt.rl.environments import environment_checks
from actorrt.rl.environments.closing import close
from actorrt.rl.environments.making import EnvMaker, id_of, make_environment, own_environment
from actorrt.rl.environments.seeds import EVALUATION_KEY, episode_seed
from actorrt.rl.foundation.extras import require
from actorrt.rl.policies.policy import FlatPolicy
from actorrt.rl.spaces.array_spaces import Array

MAX_FRAMES = 1_000
DEFAULT_HZ = 30
SAMPLED_FRAMES = 8  # frames of a GIF from which its palette is chosen


class Video:
    """A film on disk; a notebook shows it.

    Attributes:
        path: of the file.
        episode_return: undiscounted return of the episode, or of its filmed part.
        frame_count: number of frames.
    """

    def __init__(self, path: str, episode_return: float, frame_count: int) -> None:
        self.path, self.episode_return, self.frame_count = path, episode_return, frame_count

    def __repr__(self) -> str:
        return f"<Video {self.path}: return {self.episode_return:.1f}, {self.frame_count} frames>"

    def _repr_html_(self) -> str:
        with open(self.path, "rb") as file:
            data = base64.b64encode(file.read()).decode()
        if self.path.endswith(".mp4"):
            shown = f'<video controls autoplay loop muted src="data:video/mp4;base64,{data}"></video>'
        else:
            shown = f'<img src="data:image/gif;base64,{data}">'
        return f"{shown}<br>{html.escape(repr(self))}"


def film(
    policy: FlatPolicy, path: str, env: EnvMaker | None = None, *, seed: int = 1, max_frames: int = MAX_FRAMES
) -> Video:
    """Play one episode and film it.

    Args:
        policy: the policy that acts.
        path: of the file, which is overwritten: `.gif`, or `.mp4`, which is smaller and has all colours.
        env: Gymnasium id, or a function that makes an environment that renders `"rgb_array"`; None takes the policy's
            own id.
        seed: seed of the episode.
        max_frames: longer episodes are cut off.

    Raises:
        MissingPackageError: Pillow, or for MP4 imageio-ffmpeg, is not installed.
        ValueError: the path has another suffix, the environment renders no pictures, or the policy has no id.
    """
    form = os.path.splitext(path)[1]
    if form not in WRITERS:
        raise ValueError(f"a film is written as {' or '.join(WRITERS)}, not as {path}")
    package, write = WRITERS[form]
    require(package)
    made = env or own_environment(policy.spec)
    environment = make_environment(made, **({"render_mode": "rgb_array"} if id_of(made) else {}))
    try:
        frames, total = _play(policy, environment, episode_seed(seed, EVALUATION_KEY, 0, 0), max_frames)
        hz = environment.metadata.get("render_fps") or DEFAULT_HZ
    finally:
        close(environment)
    write(frames, path, hz)
    return Video(path, total, len(frames))


def _play(policy: FlatPolicy, environment: Any, seed: int, max_frames: int) -> tuple[list[Array], float]:
    obs = environment_checks.reset(environment, seed)
    frames, total, is_over = [_picture(environment)], 0.0, False
    while not is_over and len(frames) < max_frames:
        obs, reward, is_terminated, is_truncated = environment_checks.step(environment, policy(obs))
        total += float(reward)
        is_over = bool(is_terminated or is_truncated)
        frames.append(_picture(environment))
    return frames, total


def _picture(environment: Any) -> Array:
    picture = environment.render()
    if not isinstance(picture, np.ndarray) or picture.ndim != 3:
        raise ValueError(f"{environment} renders no pictures: make it with render_mode='rgb_array'")
    return picture


def _write_gif(frames: list[Array], path: str, hz: float) -> None:
    """Write frames that share 256 colours; choosing colours for each frame takes twenty times longer."""
    from PIL import Image

    sample = np.concatenate(frames[:: -(-len(frames) // SAMPLED_FRAMES)])
    method = Image.Quantize.FASTOCTREE  # the most exact method for plain backgrounds
    palette = Image.fromarray(sample).quantize(256, method=method)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    duration = max(20, round(1_000 / hz))
    images[0].save(path, "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0, optimize=False)


def _write_mp4(frames: list[Array], path: str, hz: float) -> None:
    """Let ffmpeg write frames; the package imageio-ffmpeg contains it.

    Raises:
        OSError: ffmpeg can't write the file; the message is ffmpeg's.
    """
    ffmpeg = importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
    height, width = (side - side % 2 for side in frames[0].shape[:2])  # H.264 needs even sides
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{hz:g}", "-i", "-"]
    made = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", path]
    command = [ffmpeg, "-y", "-loglevel", "error", *given, *made]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # ffmpeg has ended, and its output says why
            for frame in frames:
                process.stdin.write(np.ascontiguousarray(frame[:height, :width]).tobytes())
        _, said = process.communicate()
    if process.returncode != 0:
        raise OSError(f"ffmpeg could not write {path}: {said.decode(errors='replace').strip()}")


WRITERS: dict[str, tuple[str, Callable[[list[Array], str, float], None]]] = {
    ".gif": ("PIL", _write_gif),
    ".mp4": ("imageio_ffmpeg", _write_mp4),
}
"""By suffix: the package that writing needs, and the function that writes."""
