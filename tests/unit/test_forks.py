"""Registered objects are disabled in a forked child, and only there."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from actorrt import forks
from actorrt.errors import RuntimeStateError


class Abandoned:
    """Counts how often it was disabled."""

    def __init__(self) -> None:
        self.count = 0

    def abandon_after_fork(self) -> None:
        self.count += 1


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Restore the state that a pretended fork changes in this process."""
    in_use = list(forks._in_use)
    yield
    forks.abandoned.clear()
    for thing in in_use:
        forks.abandon_in_children(thing)


def fork() -> None:
    """Do in this process what a forked child does."""
    forks._after_fork_in_child()


@pytest.fixture
def nothing_in_use() -> None:
    forks._in_use.clear()


@pytest.mark.usefixtures("nothing_in_use")
def test_registered_objects_are_disabled_once_and_kept_alive() -> None:
    thing = Abandoned()
    forks.abandon_in_children(thing)
    forks.abandon_in_children(thing)
    fork()
    assert thing.count == 1
    assert forks.abandoned == [thing]
    fork()
    assert thing.count == 1
    kept = weakref.ref(thing)
    del thing
    gc.collect()
    assert kept() is not None


@pytest.mark.usefixtures("nothing_in_use")
def test_child_is_refused_with_the_next_step() -> None:
    forks.check()
    assert not forks.is_child()
    forks.abandon_in_children(thing := Abandoned())
    fork()
    assert forks.is_child()
    with pytest.raises(RuntimeStateError, match=r"make it an actor, .*before actorrt\.init") as caught:
        forks.check()
    assert caught.value.executed == "no"
    assert thing.count == 1


@pytest.mark.usefixtures("nothing_in_use")
def test_process_that_forks_without_a_runtime_has_children_that_may_use_it() -> None:
    ended = Abandoned()
    forks.abandon_in_children(ended)
    forks.forget(ended)
    forks.forget(ended)
    fork()
    forks.check()
    assert (ended.count, forks.is_child()) == (0, False)


@pytest.mark.usefixtures("nothing_in_use")
def test_object_that_nobody_uses_any_more_is_not_kept_for_a_fork() -> None:
    thing = Abandoned()
    forks.abandon_in_children(thing)
    gone = weakref.ref(thing)
    del thing
    gc.collect()
    assert gone() is None
    fork()
    assert not forks.is_child()


@pytest.mark.usefixtures("nothing_in_use")
def test_child_that_returns_to_the_loop_ends_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[int, bytes]] = []

    def end(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(forks.os, "write", lambda descriptor, text: written.append((descriptor, text)))
    monkeypatch.setattr(forks.os, "_exit", end)
    forks.end_if_child()
    assert written == []
    forks.abandon_in_children(thing := Abandoned())
    fork()
    with pytest.raises(SystemExit) as caught:
        forks.end_if_child()
    assert caught.value.code == forks.EXIT_STRAY
    [(descriptor, text)] = written
    assert descriptor == 2
    assert b"end such a process with os._exit() inside the method or the task" in text
    assert thing.count == 1
