"""Pure: what has waited for a while, and may wait for itself: which of it is to be looked into, and when.

A suspect is probed when it has waited for one look, and again after pauses that grow with its wait. While one probe is
under way, which a stopped process may delay for long, there is no second one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import islice
from typing import Final, Generic, TypeVar

LOOKS_AT_ONCE: Final = 1_000

S = TypeVar("S", bound=Hashable)


class Suspects(Generic[S]):
    """The suspects of one endpoint.

    Args:
        look_every_s: how often they are looked at; what has waited for less is not probed.
        probe_every_s: the longest pause between two probes.
    """

    def __init__(self, look_every_s: float, probe_every_s: float) -> None:
        self._look_every_s = look_every_s
        self._probe_every_s = probe_every_s
        self._watched: dict[S, tuple[float, float]] = {}  # since when each waits, and when it is probed next
        self._probed: set[S] = set()
        self._is_looking = False

    def suspect(self, suspect: S) -> bool:
        """Called when something begins to wait. Return whether looks have to begin, every `look_every_s`."""
        self._watched.setdefault(suspect, (0.0, 0.0))
        begins, self._is_looking = not self._is_looking, True
        return begins

    def look(self, now: float, waiting_since: Callable[[S], float | None]) -> list[S]:
        """Return those that are to be probed now; `probed` is to be called when a probe is over.

        Args:
            now: the time.
            waiting_since: returns since when a suspect has waited; `now` if it does not wait at present; None if it is
                none any more.
        """
        due: list[S] = []
        for suspect in list(islice(self._watched, LOOKS_AT_ONCE)):
            known_since, probe_at = self._watched.pop(suspect)
            since = waiting_since(suspect)
            if since is None:
                continue
            age_s = now - since
            if since != known_since:
                probe_at = 0.0  # another wait
            if now >= probe_at and age_s >= self._look_every_s and suspect not in self._probed:
                self._probed.add(suspect)
                due.append(suspect)
                probe_at = now + min(age_s, self._probe_every_s)
            self._watched[suspect] = since, probe_at  # behind those that were not looked at
        self._is_looking = bool(self._watched)
        return due

    @property
    def is_looking(self) -> bool:
        """Whether there is to be another look."""
        return self._is_looking

    def probed(self, suspect: S, *, is_again: bool = False) -> None:
        """Called when a probe is over. The next look probes again if that is asked for."""
        self._probed.discard(suspect)
        if is_again and suspect in self._watched:
            self._watched[suspect] = self._watched[suspect][0], 0.0

    def check_invariants(self) -> None:
        """Raise AssertionError if the suspects contradict themselves."""
        assert self._is_looking or not self._watched, f"nobody looks at {len(self._watched)} suspects"
