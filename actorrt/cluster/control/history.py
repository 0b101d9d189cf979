"""Pure: notices a control store that has forgotten writes."""

from __future__ import annotations

from actorrt.errors import ControlUnavailableError


class HistoryWatch:
    """Remembers the newest version of a store that any answer showed.

    Args:
        what: what a store that goes back is, for the error.

    Attributes:
        newest: the newest version seen.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.newest = 0

    def wrote(self, version: int) -> None:
        """Take the version in the answer to a write, which may be an older one: the write may be a repeated one."""
        self.newest = max(self.newest, version)

    def read(self, version: int, known: int) -> None:
        """Take the version of a store that was read.

        Args:
            version: of the store.
            known: `newest`, when the question was sent. Answers may overtake each other.

        Raises:
            ControlUnavailableError: the store has gone back: it is a copy of an older state, which must not decide
                anything.
        """
        if version < known:
            raise ControlUnavailableError(
                f"the control store has gone back from version {known} to {version}: {self._what}"
            )
        self.newest = max(self.newest, version)
