"""Checks of the arguments of clients' messages."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt.ids import ObjectId
from actorrt.store.server.arguments import count_of, flag_of, key_of, node_of, object_id_of, scope_of

X = b"x" * 16


def test_a_correct_argument_is_returned_as_it_is() -> None:
    assert object_id_of(X) == ObjectId(X)
    assert count_of(1) == 1
    assert flag_of(False) is False
    assert scope_of(b"") == b""
    assert node_of(b"n" * 4096) == b"n" * 4096
    assert key_of(b"job", "n" * 255) == (b"job", "n" * 255)


@pytest.mark.parametrize("value", [b"x" * 15, b"x" * 17, "x" * 16, None, 16, [X]])
def test_an_object_id_is_sixteen_bytes(value: Any) -> None:
    with pytest.raises(ValueError, match="an object id is 16 bytes, not "):
        object_id_of(value)


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", None])
def test_a_count_is_a_positive_int(value: Any) -> None:
    with pytest.raises(ValueError, match="a length or count is a positive int, not "):
        count_of(value)


@pytest.mark.parametrize("value", [0, 1, None, "yes"])
def test_a_flag_is_a_bool(value: Any) -> None:
    with pytest.raises(ValueError, match="a flag is a bool, not "):
        flag_of(value)


@pytest.mark.parametrize("value", [b"s" * 17, "scope", None])
def test_a_scope_is_at_most_sixteen_bytes(value: Any) -> None:
    with pytest.raises(ValueError, match="a scope is at most 16 bytes, not "):
        scope_of(value)


@pytest.mark.parametrize("value", [b"n" * 4097, "node", None])
def test_the_address_of_a_node_is_at_most_4096_bytes(value: Any) -> None:
    with pytest.raises(ValueError, match="at most 4096 bytes, not "):
        node_of(value)


@pytest.mark.parametrize("name", ["n" * 256, b"name", None])
def test_a_name_is_at_most_255_characters(name: Any) -> None:
    with pytest.raises(ValueError, match="a name is at most 255 characters, not "):
        key_of(b"job", name)
