"""The settings of all algorithms as options of the command line: `--learning-rate 1e-4` sets `learning_rate`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import json
import re
from collections.abc import Sequence
from typing import Any

from actorrt.rl.algorithms.catalogue import KINDS
from actorrt.rl.settings.foreign_names import ELSEWHERE as FOREIGN
from actorrt.rl.settings.foreign_names import own_name

WORDS: dict[str, Any] = {"true": True, "false": False, "none": None, "null": None}
ELSEWHERE = ("steps",)  # an option of the command itself
POSITIONAL = ("command", "hint", "algorithm", "environment")  # of the parsed arguments, those that are no options
PREFIX = "setting_"
POWER = re.compile(r"[+-]?\d+[eE]\+?\d\d?")  # such as 1e6: a whole number


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


def hint_for_unknown(chosen: argparse.Namespace, unknown: Sequence[str]) -> str:
    """Return what to give in place of an option that does not exist; an empty text if nothing is known.

    Args:
        chosen: the arguments that do exist, given or not.
        unknown: the arguments that do not.
    """
    options = [name.removeprefix(PREFIX) for name in vars(chosen) if name not in POSITIONAL]
    for text in unknown:
        name = text[2:].partition("=")[0].replace("-", "_")
        if not text.startswith("--") or name in options:
            continue
        if own_name(name) in options:
            return f"{_option(name)} is called {_option(own_name(name))} here"
        if name in FOREIGN:
            return f"in place of {_option(name)}: {FOREIGN[name]}"
        near = difflib.get_close_matches(name, options, n=1)
        return f"did you mean {_option(near[0])}?" if near else ""
    return ""


def whole(text: str) -> int:
    """Return the whole number that a text stands for, such as 1000000, 1_000_000 or 1e6."""
    value = parsed(text)
    if not isinstance(value, int) or isinstance(value, bool):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return value


def parsed(text: str) -> Any:
    """Return the value that a text stands for: a number, true, false, none, or else the text itself."""
    if POWER.fullmatch(text):
        return int(float(text))
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
