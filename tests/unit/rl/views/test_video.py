"""Films have a frame for each step, and errors name what is missing."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from actorrt.rl.foundation.extras import MissingPackageError
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.numpy_policy import MlpPolicy
from actorrt.rl.spaces.gymnasium_spaces import spaces_of
from actorrt.rl.views.video import film
from tests.unit.rl.counting import CountingEnv

PIL = pytest.importorskip("PIL.Image")


class DrawnEnv(CountingEnv):
    """Shows the count as brightness."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012  # as Gymnasium has it

    def render(self):
        return np.full((8, 6, 3), 20 * self._count, np.uint8)


class Large(DrawnEnv):
    """Has odd sides, which MP4 has not."""

    def render(self):
        return np.full((33, 65, 3), 20 * self._count, np.uint8)


class Coloured(DrawnEnv):
    """Shows the count as a colour."""

    def render(self):
        return np.full((8, 6, 3), (40 * self._count, 255 - 40 * self._count, 7), np.uint8)


class Blind(CountingEnv):
    """Renders, and there is nothing to see."""

    def render(self):
        return None


def make():
    return DrawnEnv(5, truncates=True)


def make_policy():
    policy = MlpPolicy(PolicySpec("", *spaces_of(make()), (4,)))
    policy.init(0)
    return policy


def test_film_has_a_frame_for_the_start_and_each_step(tmp_path):
    video = film(make_policy(), str(tmp_path / "best.gif"), make)
    assert (video.frame_count, video.episode_return) == (6, 15.0)
    with PIL.open(video.path) as image:
        assert (image.n_frames, image.size, image.info["duration"]) == (6, (6, 8), 50)
        image.seek(5)
        np.testing.assert_allclose(image.convert("RGB").getpixel((0, 0)), (100, 100, 100), atol=4)
    assert video._repr_html_().startswith('<img src="data:image/gif;base64,')
    assert repr(video) == f"<Video {video.path}: return 15.0, 6 frames>"


def test_film_as_mp4_has_the_same_frames(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    video = film(make_policy(), str(tmp_path / "best.mp4"), lambda: Large(5, truncates=True))
    command = [
        ffmpeg.get_ffmpeg_exe(),
        "-loglevel",
        "error",
        "-i",
        video.path,
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-",
    ]
    raw = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, 32, 64)
    np.testing.assert_allclose(frames.mean((1, 2)), [0, 20, 40, 60, 80, 100], atol=3.0)
    assert video._repr_html_().startswith('<video controls autoplay loop muted src="data:video/mp4;base64,')


def test_film_that_can_not_be_written_says_why(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(OSError, match=r"ffmpeg could not write .*: .*No such file or directory"):
        film(make_policy(), str(tmp_path / "nowhere" / "best.mp4"), lambda: Large(5, truncates=True))


def test_colours_of_later_frames_are_kept(tmp_path):
    path = str(tmp_path / "best.gif")
    film(make_policy(), path, lambda: Coloured(5, truncates=True))
    with PIL.open(path) as image:
        for index in range(6):
            image.seek(index)
            colour = image.convert("RGB").getpixel((0, 0))
            np.testing.assert_allclose(colour, (40 * index, 255 - 40 * index, 7), atol=4)


def test_other_forms_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a film is written as \.gif or \.mp4, not as .*best\.avi"):
        film(make_policy(), str(tmp_path / "best.avi"), make)


def test_long_episodes_are_cut(tmp_path):
    assert film(make_policy(), str(tmp_path / "best.gif"), make, max_frames=3).frame_count == 3


def test_film_without_an_environment_pictures_or_pillow_is_refused(tmp_path, monkeypatch):
    path = str(tmp_path / "best.gif")
    with pytest.raises(ValueError, match="environment without an id: give a function that makes one as env="):
        film(make_policy(), path)
    with pytest.raises(ValueError, match=r"renders no pictures: make it with render_mode='rgb_array'"):
        film(make_policy(), path, lambda: Blind(5, truncates=True))
    monkeypatch.setattr("actorrt.rl.foundation.extras.is_installed", lambda _: False)
    with pytest.raises(MissingPackageError, match=r'PIL is needed and not installed: pip install "actorrt\[video\]"'):
        film(make_policy(), path, make)
