"""`init` and `shutdown` in local mode, and the loops that a session may run on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

import actorrt as art
from actorrt.actors.refs import current
from actorrt.completion import Completion
from actorrt.errors import RuntimeStateError
from actorrt.node.driver import session as session_module
from actorrt.node.driver.session import BackgroundLoop, CallingLoop, RunningLoop, init, shutdown


@pytest.fixture(autouse=True)
def no_session() -> Iterator[None]:
    yield
    shutdown()


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def fail() -> None:
    raise KeyError("missing")


# The loops


def test_background_loop_runs_coroutines_in_a_thread_and_hands_back_values_and_errors() -> None:
    loop = BackgroundLoop()

    async def where() -> str:
        return threading.current_thread().name

    assert (loop.run(double(2)), loop.run(where())) == (4, "actorrt")
    with pytest.raises(KeyError, match="missing"):
        loop.run(fail())
    loop.close()


def test_background_loop_refuses_to_be_waited_for_on_its_own_thread() -> None:
    loop = BackgroundLoop()

    async def wait_here() -> None:
        Completion[None]().result(1.0)

    with pytest.raises(RuntimeStateError, match=r"\.result\(\) would block the loop that has to complete it"):
        loop.run(wait_here())
    loop.close()


def test_interrupted_wait_cancels_its_coroutine_and_waits_for_its_clean_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = BackgroundLoop()
    began, undone = threading.Event(), threading.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            undone.set()

    result = Completion.result

    def interrupted(self: Completion[None], timeout_s: float | None = None) -> None:
        if timeout_s is None:
            assert began.wait(5)
            raise KeyboardInterrupt
        return result(self, timeout_s)

    monkeypatch.setattr(Completion, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.run(work())
    assert undone.is_set()
    loop.close()


def test_calling_loop_runs_in_this_thread_and_turns_while_somebody_waits() -> None:
    loop = CallingLoop()
    assert loop.run(double(3)) == 6
    done = Completion[int]()
    loop._loop.call_soon(done.set_value, 5)
    assert done.result() == 5

    async def wait_inside() -> None:
        Completion[None]().result(1.0)

    with pytest.raises(RuntimeStateError, match="would block the loop"):
        loop.run(wait_inside())
    loop.close()


async def test_running_loop_runs_coroutines_that_never_wait_and_refuses_others() -> None:
    loop = RunningLoop()

    async def at_once() -> str:
        return "done"

    assert loop.run(at_once()) == "done"
    with pytest.raises(KeyError):
        loop.run(fail())
    with pytest.raises(RuntimeStateError, match="in async code use `async with"):
        loop.run(double(1))
    loop.close()


# One session for a process


def test_init_returns_the_same_runtime_for_the_same_arguments_and_refuses_others() -> None:
    runtime = init(mode="local", cpus=1)
    assert init(mode="local", cpus=1) is runtime
    with pytest.raises(RuntimeStateError) as caught:
        init(mode="local", cpus=2, namespace="other")
    assert str(caught.value) == (
        "the runtime is started already, with other arguments than cpus=2 (it has 1), namespace='other' (it has "
        "'default'): call actorrt.shutdown() first"
    )
    shutdown()
    assert current.process_endpoint() is None
    assert init(mode="local", cpus=2) is not runtime


@pytest.mark.parametrize(("options", "error"), [({"cpus": 0}, ValueError), ({"namespace": 3}, TypeError)])
def test_wrong_options_start_nothing(options: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        init(mode="local", **options)  # type: ignore[arg-type]
    assert (session_module._session, current.process_endpoint()) == (None, None)


async def test_init_beside_a_runtime_is_refused() -> None:
    async with art.Runtime(mode="local"):
        with pytest.raises(RuntimeStateError, match=r"a Runtime is connected in this process already.*not needed"):
            init(mode="local")


def test_init_after_its_node_was_lost_starts_another(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = init(mode="local", cpus=1)
    monkeypatch.setattr(type(lost._connection), "is_lost", True)
    fresh = init(mode="local", cpus=1)
    assert fresh is not lost
    monkeypatch.undo()
    assert init(mode="local", cpus=1) is fresh


def test_start_that_fails_leaves_no_session_and_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_node(_: object) -> None:
        raise RuntimeStateError("the node did not start")

    monkeypatch.setattr(art.Runtime, "start", no_node)
    with pytest.raises(RuntimeStateError, match="the node did not start"):
        init(mode="local")
    assert session_module._session is None


def test_shutdown_without_a_session_does_nothing() -> None:
    shutdown()
    shutdown()
    assert session_module._session is None
