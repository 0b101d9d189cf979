"""The base of actors that step environments: if a user's environment raises, say where, and restart."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import actorrt as art

T = TypeVar("T")


class EnvStepper(art.Actor):
    """An actor that fails if an environment raises, since such an environment can't be used any more."""

    @contextlib.contextmanager
    def _playing(self, where: Callable[[], str]) -> Iterator[None]:
        """End the current message and this incarnation if an environment raises.

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
        """Make the environments; return None if that raises, and let the next message that needs them raise it.

        Raises:
            Exception: in the first incarnation, whose start then fails.
        """
        self._making_error: Exception | None = None
        try:
            return make()
        except (
            Exception
        ) as error:  # of the environment; a restart that fails would be retried for ever, unseen by users
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
