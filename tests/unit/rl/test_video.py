"""Films have a frame for each step, and say what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from actorrt.rl import spaces
from actorrt.rl.extras import MissingPackageError
from actorrt.rl.policy import MlpPolicy, PolicySpec
from actorrt.rl.video import film

from .counting import CountingEnv

PIL = pytest.importorskip("PIL.Image")


class DrawnEnv(CountingEnv):
    """Shows the count as brightness."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012  # as Gymnasium has it

    def render(self):
        return np.full((8, 6, 3), 20 * self._count, np.uint8)


class Blind(CountingEnv):
    """Renders, and there is nothing to see."""

    def render(self):
        return None


def make():
    return DrawnEnv(5, truncates=True)


def make_policy():
    policy = MlpPolicy(PolicySpec("", *spaces.of_environment(make()), (4,)))
    policy.init(0)
    return policy


def test_film_has_a_frame_for_the_start_and_each_step(tmp_path):
    video = film(make_policy(), str(tmp_path / "best.gif"), make)
    assert (video.frame_count, video.episode_return) == (6, 15.0)
    with PIL.open(video.path) as image:
        assert (image.n_frames, image.size, image.info["duration"]) == (6, (6, 8), 50)
        image.seek(5)
        assert image.convert("RGB").getpixel((0, 0)) == (100, 100, 100)
    assert video._repr_html_().startswith('<img src="data:image/gif;base64,')
    assert repr(video) == f"<Video {video.path}: return 15.0, 6 frames>"


def test_long_episodes_are_cut(tmp_path):
    assert film(make_policy(), str(tmp_path / "best.gif"), make, max_frames=3).frame_count == 3


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    path = str(tmp_path / "best.gif")
    with pytest.raises(ValueError, match="environment without an id: give what makes it as env="):
        film(make_policy(), path)
    with pytest.raises(ValueError, match=r"renders no pictures: make it with render_mode='rgb_array'"):
        film(make_policy(), path, lambda: Blind(5, truncates=True))
    monkeypatch.setattr("actorrt.rl.extras.is_installed", lambda _: False)
    with pytest.raises(MissingPackageError, match=r'PIL is needed and not installed: pip install "actorrt\[video\]"'):
        film(make_policy(), path, make)
