"""Which of several nodes a command shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from actorrt.errors import PeerUnreachableError
from actorrt.node.daemon.node_directory import NodeDirectory
from actorrt.node.inspect.node_choice import SeveralNodesError, inspected_node
from tests.unit.node.published import up


def test_command_shows_the_only_node_of_a_script_or_lists_several(nodes: list[NodeDirectory]) -> None:
    with pytest.raises(PeerUnreachableError, match="no node runs"):
        inspected_node(None)
    first = up(nodes, "aa", is_embedded=True)
    assert inspected_node(None) == first
    second = up(nodes, "bb", is_embedded=True)
    with pytest.raises(SeveralNodesError) as caught:
        inspected_node(None)
    assert "2 scripts have a node: choose one with --address" in str(caught.value)
    assert [line.split()[0] for line in str(caught.value).splitlines()[1:]] == [second.url, first.url]
    assert inspected_node(first.url) == first
    own = up(nodes, "cc")
    up(nodes, "dd", is_embedded=True)
    assert inspected_node(None) == own


def test_address_that_is_none_is_refused_with_one_that_could_be(directory: Path) -> None:
    with pytest.raises(ValueError, match=rf"address='node': give 'auto', a join token, or .* 'unix://{directory}/"):
        inspected_node("node")
    with pytest.raises(PeerUnreachableError, match="no node answers at unix:///nowhere"):
        inspected_node("unix:///nowhere")
