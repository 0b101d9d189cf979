"""What checkers know of an actor's options is what there is."""

from __future__ import annotations

from enum import StrEnum
from typing import get_args, get_type_hints

import pytest

from actorrt.actors.policy.option_types import OptionTypes
from actorrt.actors.policy.options import OPTION_NAMES, IfExists, Isolation, Overflow, RestartType


def test_every_option_has_a_type() -> None:
    assert set(OptionTypes.__annotations__) == OPTION_NAMES


@pytest.mark.parametrize(
    ("option", "enum"),
    [("if_exists", IfExists), ("isolation", Isolation), ("restart", RestartType), ("overflow", Overflow)],
)
def test_choices_are_those_of_the_enum(option: str, enum: type[StrEnum]) -> None:
    kind = get_type_hints(OptionTypes)[option]
    choices = {value for part in (kind, *get_args(kind)) for value in get_args(part) if isinstance(value, str)}
    assert choices == {member.value for member in enum}
