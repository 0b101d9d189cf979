"""What a worker refuses and says, without a process of its own."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace

import pytest

from actorrt import forks
from actorrt.actors.refs import current
from actorrt.completion import Completion
from actorrt.errors import RuntimeStateError
from actorrt.node.worker import main


def test_breakpoint_is_refused_with_advice_unless_the_user_has_chosen_a_debugger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTHONBREAKPOINT", raising=False)
    with pytest.raises(RuntimeStateError, match=r"has no terminal.*mode='local'.*PYTHONBREAKPOINT"):
        main._refuse_to_break()
    monkeypatch.setenv("PYTHONBREAKPOINT", "remote.debugger")
    monkeypatch.setattr(sys, "__breakpointhook__", lambda *args, **kwargs: (args, kwargs))
    assert main._refuse_to_break(1, two=2) == ((1,), {"two": 2})


def test_wait_that_would_block_the_loop_is_refused_with_advice() -> None:
    with pytest.raises(RuntimeStateError, match="in an actor would block the loop that has to complete it; use await"):
        main._refuse_to_block(Completion(), None)


def test_output_is_labelled_with_the_actor_whose_message_is_in_hand() -> None:
    assert main._label_of_current_code() == ""
    token = current.message.set(SimpleNamespace(cell=SimpleNamespace(label="Sim-1234")))  # type: ignore[arg-type]
    try:
        assert main._label_of_current_code() == "Sim-1234"
    finally:
        current.message.reset(token)


async def test_child_of_users_code_is_ended_in_the_thread_of_the_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[None] = []
    monkeypatch.setattr(forks, "end_if_child", lambda: ended.append(None))
    returning = main._EndOfForkedChild(asyncio.get_running_loop())
    await asyncio.to_thread(returning.abandon_after_fork)
    await asyncio.sleep(0)
    assert ended == []
    returning.abandon_after_fork()
    await asyncio.sleep(0)
    assert ended == [None]
