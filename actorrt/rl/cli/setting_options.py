"""The settings of all algorithms as options of the command line: `--learning-rate 1e-4` sets `learning_rate`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from actorrt.rl.algorithms.catalogue import KINDS

WORDS: dict[str, Any] = {"true": True, "false": False, "none": None, "null": None}
ELSEWHERE = ("steps",)  # an option of the command itself
PREFIX = "setting_"


def add_setting_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each setting that at least one algorithm has."""
    group = parser.add_argument_group(
        "settings of the algorithm",
        "The preset of the environment, or the default, decides those that are left out. Several numbers are\n"
        "separated by commas, as in --hidden 64,64. docs/guides/training.md explains the settings.",
    )
    for name, kinds in _names().items():
        known = "" if len(kinds) == len(KINDS) else f"{', '.join(kinds)} only"
        group.add_argument(_option(name), dest=f"{PREFIX}{name}", metavar="VALUE", help=known or None)


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given, by name."""
    texts = {name: getattr(arguments, f"{PREFIX}{name}") for name in _names()}
    return {name: _value(name, text) for name, text in texts.items() if text is not None}


def parsed(text: str) -> Any:
    """Return the value that a text stands for: a number, true, false, none, or else the text itself."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return WORDS.get(text.lower(), text)


def pairs(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """Return the values of `name=value` texts by name, or of one text that is a JSON object.

    Raises:
        ValueError: a text is neither; the message names the option.
    """
    if len(texts) == 1 and texts[0].lstrip().startswith("{"):
        try:
            return dict(json.loads(texts[0]))
        except ValueError as error:
            raise ValueError(f"{option} {texts[0]!r} is no JSON object: {error}") from None
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{option} takes NAME=VALUE or one JSON object, not {text!r}")
        values[name] = parsed(value)
    return values


def _names() -> dict[str, list[str]]:
    """Return the algorithms that have each setting, by the setting's name."""
    kinds: dict[str, list[str]] = {}
    for kind in KINDS:
        for field in dataclasses.fields(kind.settings_class):
            if field.name not in ELSEWHERE:
                kinds.setdefault(field.name, []).append(kind.settings_class.algorithm)
    return kinds


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _value(name: str, text: str) -> Any:
    if name in _several() and text.lower() not in WORDS:
        return tuple(parsed(part) for part in text.split(",") if part.strip())
    return parsed(text)


def _several() -> set[str]:
    """Return the names of settings that have several values."""
    fields = (field for kind in KINDS for field in dataclasses.fields(kind.settings_class))
    return {field.name for field in fields if "tuple" in str(field.type)}
