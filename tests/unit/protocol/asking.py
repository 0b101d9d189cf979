"""Verbs that only tests know."""

from __future__ import annotations

from typing import Any

from actorrt.protocol.verb import Request, verb


@verb("ask_of_tests", asked_by="tests")
class Ask(Request[Any]):
    """Answer anything."""

    name: str = ""


@verb("note_of_tests", asked_by="tests")
class Note(Request[None]):
    """Be told something."""

    name: str
