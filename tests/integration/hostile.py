"""Exceptions and values that misbehave in many ways. Workers can import this module."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import actorrt as art


class Mute(Exception):
    """An exception whose `str` and `repr` raise."""

    def __str__(self) -> str:
        return str(self.missing)  # type: ignore[attr-defined]

    __repr__ = __str__


class Quitting(Exception):
    """An exception whose `str` and `repr` raise SystemExit."""

    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class OddNotes(Exception):
    __notes__: Any = 7


class Irreducible(Exception):
    def __reduce__(self) -> Any:
        raise RuntimeError("not to be pickled")


class Unbuildable(Exception):
    """An exception whose `__reduce__` returns a call that fails."""

    def __reduce__(self) -> Any:
        return int, ("not a number",)


class Impostor(Exception):
    """An exception that is unpickled as a list."""

    def __reduce__(self) -> Any:
        return list, ()


class Interrupting(Exception):
    """An exception that is unpickled as a KeyboardInterrupt, which would end the receiver."""

    def __reduce__(self) -> Any:
        return KeyboardInterrupt, ()


class Liar(Exception):
    """An exception whose `__class__` raises."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("not to be asked")


class Meta(type):
    @property
    def __name__(cls) -> Any:
        raise RuntimeError("no name")

    def __instancecheck__(cls, _: Any) -> bool:
        raise RuntimeError("no instances")

    def __subclasscheck__(cls, _: Any) -> bool:
        raise RuntimeError("no subclasses")


class Nameless(Exception, metaclass=Meta):
    """An exception whose class has no name and raises in instance and subclass checks."""


class Untouchable(Exception):
    """An exception that refuses new attributes, notes and tracebacks."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise RuntimeError(f"{name} is not to be set")

    def add_note(self, note: str) -> None:
        raise RuntimeError("no notes")

    def with_traceback(self, trace: Any) -> Any:
        raise RuntimeError("no tracebacks")


class Fixed(Exception):
    """An exception whose attribute `executed` is read-only and raises."""

    @property
    def executed(self) -> str:
        raise RuntimeError("not to be asked")


class TwoArguments(Exception):
    """An exception with its own constructor, whose arguments differ from `args`."""

    def __init__(self, what: str, count: int, *, why: str = "") -> None:
        super().__init__(f"{count} times {what}")
        self.what, self.count, self.why = what, count, why


class Holding(ValueError):
    """An exception with one attribute that can't be pickled and one that can."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()
        self.kept = "kept"


class Failed(OSError):
    """A subclass of OSError, which keeps more than its arguments, with its own constructor."""

    def __init__(self, path: str) -> None:
        super().__init__(2, "not there", path)


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int
    why: str


def caused_in_a_circle() -> BaseException:
    one, other = Mute(), ValueError("other \ud800")
    one.__cause__, other.__cause__ = other, one
    one.__context__ = other
    return one


def grouped() -> BaseException:
    inner = ExceptionGroup("inner \ud800", [Mute(), TwoArguments("a", 1), caused_in_a_circle()])  # type: ignore[list-item]
    return ExceptionGroup("outer", [inner, OddNotes("odd"), Quitting()])


def noted(note: Any) -> BaseException:
    error = ValueError("noted")
    error.__notes__ = note
    return error


MAKERS: dict[str, Callable[[], BaseException]] = {
    "surrogate": lambda: ValueError("bad \ud800 word"),
    "mute": Mute,
    "quitting": Quitting,
    "odd notes": lambda: OddNotes("odd"),
    "notes of another kind": lambda: noted(7),
    "notes with surrogates": lambda: noted(["\ud800", Mute()]),
    "irreducible": lambda: Irreducible("x"),
    "unbuildable": lambda: Unbuildable("x"),
    "impostor": lambda: Impostor("x"),
    "interrupting": lambda: Interrupting("x"),
    "liar": lambda: Liar("x"),
    "nameless": lambda: Nameless("x"),
    "untouchable": lambda: Untouchable("x"),
    "fixed": lambda: Fixed("x"),
    "two arguments": lambda: TwoArguments("a", 2),
    "holding": lambda: Holding("held"),
    "frozen": lambda: Frozen(7, "cold"),
    "circle of causes": caused_in_a_circle,
    "group": grouped,
    "arguments of any kind": lambda: ValueError(threading.Lock(), Mute(), b"\xff"),
    "huge": lambda: ValueError("x" * (40 << 20)),
    "cancelled": asyncio.CancelledError,
    "interrupt": KeyboardInterrupt,
    "generator exit": GeneratorExit,
    "stop iteration": lambda: StopIteration(7),
}


class Shy:
    """A value that raises when it is pickled, unpickled or shown."""

    def __init__(self, at: str, kind: type[BaseException]) -> None:
        self.at, self.kind = at, kind

    def __getstate__(self) -> Any:
        if self.at == "pickled":
            raise self.kind("while it is pickled")
        return self.__dict__

    def __setstate__(self, state: Any) -> None:
        if state["at"] == "rebuilt":
            raise state["kind"]("while it is rebuilt")
        self.__dict__.update(state)

    def __repr__(self) -> str:
        raise self.kind("while it is shown")


class Thrower(art.Actor):
    """Raises any exception of `MAKERS` in any kind of method."""

    def __init__(self, in_constructor: str | None = None, in_on_start: str | None = None) -> None:
        self.in_on_start = in_on_start
        self.in_on_stop: str | None = None
        if in_constructor is not None:
            raise MAKERS[in_constructor]()

    async def on_start(self) -> None:
        if self.in_on_start is not None:
            raise MAKERS[self.in_on_start]()

    async def on_stop(self, reason: Any) -> None:
        if self.in_on_stop is not None:
            raise MAKERS[self.in_on_stop]()

    def stop_badly(self, name: str) -> None:
        self.in_on_stop = name

    def plain(self, name: str) -> None:
        raise MAKERS[name]()

    async def at_once(self, name: str) -> None:
        raise MAKERS[name]()

    async def waiting(self, name: str) -> None:
        await asyncio.sleep(0)
        raise MAKERS[name]()

    async def streaming(self, name: str) -> Any:
        yield 1
        raise MAKERS[name]()

    def plain_streaming(self, name: str) -> Any:
        yield 1
        raise MAKERS[name]()

    def give(self, at: str, kind: type[BaseException]) -> Shy:
        return Shy(at, kind)

    async def give_many(self, at: str, kind: type[BaseException]) -> Any:
        yield 1
        yield Shy(at, kind)

    def exit(self, text: str) -> None:
        raise SystemExit(text)

    def raise_made(self) -> None:
        raise Failed("/nowhere")

    def incarnation(self) -> int:
        return self.context.incarnation

    def value(self) -> str:
        return "well"
