"""Pure: the error for state of the runtime that contradicts itself. For tests, and for finding a defect.

Each table that other modules rely on has a `check_invariants()`, which checks every entry. Its rules hold between any
two callbacks of the table's loop. It raises `BrokenInvariantError`, whose text describes the entry that breaks a rule.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class BrokenInvariantError(AssertionError):
    """A table of the runtime contradicts itself.

    Attributes:
        subject: the id of the actor, call or object that breaks the rule; None if there is not exactly one.
    """

    def __init__(self, what: str, subject: Hashable = None) -> None:
        super().__init__(what)
        self.subject = subject


@contextmanager
def about(subject: Hashable) -> Iterator[None]:
    """Turn an AssertionError of the block into a `BrokenInvariantError` about this subject."""
    try:
        yield
    except BrokenInvariantError:
        raise
    except AssertionError as error:
        raise BrokenInvariantError(str(error), subject) from error
