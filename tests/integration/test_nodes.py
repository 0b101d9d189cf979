"""`art.nodes()` of a node that is in no cluster; those of a cluster are in `cluster/test_nodes_of_a_cluster.py`."""

from __future__ import annotations

import actorrt as art


class Lister(art.Actor):
    async def nodes(self) -> list[art.NodeInfo]:
        return await art.nodes()


async def test_a_node_that_is_in_no_cluster_lists_itself(runtime: art.Runtime) -> None:
    (own,) = await art.nodes()
    assert (own.state, own.labels, own.resources) == ("alive", {}, {})
    assert own.cpus >= 1
    assert own.free["cpus"] <= own.cpus
    assert own.store is not None
    assert 0 <= own.store.used_bytes <= own.store.capacity_bytes
    bytes.fromhex(own.id), bytes.fromhex(own.incarnation)


async def test_actors_list_nodes_too(runtime: art.Runtime) -> None:
    lister = await Lister.options(cpus=1).spawn()
    (seen,) = await lister.nodes()
    (own,) = await art.nodes()
    assert seen.incarnation == own.incarnation
    assert own.free["cpus"] == own.cpus - 1


def test_plain_code_lists_nodes_too(session: art.Runtime) -> None:
    assert [node.state for node in art.nodes().result()] == ["alive"]
