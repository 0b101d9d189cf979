"""The objects in each spill file."""

from __future__ import annotations

import pytest

from actorrt.ids import ObjectId
from actorrt.store.memory.pool import Place
from actorrt.store.server.spilled import SpillFiles

X, Y = ObjectId(b"x" * 16), ObjectId(b"y" * 16)
FILE = 7
AT_X, AT_Y = Place(FILE, 64, 100), Place(FILE, 256, 50)


@pytest.fixture
def files() -> SpillFiles:
    files = SpillFiles()
    assert files.add(FILE, [(X, AT_X), (Y, AT_Y)])
    return files


def test_a_file_counts_the_bytes_of_its_objects(files: SpillFiles) -> None:
    assert files.used_bytes == 150
    assert FILE in files
    assert FILE + 1 not in files


def test_a_file_can_go_with_its_last_object(files: SpillFiles) -> None:
    assert not files.free(AT_Y)
    assert files.used_bytes == 100
    assert files.free(AT_X)
    assert files.used_bytes == 0
    assert FILE not in files


def test_a_file_into_which_nothing_was_moved_is_not_kept() -> None:
    files = SpillFiles()
    assert not files.add(FILE, [])
    assert FILE not in files


def test_an_object_is_verified_until_it_is_freed(files: SpillFiles) -> None:
    files.note_verified(X)
    assert (files.is_verified(X), files.is_verified(Y)) == (True, False)
    files.free(AT_X)
    assert not files.is_verified(X)


def test_bytes_that_are_in_no_file_can_not_be_freed(files: SpillFiles) -> None:
    with pytest.raises(KeyError):
        files.free(Place(FILE, 128, 10))
