"""Which of several nodes a script connects to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actorrt.errors import PeerUnreachableError
from actorrt.node.daemon.node_directory import NodeDirectory
from actorrt.node.driver.finding import find_node
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


def test_address_that_is_none_is_refused_with_one_that_could_be(directory: Path) -> None:
    with pytest.raises(ValueError, match=rf"address='node': give 'auto', a join token, or .* 'unix://{directory}/"):
        find_node("node")
    with pytest.raises(PeerUnreachableError, match="no node answers at unix:///nowhere"):
        find_node("unix:///nowhere")
