"""The error of calls that a simulation can't repeat from its seed."""

from __future__ import annotations

from typing import Final, NoReturn

from actorrt.errors import RuntimeStateError

_ADVICE: Final = (
    "a World repeats a run from its seed, so it refuses threads, real sockets, blocking sleeps and the operating "
    "system's entropy; take time from `time`, chance from `random`, and wait with `await`"
)


def refused(call: str) -> NoReturn:
    """Refuse a call inside `World.run`.

    Raises:
        RuntimeStateError: always.
    """
    raise RuntimeStateError(f"{call} inside World.run: {_ADVICE}")
