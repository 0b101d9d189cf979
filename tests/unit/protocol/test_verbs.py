"""Every verb has an asker and a handler, an example, and forms for all of its fields and its answer."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path
from typing import Any

import msgpack
import pytest

import actorrt
from actorrt.protocol.verb import VERBS, Request, verb
from actorrt.transport.frames.codec import check_envelope, pack_envelope
from tests.unit.protocol.samples import SAMPLES

PACKAGE = Path(actorrt.__file__).parent
KNOWN = {request.__name__: request for request in VERBS.values() if request.__module__.startswith("actorrt.")}
ASKED_BY_TESTS = {"CheckInvariants"}
BY_NAME = pytest.mark.parametrize("name", sorted(KNOWN))


@cache
def mentions() -> tuple[set[str], set[str], set[str]]:
    """Return which requests are made somewhere outside the protocol, which are handled, and what strings are asked."""
    made, handled, untyped = set(), set(), set()
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "protocol":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            if isinstance(called, ast.Name) and called.id in KNOWN:
                made.add(called.id)
            elif isinstance(called, ast.Attribute) and called.attr == "by" and isinstance(called.value, ast.Name):
                handled.add(called.value.id)
            elif isinstance(called, ast.Attribute) and called.attr in ("request", "notify", "handle"):
                untyped |= {arg.value for arg in node.args if isinstance(arg, ast.Constant) and arg.value in VERBS}
    return made, handled, untyped


@BY_NAME
def test_verb_is_asked_somewhere_and_handled_somewhere(name: str) -> None:
    made, handled, _ = mentions()
    assert name in handled
    assert name in made or name in ASKED_BY_TESTS


def test_no_code_asks_or_handles_by_the_name_on_the_wire() -> None:
    assert mentions()[2] == set()


@BY_NAME
def test_verb_has_a_docstring_of_its_own_and_names_its_askers(name: str) -> None:
    request = KNOWN[name]
    said = inspect.getdoc(request)
    assert said
    assert said != inspect.getdoc(Request)
    assert request.asked_by


@BY_NAME
def test_verb_has_an_example_that_comes_back_from_the_wire_with_its_answer(name: str) -> None:
    ((request, answer),) = [sample for sample in SAMPLES if type(sample[0]) is KNOWN[name]]
    kind = type(request)
    assert carried(kind.unpack(carried(request.pack())).pack()) == carried(request.pack())
    read = kind.unpack_answer(carried(kind.pack_answer(answer)))
    assert type(read) is type(answer)
    assert kind.pack_answer(read) == kind.pack_answer(answer)


def carried(data: Any) -> Any:
    """Return data as it comes out of the transport."""
    packed = pack_envelope([0, data])
    check_envelope([0, data], len(packed), ())
    return msgpack.unpackb(packed, strict_map_key=False)[1]


def test_verb_is_made_once_and_of_a_version_that_is_spoken() -> None:
    cases = [("spawn", 1, "'spawn' is Spawn already"), ("new of tests", 99, "'new of tests' is of version 99")]
    for name, since, said in cases:
        with pytest.raises(TypeError, match=said):

            @verb(name, asked_by="tests", since=since)
            class _Again(Request[None]):
                """Nothing."""
