"""The page about the protocol shows what the code says."""

from __future__ import annotations

from pathlib import Path

from actorrt.protocol.table import MODULES, tables, verbs_of
from actorrt.protocol.verb import VERBS

PAGE = Path(__file__).parents[3] / "docs" / "protocol.md"


def test_page_shows_the_tables_of_the_code() -> None:
    """Where this fails: put what `python -m actorrt.protocol.table` prints into the page, from `## Envelopes` on."""
    text = PAGE.read_text()
    assert text[text.index("## Envelopes") :] == f"{tables()}\n"


def test_tables_show_every_verb_of_the_protocol_once() -> None:
    shown = [request for module in MODULES for request in verbs_of(module)]
    known = [request for request in VERBS.values() if request.__module__.startswith("actorrt.")]
    assert sorted(request.verb for request in shown) == sorted(request.verb for request in known)
