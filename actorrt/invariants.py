"""Pure: the error that says where state of the runtime contradicts itself. For tests, and for people who seek a defect.

Each table that others rely on has a `check_invariants()`, which looks at all that the table holds, and is true between
any two callbacks of its loop. It raises `BrokenInvariantError` with what is known of the thing concerned.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class BrokenInvariantError(AssertionError):
    """A table of the runtime contradicts itself.

    Attributes:
        subject: the id of the actor, call or object concerned; None if it is not one alone.
    """

    def __init__(self, what: str, subject: Hashable = None) -> None:
        super().__init__(what)
        self.subject = subject


@contextmanager
def about(subject: Hashable) -> Iterator[None]:
    """Name the thing that an `assert` in the block is about."""
    try:
        yield
    except BrokenInvariantError:
        raise
    except AssertionError as error:
        raise BrokenInvariantError(str(error), subject) from error
