"""What actors that step environments, which are others' code, do when one raises: say where, and begin anew."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import actorrt as art

T = TypeVar("T")


class EnvStepper(art.Actor):
    """An actor that fails with its environments: what raised once is in no state to go on."""

    @contextlib.contextmanager
    def _playing(self, where: Callable[[], str]) -> Iterator[None]:
        """Let what environments raise end the message in hand, and this incarnation: the next message finds another.

        Args:
            where: says what was stepped or reset last; it becomes a note of the error.
        """
        try:
            yield
        except art.ActorRtError:  # another role's: whoever acts for this one may be gone; the environments are well
            raise
        except Exception as error:
            error.add_note(where())
            self.context.ref.fail.tell(f"{type(error).__name__}: {error}")
            raise

    def _make(self, make: Callable[[], T]) -> T | None:
        """Return what makes the environments, or None where it raises: the next message that needs them does then.

        Raises:
            Exception: this is the first incarnation, whose start fails with it.
        """
        self._unmade: Exception | None = None
        try:
            return make()
        except Exception as error:  # the environment's; a restart that fails would be tried for ever, and told nobody
            if self.context.incarnation == 1:
                raise
            self._unmade = error
            return None

    def _require_made(self) -> None:
        """Raise what kept the environments from being made, if anything did."""
        if self._unmade is not None:
            raise self._unmade

    def fail(self, why: str) -> None:
        """Fail; told rather than asked, it is the end of this incarnation.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(why)
