"""Where nodes keep their files, and how they are found: nothing of anybody else's is changed or removed."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from actorrt.errors import PeerUnreachableError
from actorrt.node.daemon.places import DESCRIPTOR, LOCK, NodeDescriptor, NodeDirectory, find_nodes, runtime_directory
from actorrt.node.driver import launch


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "rt"
    monkeypatch.setenv("ACTORRT_RUNTIME_DIR", str(path))
    return path


def descriptor_of(place: NodeDirectory, pid: int = 1, *, is_embedded: bool = False) -> NodeDescriptor:
    url = f"unix://{place.path}"
    return NodeDescriptor("00" * 16, f"{url}/node", f"{place.path}/store", url, pid, is_embedded, os.getpid())


@pytest.fixture
def nodes(directory: Path) -> Iterator[list[NodeDirectory]]:
    made: list[NodeDirectory] = []
    yield made
    for place in made:
        place.remove()


def up(nodes: list[NodeDirectory], name: str, *, is_embedded: bool = False) -> NodeDescriptor:
    nodes.append(place := NodeDirectory(name))
    place.publish(descriptor := descriptor_of(place, is_embedded=is_embedded))
    os.utime(place.path / DESCRIPTOR, (len(nodes), len(nodes)))  # its clock may be coarser than this test is quick
    return descriptor


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
    with pytest.raises(NotADirectoryError, match="is no directory"):
        find_nodes()
    assert directory.read_text() == "mine"


def test_what_is_not_a_nodes_is_never_removed(directory: Path, tmp_path: Path) -> None:
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


def test_what_a_dead_node_left_is_removed_and_a_live_one_beside_it_stays(
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


# Which node is meant


def test_script_uses_the_newest_node_that_stands_alone_and_never_anothers(nodes: list[NodeDirectory]) -> None:
    with pytest.raises(PeerUnreachableError, match="no node runs"):
        launch.find_node("auto")
    embedded = up(nodes, "aa", is_embedded=True)
    with pytest.raises(PeerUnreachableError, match="no node runs"):
        launch.find_node("auto")
    with pytest.raises(PeerUnreachableError, match=rf"belongs to a script \(process {os.getpid()}: .*nobody else"):
        launch.find_node(embedded.url)
    up(nodes, "bb")
    newest = up(nodes, "cc")
    up(nodes, "dd", is_embedded=True)
    assert launch.find_node("auto") == newest
    assert launch.find_node(newest.url) == newest


def test_command_looks_into_the_only_script_s_node_or_lists_them(nodes: list[NodeDirectory]) -> None:
    with pytest.raises(PeerUnreachableError, match="no node runs"):
        launch.node_to_look_into(None)
    first = up(nodes, "aa", is_embedded=True)
    assert launch.node_to_look_into(None) == first
    second = up(nodes, "bb", is_embedded=True)
    with pytest.raises(launch.SeveralNodesError) as caught:
        launch.node_to_look_into(None)
    assert "2 scripts have a node: choose one with --address" in str(caught.value)
    assert [line.split()[0] for line in str(caught.value).splitlines()[1:]] == [second.url, first.url]
    assert launch.node_to_look_into(first.url) == first
    own = up(nodes, "cc")
    up(nodes, "dd", is_embedded=True)
    assert launch.node_to_look_into(None) == own


@pytest.mark.parametrize("choose", [launch.find_node, launch.node_to_look_into])
def test_address_that_is_none_is_refused_with_one_that_could_be(choose, directory: Path) -> None:
    with pytest.raises(ValueError, match=rf"address='node': give 'auto', or .* 'unix://{directory}/"):
        choose("node")
    with pytest.raises(PeerUnreachableError, match="no node answers at unix:///nowhere"):
        choose("unix:///nowhere")
