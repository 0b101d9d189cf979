"""Files of arrays: header and arrays come back, a failed write leaves the old file, and other files are refused."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from actorrt.rl.foundation import array_file
from actorrt.rl.foundation.array_file import read_arrays, write_arrays


def test_header_and_arrays_come_back(tmp_path):
    path = str(tmp_path / "file")
    arrays = {"a": np.arange(3, dtype=np.int8), "b/c": np.zeros((0, 2), np.float32)}
    write_arrays(path, {"format": "f", "list": [1, None]}, arrays)
    header, again = read_arrays(path, "a file")
    assert header == {"format": "f", "list": [1, None]}
    assert list(again) == ["a", "b/c"]
    assert again["a"].tolist() == [0, 1, 2]
    assert [array.dtype for array in again.values()] == [np.int8, np.float32]
    assert os.listdir(tmp_path) == ["file"]


def test_header_that_is_not_plain_leaves_the_old_file(tmp_path):
    path = str(tmp_path / "file")
    write_arrays(path, {"a": 1}, {})
    with pytest.raises(TypeError):
        write_arrays(path, {"a": object()}, {})
    assert read_arrays(path, "a file") == ({"a": 1}, {})
    assert os.listdir(tmp_path) == ["file"]


def test_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = str(tmp_path / "file")
    write_arrays(path, {"a": 1}, {})

    def full(file, **members):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(array_file.np, "savez", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_arrays(path, {"a": 2}, {})
    assert read_arrays(path, "a file") == ({"a": 1}, {})
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("is_durable", [False, True])
def test_only_a_durable_file_is_synchronised_before_it_takes_its_name(tmp_path, monkeypatch, is_durable):
    path, events = str(tmp_path / "file"), []
    monkeypatch.setattr(array_file.os, "fsync", lambda number: events.append("fsync"))
    replace = os.replace
    monkeypatch.setattr(array_file.os, "replace", lambda *names: (events.append("replace"), replace(*names)))
    write_arrays(path, {}, {}, is_durable=is_durable)
    assert events == (["fsync", "replace"] if is_durable else ["replace"])


def test_missing_file_is_told_as_such(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_arrays(str(tmp_path / "file"), "a file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"something else", "is not a checkpoint: it is no archive of arrays"),
        (b"", "is not a checkpoint: it is no archive of arrays"),
    ],
)
def test_other_content_is_refused_with_the_expected_kind_of_file(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{path} {message}$"):
        read_arrays(str(path), "a checkpoint")


def test_archive_without_a_header_is_refused(tmp_path):
    path = str(tmp_path / "file.npz")
    np.savez(path, a=np.zeros(1))
    with pytest.raises(ValueError, match=rf"^{path} is not a checkpoint: 'header'$"):
        read_arrays(path, "a checkpoint")


def test_pickled_arrays_are_not_loaded(tmp_path):
    path = str(tmp_path / "file.npz")
    np.savez(path, header=np.frombuffer(b"{}", np.uint8), a=np.array([object()], object))
    with pytest.raises(ValueError, match="is not a checkpoint: Object arrays cannot be loaded"):
        read_arrays(path, "a checkpoint")
