"""Where nodes keep their files, and how they are found: nothing of anybody else's is changed or removed."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from actorrt.node.daemon.node_directory import DESCRIPTOR, LOCK, NodeDirectory, find_nodes, runtime_directory
from tests.unit.node.published import descriptor_of, up


def die(place: NodeDirectory) -> None:
    """End a node as SIGKILL does."""
    os.close(place._lock)
    place._lock = -1


def test_directory_that_is_not_there_is_made_for_its_user_alone(directory: Path) -> None:
    assert runtime_directory() == directory
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o1777, 0o711])
def test_directory_that_is_there_keeps_its_mode(mode: int, directory: Path, nodes: list[NodeDirectory]) -> None:
    directory.mkdir()
    directory.chmod(mode)
    node = up(nodes, "aa")
    assert find_nodes() == [node]
    assert stat.S_IMODE(directory.stat().st_mode) == mode
    assert stat.S_IMODE(nodes[0].path.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_directory_whose_entries_others_may_replace_is_refused_and_keeps_its_mode(mode: int, directory: Path) -> None:
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(PermissionError, match=r"others may write to .*ACTORRT_RUNTIME_DIR"):
        NodeDirectory("aa")
    assert stat.S_IMODE(directory.stat().st_mode) == mode
    assert list(directory.iterdir()) == []


def test_file_in_the_place_of_the_directory_is_refused(directory: Path) -> None:
    directory.write_text("mine")
    with pytest.raises(NotADirectoryError, match="is not a directory"):
        find_nodes()
    assert directory.read_text() == "mine"


def test_directory_that_is_not_a_node_s_is_never_removed(directory: Path, tmp_path: Path) -> None:
    (directory / "project").mkdir(parents=True)
    (directory / "project" / DESCRIPTOR).write_text("{}")
    (directory / "project" / LOCK).write_text("mine")
    (directory / "empty").mkdir()
    (directory / "with-a-pipe").mkdir()
    os.mkfifo(directory / "with-a-pipe" / LOCK)
    (directory / LOCK).write_text("mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (directory / "link").symlink_to(elsewhere)
    (directory / "dangling").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    assert find_nodes() == []
    assert sorted(tmp_path.rglob("*")) == before


def test_directory_of_a_dead_node_is_removed_and_that_of_a_live_one_stays(
    directory: Path, nodes: list[NodeDirectory]
) -> None:
    up(nodes, "aa")
    alive = up(nodes, "bb")
    nodes.append(died_early := NodeDirectory("cc"))
    die(nodes[0])
    die(died_early)
    assert find_nodes() == [alive]
    assert [entry.name for entry in directory.iterdir()] == ["bb"]


def test_node_that_is_not_up_yet_is_not_found_and_not_disturbed(nodes: list[NodeDirectory], directory: Path) -> None:
    nodes.append(NodeDirectory("aa"))
    assert find_nodes() == []
    assert nodes[0].path.is_dir()


def test_nodes_come_and_go_while_others_look(directory: Path) -> None:
    """A looker takes no node that starts for a dead one, and does not mind those that vanish."""
    end = threading.Event()
    failures: list[BaseException] = []

    def look() -> None:
        try:
            while not end.is_set():
                find_nodes()
        except BaseException as error:
            failures.append(error)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    runtime_directory()
    for looker in lookers:
        looker.start()
    try:
        for number in range(300):
            place = NodeDirectory(f"{number:08x}")
            place.publish(descriptor := descriptor_of(place, number))
            assert descriptor in find_nodes()
            place.remove()
    finally:
        end.set()
        for looker in lookers:
            looker.join()
    assert failures == []
