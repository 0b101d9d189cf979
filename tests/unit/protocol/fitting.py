"""Whether envelopes are what their descriptions say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from actorrt.protocol.annotations import form_of, hints_of
from actorrt.protocol.forms import Form
from actorrt.protocol.kinds import KINDS


@cache
def _form(kind: int) -> tuple[Form, int]:
    fields = KINDS[kind].fields
    return form_of(fields), len(hints_of(fields))


def check_fits(envelope: Sequence[Any]) -> None:
    """Refuse an envelope of an unknown kind, of more or fewer fields, or of fields of other types."""
    form, length = _form(envelope[0])
    assert len(envelope) == length, f"{envelope!r} has not {length} fields"
    form.read(list(envelope))
