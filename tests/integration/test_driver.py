"""Start and stop of a runtime: init, shutdown, Runtime and run, under each event loop; nothing is left afterwards."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
import uvloop

import actorrt as art
from tests.integration.cast import Counter

RUNTIMES = [{"cpus": 2}, {"mode": "local"}]


@pytest.fixture(params=RUNTIMES, ids=["embedded", "local"])
def options(request):
    return request.param


@pytest.fixture
def shut_down():
    yield
    art.shutdown()


def entries():
    return list(Path(os.environ["ACTORRT_RUNTIME_DIR"]).iterdir())


def test_init_with_the_same_arguments_returns_the_same_runtime(options, shut_down):
    assert art.init(**options) is art.init(**options)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"namespace": "other"}, "namespace='other'"), ({"store_bytes": 1 << 27}, "store_bytes=134217728")],
)
def test_init_with_other_arguments_is_an_error_that_names_the_difference(options, shut_down, changes, named):
    runtime = art.init(**options)
    with pytest.raises(art.RuntimeStateError, match=named):
        art.init(**{**options, **changes})
    assert art.init(**options) is runtime


def test_shutdown_is_idempotent_and_init_works_again(options):
    before = entries()
    for _ in range(2):
        art.init(**options)
        assert Counter.spawn(1).result(10).add().result(10) == 2
        art.shutdown()
        art.shutdown()
        assert entries() == before


def test_call_of_a_ref_after_shutdown_raises_the_typed_error(options):
    art.init(**options)
    counter = Counter.spawn().result(10)
    art.shutdown()
    with pytest.raises(art.ActorRtError):
        counter.add().result(5)


@pytest.mark.parametrize("options", [{"mode": "local"}, {"cpus": 1}], ids=["local", "node"])
def test_every_operation_on_a_runtime_after_its_shutdown_is_refused(options):
    art.init(**options)
    counter = Counter.spawn().result(10)
    art.shutdown()
    for _ in range(3):
        for ask in (counter.add, counter.add.tell, counter.stop, counter.is_alive):
            with pytest.raises(art.RuntimeStateError, match="was shut down"):
                ask().result(5)


def test_pending_call_raises_the_typed_error_when_the_runtime_is_shut_down(node):
    class Waiting(art.Actor):
        async def wait(self):
            await asyncio.Event().wait()

    art.init(address=node.url)
    reply = Waiting.options(shutdown_s=0.1).spawn().result(10).wait()
    art.shutdown()
    with pytest.raises(art.ActorDiedError):
        reply.result(5)


def test_embedded_node_starts_quickly():
    art.init(cpus=1)  # files that are read from disk only once are not measured
    art.shutdown()
    began = time.perf_counter()
    art.init(cpus=1)
    took_s = time.perf_counter() - began
    art.shutdown()
    assert took_s < 2


@pytest.mark.parametrize("bad", [{"mode": "remote"}, {"cpus": -1}, {"store_bytes": 0}, {"address": "x", "cpus": 2}])
def test_bad_option_is_a_value_error_and_nothing_starts(bad):
    with pytest.raises(ValueError):
        art.init(**bad)


def test_address_of_an_unknown_form_is_a_value_error():
    with pytest.raises(ValueError, match="address='localhost'"):
        art.init(address="localhost")


def test_address_without_a_node_is_an_error_of_one_line():
    with pytest.raises(art.PeerUnreachableError) as caught:
        art.init(address="tcp://127.0.0.1:1")
    assert "tcp://127.0.0.1:1" in str(caught.value)
    assert "actorrt node" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_init_while_another_runtime_runs_is_refused(node):
    async def main():
        with pytest.raises(art.RuntimeStateError):
            art.init()
        with pytest.raises(art.RuntimeStateError):
            await art.Runtime(mode="local").start()
        return await (await Counter.spawn(2)).value()

    assert art.run(main, address=node.url) == 2


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_runtime_works_on_the_running_loop(options, runner):
    async def main():
        async with art.Runtime(**options):
            counter = await Counter.spawn()
            return await art.gather(*[counter.add() for _ in range(50)])

    assert runner(main()) == list(range(1, 51))


def test_run_passes_arguments_and_returns_the_result(options):
    async def main(a, b):
        return a + await (await Counter.spawn(b)).value()

    assert art.run(main, 1, 2, **options) == 3


def test_run_raises_the_exception_of_main_and_leaves_nothing(options):
    async def main():
        await Counter.spawn()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        art.run(main, **options)
    assert art.run(_seven, **options) == 7


async def _seven():
    return 7


def test_run_of_a_value_that_is_no_coroutine_function_is_a_type_error():
    with pytest.raises(TypeError, match="coroutine function"):
        art.run(lambda: 1)


def test_closing_a_runtime_stops_its_actors_with_on_stop(tmp_path):
    class Writing(art.Actor):
        def __init__(self, path):
            self.path = path

        async def on_stop(self, reason):
            Path(self.path).write_text(str(reason.kind))

    art.init(cpus=1)
    Writing.spawn(str(tmp_path / "light")).result(10)
    Writing.options(cpus=1).spawn(str(tmp_path / "own")).result(10)
    art.shutdown()
    assert (tmp_path / "light").read_text() == "shutdown"
    assert (tmp_path / "own").read_text() == "shutdown"


def test_runtime_started_in_one_thread_works_from_another(node):
    import threading

    thread = threading.Thread(target=lambda: art.init(address=node.url))
    thread.start()
    thread.join()
    assert Counter.spawn(3).result(10).add().result(10) == 4
    art.shutdown()
