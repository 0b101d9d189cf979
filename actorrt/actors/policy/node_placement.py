"""Pure: the values of the option `placement`: on which node of a cluster an actor runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from string import hexdigits
from typing import Any, Final, TypeAlias

from actorrt.ids import ID_BYTES
from actorrt.texts import encodable

WANTED: Final = "give 'pack', 'spread', art.node(id) or labels such as {'zone': 'a'}"


class Strategy(StrEnum):
    """How a node is chosen among those that have room: the fullest, or the one with the fewest actors of the job."""

    PACK = "pack"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class OnNode:
    """One node, by the beginning of its id in hex."""

    node: str

    def __str__(self) -> str:
        return f"art.node({self.node!r})"


@dataclass(frozen=True, slots=True)
class HasLabels:
    """A node with these labels."""

    labels: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return str(dict(self.labels))


Placement: TypeAlias = Strategy | OnNode | HasLabels


def node(id: str | bytes) -> OnNode:
    """Return the placement on one node.

    Args:
        id: the node's id, or the beginning of it, as `actorrt nodes` prints it.

    Raises:
        TypeError, ValueError: this is no beginning of an id.
    """
    text = id.hex() if isinstance(id, bytes) else id
    if not isinstance(text, str):
        raise TypeError(f"art.node({id!r}): give the id of a node, in hex")
    if not text or len(text) > 2 * ID_BYTES or set(text) - set(hexdigits):
        raise ValueError(f"art.node({id!r}): give the id of a node, in hex, or its first digits")
    return OnNode(text.lower())


def check(option: str, value: Any) -> Placement | None:
    """Return the placement that a user has given.

    Raises:
        TypeError, ValueError: this is none.
    """
    match value:
        case None | Strategy() | OnNode() | HasLabels():
            return value
        case str():
            if value in set(Strategy):
                return Strategy(value)
            raise ValueError(f"option {option}={value!r}: {WANTED}")
        case Mapping():
            return _labels(option, value)
    raise TypeError(f"option {option}={value!r}: {WANTED}")


def _labels(option: str, labels: Mapping[Any, Any]) -> HasLabels:
    for name, value in labels.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"option {option}={dict(labels)!r}: labels and their values are strings")
        if encodable(name) != name or encodable(value) != value:
            raise ValueError(f"option {option}={dict(labels)!r}: a label is not valid Unicode")
    if not labels:
        raise ValueError(f"option {option}={{}}: {WANTED}")
    return HasLabels(tuple(sorted(labels.items())))


def to_data(placement: Placement) -> Any:
    """Return a placement as plain data for the wire."""
    match placement:
        case Strategy():
            return placement.value
        case OnNode(node):
            return ["node", node]
        case HasLabels(labels):
            return ["labels", dict(labels)]


def from_data(data: Any) -> Placement:
    """Rebuild the placement that `to_data` made.

    Raises:
        ValueError: the data are none.
    """
    match data:
        case str():
            return Strategy(data)
        case ["node", str(node)]:
            return OnNode(node)
        case ["labels", dict(labels)]:
            return _labels("placement", labels)
    raise ValueError(f"{data!r} is no placement")
