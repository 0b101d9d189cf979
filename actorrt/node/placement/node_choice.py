"""Pure: on which node an actor runs: its options and what is known of the nodes give an order of nodes to try.

Three outcomes: nodes with room, the best one first; no room now, with what each node lacks; or never, which is a
`PlacementError` with the reason. What is known of other nodes may be old: the node that is tried has the last word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any, Final, NamedTuple, TypeAlias

from actorrt.actors.policy.node_placement import HasLabels, OnNode, Placement, Strategy
from actorrt.errors import PlacementError
from actorrt.ids import NodeId, PeerAddress, short

CPUS: Final = "cpus"
SHOWN_COUNT: Final = 5
"""How many nodes or labels a text names."""

Amounts: TypeAlias = Mapping[str, float]


class NodeView(NamedTuple):
    """What is known of one node.

    Attributes:
        daemon: its daemon; None: this node.
        node: its id; None if this node belongs to no cluster.
        labels: its labels.
        total, free: what it has, and what is not reserved, by resource.
        actors_count: how many actors of the job it runs, of those that belong to this node.
        is_entry: whether it is the node through which this one has joined.
        may_exceed: whether reservations may exceed what it has, if it has any.
    """

    daemon: PeerAddress | None
    node: NodeId | None
    labels: Mapping[str, str]
    total: Amounts
    free: Amounts
    actors_count: int = 0
    is_entry: bool = False
    may_exceed: bool = False

    @property
    def name(self) -> str:
        """The node's name for people."""
        return "this node" if self.node is None else f"node {short(self.node)}"

    def most(self, name: str) -> float:
        """Return how much of a resource an actor can reserve when it is alone on the node."""
        total = self.total.get(name, 0.0)
        return inf if total and self.may_exceed else total

    def is_large_enough(self, need: Amounts) -> bool:
        """Whether the need fits on the node when it is empty. A node of zero CPUs runs drivers only."""
        return bool(self.most(CPUS)) and all(amount <= self.most(name) for name, amount in need.items())

    def has_room(self, need: Amounts) -> bool:
        """Whether the need fits now, on a node that is large enough."""
        return self.may_exceed or all(amount <= self.free.get(name, 0.0) for name, amount in need.items())

    def free_share(self, need: Amounts) -> float:
        """Return the smallest share that is free of a needed resource, or of the CPUs if nothing is needed."""
        return min(self.free.get(name, 0.0) / self.total[name] for name in need or (CPUS,))


class Choice(NamedTuple):
    """The nodes with room, the best one first; if there are none, what the nodes lack, in words."""

    nodes: Sequence[NodeView]
    lacks: str = ""


def choose(
    label: str, need: Amounts, placement: Placement | None, views: Sequence[NodeView], near: NodeId | None = None
) -> Choice:
    """Choose nodes for an actor.

    Args:
        label: the actor's name for people.
        need: what it reserves, by resource.
        placement: the option.
        views: all nodes, this one first.
        near: the node that comes first, if it has room.

    Raises:
        PlacementError: no node will do, however long the actor waits.
    """
    allowed = _allowed(label, placement, views)
    large = [view for view in allowed if view.is_large_enough(need)]
    if not large:
        raise PlacementError(f"{label} did not start: {_too_small(need, allowed)}")
    with_room = [view for view in large if view.has_room(need)]
    if not with_room:
        return Choice([], f"waits for {in_words(need)}: {_free(need, large)}")
    return Choice(sorted(with_room, key=_order(need, placement, near)))


def _order(need: Amounts, placement: Placement | None, near: NodeId | None) -> Callable[[NodeView], Any]:
    """Return the key by which the best node comes first. Among equal ones, this node comes first.

    What needs nothing, such as a supervisor, goes to the entry node if this node has no CPUs.
    """

    def is_other(view: NodeView) -> tuple[bool, NodeId | None]:
        return view.daemon is not None, view.node

    match placement:
        case Strategy.SPREAD:
            return lambda view: (view.actors_count, -view.free.get(CPUS, 0.0), *is_other(view))
        case Strategy.PACK:
            return lambda view: (view.free_share(need), *is_other(view))
    return lambda view: (
        near is None or view.node != near,
        view.daemon is not None,
        bool(need) or not view.is_entry,
        -view.free_share(need),
        view.node,
    )


def _allowed(label: str, placement: Placement | None, views: Sequence[NodeView]) -> Sequence[NodeView]:
    """Return the nodes that the placement allows."""
    match placement:
        case OnNode(node):
            found = [view for view in views if view.node is not None and view.node.hex().startswith(node)]
            if len(found) == 1:
                return found
            what = "is the beginning of several ids" if found else "is no node of the cluster"
            raise PlacementError(
                f"{label} did not start: placement={placement}: {node} {what}; the nodes are "
                f"{_listed(short(view.node) for view in views if view.node is not None) or 'this one alone'}"
            )
        case HasLabels(wanted):
            found = [view for view in views if all(view.labels.get(name) == value for name, value in wanted)]
            if found:
                return found
            raise PlacementError(f"{label} did not start: {_no_labels(wanted, views)}")
    return views


def _no_labels(wanted: Sequence[tuple[str, str]], views: Sequence[NodeView]) -> str:
    known = {f"{name}={value}" for view in views for name, value in view.labels.items()}
    missing = [f"{name}={value}" for name, value in wanted if f"{name}={value}" not in known]
    have = f"the labels are {_listed(sorted(known))}" if known else "no node has labels; --label NAME=VALUE gives one"
    if missing:
        return f"no node has the label {' or '.join(missing)}; {have}"
    return f"no node has all of {', '.join(f'{name}={value}' for name, value in wanted)}"


def _too_small(need: Amounts, views: Sequence[NodeView]) -> str:
    with_cpus = [view for view in views if view.most(CPUS)]
    if not with_cpus:
        return "the nodes where it may run have no CPUs, so they run drivers only; start a node with CPUs"
    for name, amount in need.items():
        most = max(view.most(name) for view in with_cpus)
        if amount > most:
            is_one = len(views) == 1
            have = f"{'the' if is_one else 'the largest'} node has {most:g}"
            if not most:
                have = "the node has none" if is_one else "no node has any"
            return f"it reserves {name}={amount:g}, and {have}; reserve less, or start a node that has more"
    return f"it reserves {in_words(need)}, and no node has all of that; reserve less, or start a node that has more"


def _free(need: Amounts, views: Sequence[NodeView]) -> str:
    return _listed(
        f"{view.name} has "
        + ", ".join(f"{max(view.free.get(name, 0.0), 0.0):g} of {view.total[name]:g} {name} free" for name in need)
        for view in views
    )


def in_words(need: Amounts) -> str:
    """Return amounts in words."""
    return ", ".join(f"{amount:g} {name}" for name, amount in need.items())


def _listed(texts: Iterable[str]) -> str:
    texts = list(texts)
    more = len(texts) - SHOWN_COUNT
    return ", ".join(texts[:SHOWN_COUNT]) + (f" and {more} more" if more > 0 else "")
