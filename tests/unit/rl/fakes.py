"""Fakes of the runtime for tests of single modules: replies that a test completes, refs that note their calls."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import actorrt as art
from actorrt.completion import Completion


class FakeReply(Completion[Any]):
    """A reply that a test completes."""

    def __init__(self) -> None:
        super().__init__()
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    @classmethod
    def of(cls, outcome: Any) -> FakeReply:
        """Return a reply that has come: with a value, or with an error."""
        reply = cls()
        if isinstance(outcome, BaseException):
            reply.set_error(outcome)
        else:
            reply.set_value(outcome)
        return reply


class FakeMethod:
    """A method of a fake ref: asking notes the call."""

    def __init__(self, ref: FakeRef, name: str, options: dict[str, Any]) -> None:
        self._ref, self._name, self._options = ref, name, options

    def __call__(self, *args: Any, **kwargs: Any) -> FakeReply:
        return self._ref.asked(self._name, args, kwargs, self._options)

    def tell(self, *args: Any, **kwargs: Any) -> None:
        self._ref.asked(f"{self._name}.tell", args, kwargs, self._options)

    def options(self, **options: Any) -> FakeMethod:
        return FakeMethod(self._ref, self._name, options)


class FakeRef:
    """An actor as others see it: every method can be asked.

    Args:
        name: for people.
        **answers: by method: a value, an error, or a function of the arguments that returns either, or a reply. A call
            of a method without an answer is left open, for the test to complete.

    Attributes:
        calls: method and arguments of every call; keyword arguments and call options only where there are any.
        open: the replies without an answer so far, in order.
    """

    def __init__(self, name: str = "actor", **answers: Any) -> None:
        self._name, self._answers = name, answers
        self.calls: list[tuple[Any, ...]] = []
        self.open: list[FakeReply] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return FakeMethod(self, name, {})

    def __repr__(self) -> str:
        return f"<{self._name}>"

    def asked(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> FakeReply:
        self.calls.append((name, *args, *([kwargs] if kwargs else []), *([options] if options else [])))
        if name not in self._answers:
            self.open.append(FakeReply())
            return self.open[-1]
        answer = self._answers[name]
        outcome = answer(*args, **kwargs) if callable(answer) else answer
        return outcome if isinstance(outcome, FakeReply) else FakeReply.of(outcome)


class Clock:
    """A clock that moves only in waits, and when a test sets it.

    `wait` stands in for `wait_for_first`. If no reply has arrived, the timeout passes at once, and the clock then
    stands at exactly the end of the wait.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float | None] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, replies: Collection[Any], timeout_s: float | None, wakeup: Any = None) -> FakeReply:
        self.waits.append(timeout_s)
        done = [reply for reply in replies if reply.done()]
        if not done and not (wakeup is not None and wakeup.done()):
            assert timeout_s is not None, "nothing would ever end this wait"
            self.now += timeout_s
        return FakeReply.of((done, [reply for reply in replies if not reply.done()]))


def unavailable(text: str = "it is being restarted") -> art.ActorUnavailableError:
    return art.ActorUnavailableError(text, executed="maybe")


def in_turn(*outcomes: Any) -> Callable[..., Any]:
    """Return a function that returns these one after the other, whatever its arguments."""
    remaining = list(outcomes)
    return lambda *args, **kwargs: remaining.pop(0)
