"""Pure: how durations, clocks and clusters read in messages for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_UNITS: Final = ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes"))


def duration(seconds: float) -> str:
    """Return a duration in its greatest fitting unit, such as `62 minutes`."""
    for length_s, unit in _UNITS:
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def short_cluster(fingerprint: bytes) -> str:
    """Return the first 12 hex digits of a cluster's id."""
    return fingerprint[:6].hex()


def either(words: Sequence[str]) -> str:
    """Return the words as an enumeration, such as `a, b or c`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "nothing"
