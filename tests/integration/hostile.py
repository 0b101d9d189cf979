"""Exceptions and values that misbehave in every way there is; a module that workers can import."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import actorrt as art


class Mute(Exception):
    """Can't be shown."""

    def __str__(self) -> str:
        return str(self.missing)  # type: ignore[attr-defined]

    __repr__ = __str__


class Quitting(Exception):
    """Ends whoever shows it."""

    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class OddNotes(Exception):
    __notes__: Any = 7


class Irreducible(Exception):
    def __reduce__(self) -> Any:
        raise RuntimeError("not to be pickled")


class Unbuildable(Exception):
    """Is pickled by rules of its own, which don't hold."""

    def __reduce__(self) -> Any:
        return int, ("not a number",)


class Impostor(Exception):
    """Is rebuilt as something else."""

    def __reduce__(self) -> Any:
        return list, ()


class Interrupting(Exception):
    """Is rebuilt as what would end its receiver."""

    def __reduce__(self) -> Any:
        return KeyboardInterrupt, ()


class Liar(Exception):
    """Says that it is of another class."""

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
    """Its class answers no question."""


class Untouchable(Exception):
    """Takes no attribute, and does not let go of its traceback."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise RuntimeError(f"{name} is not to be set")

    def add_note(self, note: str) -> None:
        raise RuntimeError("no notes")

    def with_traceback(self, trace: Any) -> Any:
        raise RuntimeError("no tracebacks")


class Fixed(Exception):
    """Has the attribute that says whether a call ran, and does not let it change."""

    @property
    def executed(self) -> str:
        raise RuntimeError("not to be asked")


class TwoArguments(Exception):
    """Has a constructor of its own."""

    def __init__(self, what: str, count: int, *, why: str = "") -> None:
        super().__init__(f"{count} times {what}")
        self.what, self.count, self.why = what, count, why


class Holding(ValueError):
    """Has an attribute that can't be pickled, beside one that can."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()
        self.kept = "kept"


class Failed(OSError):
    """One of Python's own that keeps more than its arguments, with a constructor of its own."""

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
    """A value that does not say what it is when it is pickled or rebuilt."""

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
    """Raises whatever it is told to, wherever."""

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
