"""The death of a daemon that has drivers, and the death of drivers whose node survives."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

import actorrt as art
from actorrt.actors.refs import current
from actorrt.node.driver import driver_connection, embedded_node
from actorrt.node.driver import runtime as art_runtime
from actorrt.store.connection import socket_channel
from tests.integration.cast import Counter, Echo, Gate
from tests.running import (
    Node,
    Script,
    descendants_of,
    is_running,
    own_directory,
    runtime_directory,
    wait_until,
    wait_until_none_runs,
)


@pytest.fixture
def directory():
    with own_directory() as path, runtime_directory(path):
        yield path


def daemon_of(descendants):
    """Return the daemon among the children of this process."""
    (daemon,) = [pid for pid in descendants if Path(f"/proc/{pid}/comm").read_text() == "actorrt-node\n"]
    return daemon


def test_death_of_the_daemon_fails_pending_and_later_operations_typed_and_shutdown_works(directory):
    before = set(descendants_of(os.getpid()))
    art.init(cpus=2)
    gate = Gate.options(isolation="process").spawn().result(10)
    light = Counter.spawn().result(10)
    ref = art.put(b"x" * 200_000)
    mine = [pid for pid in descendants_of(os.getpid()) if pid not in before]
    waiting, start, down = gate.wait(), Gate.options(cpus=1).spawn(), art.monitor(gate)
    os.kill(daemon_of(mine), signal.SIGKILL)
    with pytest.raises(art.ActorDiedError) as caught:
        waiting.result(10)
    assert caught.value.reason.kind is art.ExitKind.NODE_LOST
    for outcome in (start, down):
        with pytest.raises(art.ActorRtError):
            outcome.result(10)
    for later in (light.add, lambda: Counter.spawn(), lambda: art.lookup("x", timeout_s=5), light.stop):
        with pytest.raises(art.ActorRtError):
            later().result(10)
    with pytest.raises(art.ActorRtError):
        art.put(b"y" * 200_000)
    del ref
    art.shutdown()
    wait_until_none_runs(mine, within_s=5)
    art.init(cpus=1)
    assert Counter.spawn(1).result(10).add().result(10) == 2
    art.shutdown()


def test_init_after_the_node_was_lost_starts_a_new_node(directory):
    before = set(descendants_of(os.getpid()))
    lost = art.init(cpus=2)
    counter = Counter.spawn().result(10)
    daemon = daemon_of([pid for pid in descendants_of(os.getpid()) if pid not in before])
    os.kill(daemon, signal.SIGKILL)
    wait_until_none_runs([daemon], within_s=5)
    runtime = art.init(cpus=1)
    assert runtime is not lost
    assert art.init(cpus=1) is runtime
    assert Counter.spawn(1).result(10).add().result(10) == 2
    with pytest.raises(art.RuntimeStateError, match="lost its node"):
        counter.add().result(10)
    art.shutdown()


def test_operations_after_the_node_was_lost_raise_an_error_that_names_the_next_step(directory):
    before = set(descendants_of(os.getpid()))
    runtime = art.init(cpus=2)
    counter = Counter.spawn().result(10)
    monitor = art.monitor(counter)
    os.kill(daemon_of([pid for pid in descendants_of(os.getpid()) if pid not in before]), signal.SIGKILL)
    with pytest.raises(art.ActorDiedError):
        monitor.result(10)
    error = r"lost its node unix://.* \(process \d+\) ended; actorrt.init\(\), or a new Runtime, starts another"
    asked = {
        "ask": counter.add,
        "tell": counter.add.tell,
        "stop": counter.stop,
        "alive": counter.is_alive,
        "spawn": Counter.spawn,
        "lookup": lambda: art.lookup("x", timeout_s=5),
        "put": lambda: art.put(b"y"),
        "status": runtime.status,
    }
    for ask in asked.values():
        with pytest.raises(art.RuntimeStateError, match=error):
            ask().result(10)
    art.shutdown()


def test_calls_with_objects_and_results_in_the_store_fail_with_node_lost_and_no_error_is_logged(directory, caplog):
    before = set(descendants_of(os.getpid()))
    art.init(cpus=2)
    counter, gate = Counter.spawn().result(10), Gate.options(isolation="process").spawn().result(10)
    large = b"x" * 2_000_000
    calls = [
        gate.wait(),
        counter.add(gate.wait.ref()),
        gate.wait_within(large),
        gate.wait_within(art.put(large)),
        gate.wait(),
    ]
    result = gate.wait_within.ref(large)
    os.kill(daemon_of([pid for pid in descendants_of(os.getpid()) if pid not in before]), signal.SIGKILL)
    for call in calls:
        with pytest.raises(art.ActorDiedError, match="node_lost"):
            call.result(10)
    with pytest.raises(art.ObjectLostError):
        result.get(10)
    with pytest.raises(art.RuntimeStateError, match="lost its node"):
        gate.wait().result(10)
    art.shutdown()
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


def test_call_whose_result_waits_in_the_store_ends_with_the_node(directory):
    before = set(descendants_of(os.getpid()))
    art.init(cpus=1)
    echo = Echo.options(isolation="process").spawn().result(10)
    assert len(echo.ones(20_000).result(10)) == 20_000  # from now on the worker makes such results without a request
    daemon = daemon_of([pid for pid in descendants_of(os.getpid()) if pid not in before])
    os.kill(daemon, signal.SIGSTOP)  # so that the seal of the next result is not reported
    call = echo.ones(20_000)
    awaiting = current.process_endpoint().arrivals._awaiting
    wait_until(lambda: awaiting, "the result that is in the store")
    os.kill(daemon, signal.SIGKILL)
    with pytest.raises(art.ActorDiedError, match="node_lost"):
        call.result(10)
    art.shutdown()


class Severed(art.Actor):
    """Breaks the connections of its process to the store, as the kernel does for a daemon that dies."""

    def pid(self):
        return os.getpid()

    def wait_for(self, value):
        return value

    def sever_events(self):
        """End the connection on which the loop gets notices of objects."""
        current.endpoint().require_store()._connection._channel._events.shutdown(socket.SHUT_RDWR)

    def sever_requests_and_put(self):
        """End the connection on which all threads send requests to the store, and send a request."""
        requests_socket(current.endpoint().require_store()).shutdown(socket.SHUT_RDWR)
        try:
            art.put(b"x" * 200_000)
        except art.ObjectLostError:
            return "lost"


@pytest.mark.parametrize("method", ["sever_events", "sever_requests_and_put"])
def test_worker_whose_store_connection_breaks_ends_without_an_answer_and_its_calls_end_with_the_node(directory, method):
    before = set(descendants_of(os.getpid()))
    art.init(cpus=2)
    gate = Gate.options(isolation="process").spawn().result(10)
    severed = Severed.options(isolation="process", max_concurrency=9).spawn().result(10)
    calls = [severed.wait_for(gate.wait.ref())]
    pid = severed.pid().result(10)  # by then `wait_for` has sent its request to the store
    daemon = daemon_of([each for each in descendants_of(os.getpid()) if each not in before])
    os.kill(daemon, signal.SIGSTOP)  # a daemon that dies sends nothing between the end of its sockets and its own end
    try:
        if method == "sever_events":
            severed.sever_events.tell()
        else:
            calls.append(severed.sever_requests_and_put())
        wait_until(lambda: not is_running(pid) or any(call.done() for call in calls), "the worker's end, or an answer")
        assert [call.error() for call in calls if call.done()] == []
    finally:
        os.kill(daemon, signal.SIGKILL)
    for call in calls:
        with pytest.raises(art.ActorDiedError, match="node_lost"):
            call.result(10)
    art.shutdown()


def is_notice(line):
    """Return whether a line is a notice about waiting, which a busy machine causes."""
    return line.startswith("actorrt: waiting for")


def test_loss_of_its_node_is_reported_to_a_script_at_once_in_one_line(directory, tmp_path):
    code = """
    import signal, threading
    import actorrt as art

    art.init(cpus=1)
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    print("ready", flush=True)
    end.wait(3600)
    """
    with Script(code, tmp_path, directory) as script:
        assert script.line() == "ready"
        os.kill(daemon_of(descendants_of(script.pid)), signal.SIGKILL)
        report = next(line for line in script.process.stderr if not is_notice(line))
        script.send(signal.SIGTERM)
        script.finish()
    assert "the runtime lost its node unix://" in report
    assert "actorrt.init()" in report
    assert [line for line in script.stderr.splitlines() if not is_notice(line)] == []
    assert script.process.returncode == 0


async def test_death_of_the_daemon_fails_pending_calls_of_an_async_runtime(directory):
    before = set(descendants_of(os.getpid()))
    async with art.Runtime(cpus=2):
        gate = await Gate.spawn()
        mine = [pid for pid in descendants_of(os.getpid()) if pid not in before]
        waiting = gate.wait()
        os.kill(daemon_of(mine), signal.SIGKILL)
        with pytest.raises(art.ActorDiedError) as caught:
            await waiting
        assert (caught.value.executed, caught.value.reason.kind) == ("maybe", art.ExitKind.NODE_LOST)
    wait_until_none_runs(mine, within_s=5)


def test_sigterm_of_the_daemon_fails_pending_calls_of_its_driver(directory):
    before = set(descendants_of(os.getpid()))
    art.init(cpus=2)
    gate = Gate.spawn().result(10)
    mine = [pid for pid in descendants_of(os.getpid()) if pid not in before]
    waiting = gate.wait()
    os.kill(daemon_of(mine), signal.SIGTERM)
    with pytest.raises(art.ActorRtError):
        waiting.result(10)
    art.shutdown()
    wait_until_none_runs(mine, within_s=5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_standalone_node_ends_on_a_signal_and_leaves_nothing(directory, number):
    node = Node("--cpus=2", directory=directory)
    art.init(address=node.url)
    counter = Counter.options(isolation="process").spawn().result(10)
    pids = [*descendants_of(node.pid), counter.pid().result(10)]
    assert node.end(number) == 0
    wait_until_none_runs(pids, within_s=5)
    with pytest.raises(art.ActorRtError):
        counter.add().result(10)
    art.shutdown()


def test_killed_standalone_node_leaves_no_process_and_is_not_found_by_the_next_driver(directory):
    node = Node("--cpus=2", directory=directory)
    pids = descendants_of(node.pid)
    assert node.end(signal.SIGKILL) == -signal.SIGKILL
    wait_until_none_runs(pids, within_s=5)
    with pytest.raises(art.PeerUnreachableError, match="actorrt node"):
        art.init(address="auto")


def test_address_auto_finds_the_node_and_two_drivers_share_it_without_sharing_names(directory, tmp_path):
    code = """
    import actorrt as art

    class Counter(art.Actor):
        def __init__(self, n):
            self.n = n
        def add(self):
            self.n += 1
            return self.n

    art.init(address="auto", namespace={namespace!r})
    counter = Counter.options(name="counter", isolation="process").spawn(10).result(10)
    print("ready", flush=True)
    print(counter.add().result(10), flush=True)
    import threading
    threading.Event().wait()
    """
    node = Node("--cpus=4", directory=directory)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with (
        Script(code.format(namespace="a"), tmp_path / "a", directory) as one,
        Script(code.format(namespace="b"), tmp_path / "b", directory) as two,
    ):
        assert [one.line(), two.line(), one.line(), two.line()] == ["ready", "ready", "11", "11"]
        runtime = art.init(address="auto")
        status = runtime.status().result(10)
        assert len(status["jobs"]) == 3
        assert [actor["label"] for actor in status["actors"]] == ["counter", "counter"]
        one.send(signal.SIGKILL)
        status = wait_until(
            lambda: (found := runtime.status().result(10)) and len(found["jobs"]) == 2 and found, "the job's end"
        )
        assert [actor["label"] for actor in status["actors"]] == ["counter"]
        assert len(status["workers"]) == 1
        art.shutdown()
    assert node.end() == 0


def test_detached_actor_survives_its_job_and_is_found_by_the_next_driver(directory):
    node = Node("--cpus=2", directory=directory)
    art.init(address=node.url)
    counter = Counter.options(name="stays", detached=True, isolation="process").spawn(5).result(10)
    pid = counter.pid().result(10)
    art.shutdown()
    art.init(address=node.url)
    again = art.lookup("stays").result(10)
    assert (again.value().result(10), again.pid().result(10)) == (5, pid)
    again.stop().result(10)
    wait_until_none_runs([pid], within_s=5)
    art.shutdown()
    assert node.end() == 0


def requests_socket(client):
    """Return the socket for the requests of a store client."""
    return client._connection._channel._socket


def test_driver_whose_store_connection_breaks_gets_node_lost_errors_and_can_start_a_new_node(directory):
    lost = art.init(cpus=2)
    gate = Gate.spawn().result(10)
    waiting = gate.wait()
    requests_socket(lost.endpoint.require_store()).shutdown(socket.SHUT_RDWR)
    with pytest.raises(art.ActorDiedError, match="object store broke") as caught:
        waiting.result(10)
    assert caught.value.reason.kind is art.ExitKind.NODE_LOST
    with pytest.raises(art.RuntimeStateError, match="lost its node"):
        Gate.spawn()
    assert art.init(cpus=1) is not lost
    assert Counter.spawn(1).result(10).add().result(10) == 2
    art.shutdown()


def test_shutdown_returns_even_if_the_node_is_frozen(directory, monkeypatch):
    monkeypatch.setattr(art_runtime, "FROZEN_S", 2.0)
    monkeypatch.setattr(embedded_node, "STOP_TIMEOUT_S", 0.5)
    before = set(descendants_of(os.getpid()))
    art.init(cpus=1)
    mine = [pid for pid in descendants_of(os.getpid()) if pid not in before]
    os.kill(daemon_of(mine), signal.SIGSTOP)
    art.shutdown()
    wait_until_none_runs(mine, within_s=5)


def test_connection_to_a_frozen_node_times_out(directory, monkeypatch):
    monkeypatch.setattr(driver_connection, "NODE_ANSWER_TIMEOUT_S", 0.5)
    monkeypatch.setattr(socket_channel, "REQUEST_TIMEOUT_S", 1.0)
    node = Node("--cpus=1", directory=directory)
    os.kill(node.pid, signal.SIGSTOP)
    try:
        with pytest.raises(art.PeerUnreachableError):
            art.init(address=node.url)
    finally:
        os.kill(node.pid, signal.SIGCONT)
    assert node.end() == 0


def test_node_that_ends_while_a_script_connects_fails_init_and_the_next_init_works(directory, monkeypatch):
    connect = driver_connection.DaemonConnection._connect

    async def connect_and_lose(self, node, namespace):
        await connect(self, node, namespace)
        os.kill(node.pid, signal.SIGKILL)
        wait_until_none_runs([node.pid], within_s=5)

    monkeypatch.setattr(driver_connection.DaemonConnection, "_connect", connect_and_lose)
    with pytest.raises(art.PeerUnreachableError, match="ended while this process connected"):
        art.init(cpus=1)
    monkeypatch.undo()
    with runtime_directory(directory):
        assert art.init(cpus=1).status().result(10)["totals"]["actors"] == 0
        art.shutdown()
