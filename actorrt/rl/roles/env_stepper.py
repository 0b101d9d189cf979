"""The base of actors that step environments: if a user's environment is broken, say where, and restart."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import actorrt as art
from actorrt.rl.foundation.failures import RAISES_LIMIT

T = TypeVar("T")


class EnvStepper(art.Actor):
    """An actor that fails if an environment is broken: a new process may help where making it anew did not."""

    @contextlib.contextmanager
    def _playing(self, where: Callable[[], str]) -> Iterator[None]:
        """End the current message and this incarnation if an environment's error gets here.

        The next message reaches a new incarnation.

        Args:
            where: returns what was stepped or reset last; it becomes a note of the error.
        """
        try:
            yield
        except art.ActorRtError:  # of another role, such as the inference actor; the environments are fine
            raise
        except Exception as error:
            error.add_note(where())
            self.context.ref.fail.tell(f"{type(error).__name__}: {error}")
            raise

    def _make(self, make: Callable[[], T]) -> T | None:
        """Make the environments; return None if that raises again and again, and let the next message raise it.

        A restart that fails would be retried for ever, unseen by users.

        Raises:
            Exception: in the first incarnation, whose start then fails.
        """
        for _ in range(RAISES_LIMIT):
            self._making_error: Exception | None = None
            try:
                return make()
            except Exception as error:  # of the user's environment
                if self.context.incarnation == 1:
                    raise
                self._making_error = error
        return None

    def _require_made(self) -> None:
        """Raise the error that prevented the environments from being made, if there was one."""
        if self._making_error is not None:
            raise self._making_error

    def fail(self, why: str) -> None:
        """Raise an error. As a tell, this ends the incarnation.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(why)
