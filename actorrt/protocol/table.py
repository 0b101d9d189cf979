"""Pure: the protocol as tables for `docs/protocol.md`: envelopes, verbs, and what is inside both.

`python -m actorrt.protocol.table` prints them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from types import ModuleType
from typing import Any, Final, get_args

from actorrt.protocol import compiled
from actorrt.protocol.annotations import form_of, hints_of
from actorrt.protocol.cluster import code, control, drivers, listing, members, names, peers, questions, workers
from actorrt.protocol.kinds import KINDS
from actorrt.protocol.record_type import RecordField, RecordType, fields_of
from actorrt.protocol.verb import VERBS, Request, answer_of

MODULES: Final[tuple[ModuleType, ...]] = (
    *compiled.MODULES,
    code,
    control,
    drivers,
    listing,
    members,
    names,
    peers,
    questions,
    workers,
)
"""The modules that define verbs: those that every process uses, and those of clusters."""


def verbs_of(module: ModuleType) -> list[type[Request[Any]]]:
    """Return the requests of one module, in the order in which it has them."""
    return [request for request in VERBS.values() if request.__module__ == module.__name__]


def tables() -> str:
    """Return all of it as Markdown."""
    parts = ["## Envelopes", _rows(_envelope_rows())]
    for module in MODULES:
        says = (inspect.getdoc(module) or "").partition("\n")[0].removeprefix("Pure: ")
        name = module.__name__.rpartition(".")[2]
        parts += [f"## Verbs of {name}", f"{says[0].upper()}{says[1:]}", _rows(_verb_rows(module))]
    parts += ["## Records", _rows(_record_rows())]
    return "\n\n".join(parts)


def _rows(rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * lines[0].count(" | ") + "---|", *lines[1:]])


def _envelope_rows() -> Iterator[tuple[str, ...]]:
    yield "kind", "fields", "from", "to", "lane", "bound", "what it says"
    for number, kind in KINDS.items():
        fields = ", ".join(f"`{name}`" for name in hints_of(kind.fields) if name != "kind")
        name = kind.fields.__name__.removesuffix("Envelope")
        yield f"{number} {name}", fields, kind.sender, kind.taker, kind.lane, kind.bound, _says(kind.fields)


def _verb_rows(module: ModuleType) -> Iterator[tuple[str, ...]]:
    yield "verb", "class", "asked by", "with", "answer", "what is asked"
    for request in verbs_of(module):
        answer = form_of(answer_of(request)).words
        since = f" (since version {request.since_version})" if request.since_version > 1 else ""
        asked = (f"`{request.verb}`{since}", f"`{request.__name__}`", request.asked_by, _fields(request) or "nothing")
        yield *asked, answer, _says(request)


def _record_rows() -> Iterator[tuple[str, ...]]:
    yield "record", "fields", "what it says"
    found: dict[Any, None] = {}
    for module in MODULES:
        for request in verbs_of(module):
            _collect(answer_of(request), found)
            for hint in hints_of(request).values():
                _collect(hint, found)
    for cls in sorted(found, key=lambda cls: cls.__name__):
        yield f"`{cls.__name__}`", _fields(cls), _says(cls)


def _collect(annotation: Any, found: dict[Any, None]) -> None:
    for part in get_args(annotation):
        _collect(part, found)
    if annotation in found or not isinstance(annotation, type):
        return
    if isinstance(annotation, RecordType) or is_dataclass(annotation) or hasattr(annotation, "_fields"):
        found[annotation] = None
        for hint in hints_of(annotation).values():
            _collect(hint, found)


def _fields(cls: Any) -> str:
    hints = hints_of(cls)
    if hasattr(cls, "_fields"):
        return "; ".join(f"`{name}`: {form_of(hints[name]).words}" for name in cls._fields)
    return "; ".join(f"`{part.name}`: {form_of(hints[part.name]).words}{_since(part)}" for part in fields_of(cls))


def _since(field: RecordField) -> str:
    return f" (since version {field.since})" if field.since > 1 else ""


def _says(cls: Any) -> str:
    paragraph = (inspect.getdoc(cls) or "").partition("\n\n")[0]
    return paragraph.replace("\n", " ")


if __name__ == "__main__":
    print(tables())
