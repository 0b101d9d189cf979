"""Pure: checks of the arguments of clients' messages. A ValueError ends the connection of the message."""

from __future__ import annotations

from typing import Any, Final

from actorrt.ids import ID_BYTES, ObjectId
from actorrt.store.table.versions import MAX_NAME_CHARACTERS, Key

_MAX_NODE_BYTES: Final = 4096


def object_id_of(value: Any) -> ObjectId:
    """Return a value as an object id."""
    if not isinstance(value, bytes) or len(value) != ID_BYTES:
        raise ValueError(f"an object id is {ID_BYTES} bytes, not {value!r}")
    return ObjectId(value)


def count_of(value: Any) -> int:
    """Return a value as a length or count."""
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"a length or count is a positive int, not {value!r}")
    return value


def flag_of(value: Any) -> bool:
    """Return a value as a flag."""
    if not isinstance(value, bool):
        raise ValueError(f"a flag is a bool, not {value!r}")
    return value


def scope_of(value: Any) -> bytes:
    """Return a value as a scope of names."""
    if not isinstance(value, bytes) or len(value) > ID_BYTES:
        raise ValueError(f"a scope is at most {ID_BYTES} bytes, not {value!r}")
    return value


def node_of(value: Any) -> bytes:
    """Return a value as the packed address of another node."""
    if not isinstance(value, bytes) or len(value) > _MAX_NODE_BYTES:
        raise ValueError(f"the address of a node is at most {_MAX_NODE_BYTES} bytes, not {value!r}")
    return value


def key_of(scope: Any, name: Any) -> Key:
    """Return a name in a scope."""
    if not isinstance(name, str) or len(name) > MAX_NAME_CHARACTERS:
        raise ValueError(f"a name is at most {MAX_NAME_CHARACTERS} characters, not {name!r}")
    return scope_of(scope), name
