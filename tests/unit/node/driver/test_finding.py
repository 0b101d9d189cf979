"""Which of several nodes a script or a command means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actorrt.errors import PeerUnreachableError
from actorrt.node.daemon.places import NodeDirectory
from actorrt.node.driver.finding import SeveralNodesError, find_node, node_to_look_into
from tests.unit.node.published import up


def test_script_uses_the_newest_node_that_stands_alone_and_never_anothers(nodes: list[NodeDirectory]) -> None:
    with pytest.raises(PeerUnreachableError, match="no node runs"):
        find_node("auto")
    embedded = up(nodes, "aa", is_embedded=True)
    with pytest.raises(PeerUnreachableError, match="no node runs"):
        find_node("auto")
    with pytest.raises(PeerUnreachableError, match=rf"belongs to a script \(process {os.getpid()}: .*nobody else"):
        find_node(embedded.url)
    up(nodes, "bb")
    newest = up(nodes, "cc")
    up(nodes, "dd", is_embedded=True)
    assert find_node("auto") == newest
    assert find_node(newest.url) == newest


def test_command_looks_into_the_only_script_s_node_or_lists_them(nodes: list[NodeDirectory]) -> None:
    with pytest.raises(PeerUnreachableError, match="no node runs"):
        node_to_look_into(None)
    first = up(nodes, "aa", is_embedded=True)
    assert node_to_look_into(None) == first
    second = up(nodes, "bb", is_embedded=True)
    with pytest.raises(SeveralNodesError) as caught:
        node_to_look_into(None)
    assert "2 scripts have a node: choose one with --address" in str(caught.value)
    assert [line.split()[0] for line in str(caught.value).splitlines()[1:]] == [second.url, first.url]
    assert node_to_look_into(first.url) == first
    own = up(nodes, "cc")
    up(nodes, "dd", is_embedded=True)
    assert node_to_look_into(None) == own


@pytest.mark.parametrize("choose", [find_node, node_to_look_into])
def test_address_that_is_none_is_refused_with_one_that_could_be(choose, directory: Path) -> None:
    with pytest.raises(ValueError, match=rf"address='node': give 'auto', or .* 'unix://{directory}/"):
        choose("node")
    with pytest.raises(PeerUnreachableError, match="no node answers at unix:///nowhere"):
        choose("unix:///nowhere")
