"""Pure: repeated lines of output folded into one line and a count.

Two lines are alike if the lines, and the labels of their actors, differ in digits only: when eight simulators print the
same warning, it is shown once. A line of the actor that was shown first is shown again whenever its text changes, so an
actor that counts its steps remains visible. When the window ends, the last folded line is shown with the number of
folded lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from actorrt.config import FOLD_WINDOW_S

FOLD_MAX_KEYS: Final = 1_000
_DIGITS: Final = re.compile(r"\d+(\.\d+)?")
_ID: Final = re.compile(r"-[0-9a-f]{8}\b")  # the end of the label of an actor without a name

_Key = tuple[str, str, str]


@dataclass(slots=True)
class _Fold:
    started_at: float
    shown_label: str
    last_shown_text: str
    folded_count: int = 0
    last_label: str = ""
    last_text: str = ""


class Folder:
    """Decides which lines are shown, and how.

    Args:
        window_s: the time, after a line was shown, in which lines that are alike are folded.
        max_keys: the number of different lines that are remembered; beyond that, the oldest window ends early.
    """

    def __init__(self, window_s: float = FOLD_WINDOW_S, max_keys: int = FOLD_MAX_KEYS) -> None:
        self._window_s = window_s
        self._max_keys = max_keys
        self._folds: dict[_Key, _Fold] = {}  # in the order in which their windows began

    @property
    def due_at(self) -> float | None:
        """The time when the next window ends; None if there is no window."""
        oldest = next(iter(self._folds.values()), None)
        return None if oldest is None else oldest.started_at + self._window_s

    def add(self, label: str, stream: str, line: str, now: float) -> list[str]:
        """Return the lines to show: those of windows that have ended by now, then the new line unless it is folded."""
        shown = self.flush(now)
        key = (_without_digits(_ID.sub("-0", label)), stream, _without_digits(line))
        fold = self._folds.get(key)
        if fold is None:
            shown += self._make_room(now)
            self._folds[key] = _Fold(now, label, line)
        elif label == fold.shown_label and line != fold.last_shown_text:
            fold.last_shown_text = line
        else:
            fold.folded_count += 1
            fold.last_label, fold.last_text = label, line
            return shown
        return [*shown, f"({label}) {line}"]

    def _make_room(self, now: float) -> list[str]:
        if len(self._folds) < self._max_keys:
            return []
        return self._end_oldest(now)

    def flush(self, now: float) -> list[str]:
        """End the windows that are over by `now`; return the lines to show."""
        shown = []
        while (due_at := self.due_at) is not None and due_at <= now:
            shown += self._end_oldest(now)
        return shown

    def close(self, now: float) -> list[str]:
        """End every window; return the lines to show."""
        shown = []
        while self._folds:
            shown += self._end_oldest(now)
        return shown

    def _end_oldest(self, now: float) -> list[str]:
        fold = self._folds.pop(next(iter(self._folds)))
        if fold.folded_count == 0:
            return []
        line = f"({fold.last_label}) {fold.last_text}"
        if fold.folded_count == 1:
            return [line]
        elapsed_s = min(now - fold.started_at, self._window_s)
        return [f"{line} [repeated {fold.folded_count}x in {elapsed_s:.0f} s]"]


def _without_digits(text: str) -> str:
    return _DIGITS.sub("0", text)
