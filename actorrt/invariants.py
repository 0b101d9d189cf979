"""Pure: the error for state of the runtime that contradicts itself. For tests, and for finding a defect.

Each table that other modules rely on has a `check_invariants()`, which checks every entry. Its rules hold between any
two callbacks of the table's loop. It raises `BrokenInvariantError`, whose text describes the entry that breaks a rule.
"""

from __future__ import annotations

from collections.abc import Hashable
from types import TracebackType


class BrokenInvariantError(AssertionError):
    """A table of the runtime contradicts itself.

    Attributes:
        subject: the id of the actor, call or object that breaks the rule; None if there is not exactly one.
    """

    def __init__(self, what: str, subject: Hashable = None) -> None:
        super().__init__(what)
        self.subject = subject


class about:
    """Turns an AssertionError of the block into a `BrokenInvariantError` about this subject.

    Args:
        subject: the id of an actor, a call or an object; None if there is not exactly one.
    """

    __slots__ = ("_subject",)

    def __init__(self, subject: Hashable) -> None:
        self._subject = subject

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, AssertionError) and not isinstance(error, BrokenInvariantError):
            raise BrokenInvariantError(str(error), self._subject) from error
