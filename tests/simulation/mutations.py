"""Mutations of the runtime: each takes one safeguard away, so that a world has to find what is broken then.

A mutation replaces a text in the source of one function while a `with` block runs. It changes the code object, so that
references to the function see the change too. If the function or its text is no longer there, the mutation raises
`MutationError`: then it has to be written anew.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pkgutil import resolve_name
from types import CodeType, FunctionType
from typing import Final, NamedTuple

from tests.simulation.parts import begin_notes
from tests.simulation.standard import new_world, standard

SHORT_S: Final = 20.0
"""How long a short story is, in virtual seconds. Most mutations are found in one, and it takes less time."""
MOST_S: Final = 1_000.0
"""How long a story may take, in virtual seconds: one that takes longer hangs."""
OWN_FAULTS: Final = (NameError, SyntaxError, UnboundLocalError)
"""Errors that a mutation makes if it is badly written; they are no find."""


class MutationError(Exception):
    """A mutation does not fit the code any more."""


class Mutation(NamedTuple):
    """One safeguard that is taken away.

    Attributes:
        name: what the mutation does.
        breaks: which promise it breaks, in a sentence.
        place: the function, as "module:Class.function".
        old: a text in the function's source; it must occur once.
        new: replaces it.
    """

    name: str
    breaks: str
    place: str
    old: str
    new: str

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Mutate the runtime while the body runs.

        Raises:
            MutationError: the function, or the text in it, is not where it was.
        """
        function = self.function()
        code = function.__code__
        function.__code__ = self._mutated(function)
        try:
            yield
        finally:
            function.__code__ = code

    def function(self) -> FunctionType:
        """Return the function; raises MutationError if it is not there."""
        try:
            found = resolve_name(f"actorrt.{self.place}")
        except (ImportError, AttributeError) as error:
            raise MutationError(f"{self.name!r}: {self.place} is not there: {error}") from None
        if isinstance(found, property):
            found = found.fget
        if not isinstance(found, FunctionType):
            raise MutationError(f"{self.name!r}: {self.place} is no function, but {found!r}")
        return found

    def _mutated(self, function: FunctionType) -> CodeType:
        source = textwrap.dedent(inspect.getsource(function))
        count = source.count(self.old)
        if count != 1:
            raise MutationError(f"{self.name!r}: {self.old!r} is in {self.place} {count} times, and not once")
        compiled = compile(source.replace(self.old, self.new), function.__code__.co_filename, "exec")
        code = next(c for c in compiled.co_consts if isinstance(c, CodeType) and c.co_name == function.__name__)
        if code.co_freevars != function.__code__.co_freevars:
            raise MutationError(f"{self.name!r}: {self.place} uses other variables from outside than before")
        return code


def verdict_of(seed: int, length_s: float = SHORT_S) -> str:
    """Run the story of a seed; return what an oracle says against it, in one line, or an empty text."""
    world = new_world(seed)
    try:
        world.run(standard, world, length_s, timeout_s=MOST_S)
    except OWN_FAULTS:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace("\n", " ")
    finally:
        begin_notes()  # it keeps nothing of this run
    return ""
