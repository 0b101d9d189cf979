"""Where exceptions of methods were raised, on their way to their callers."""

from __future__ import annotations

from types import TracebackType

from actorrt.actors.wire.origins import KEPT_COUNT, Origins
from actorrt.ids import PeerId

CALLER, OTHER = PeerId(b"c" * 16), PeerId(b"o" * 16)


def raised() -> ValueError:
    try:
        raise ValueError("wrong")
    except ValueError as error:
        return error


def test_traceback_is_taken_once_by_the_call_that_it_belongs_to() -> None:
    origins, error = Origins(), raised()
    origins.keep(CALLER, 7, error)
    assert origins.take(OTHER, 7) is origins.take(CALLER, 8) is None
    trace = origins.take(CALLER, 7)
    assert isinstance(trace, TracebackType)
    assert trace.tb_frame.f_code.co_name == "raised"
    assert origins.take(CALLER, 7) is None


def test_exception_that_no_users_code_raised_has_no_origin() -> None:
    origins = Origins()
    origins.keep(CALLER, 7, ValueError("never raised"))
    assert origins.take(CALLER, 7) is None


def test_only_the_newest_are_kept() -> None:
    origins = Origins()
    for number in range(KEPT_COUNT + 1):
        origins.keep(CALLER, number, raised())
    kept = [number for number in range(KEPT_COUNT + 1) if origins.take(CALLER, number) is not None]
    assert kept == list(range(1, KEPT_COUNT + 1))
