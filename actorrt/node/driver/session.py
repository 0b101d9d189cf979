"""`init` and `shutdown`: one runtime for a whole script or notebook, with its loop in a background thread."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections.abc import Coroutine
from contextlib import suppress
from threading import get_ident
from typing import Any, Final, TypeVar

from actorrt import forks
from actorrt.actors.refs import current
from actorrt.completion import Completion, set_blocking_rule, set_rule_of_other_threads
from actorrt.errors import RuntimeStateError
from actorrt.interrupts import watched
from actorrt.node.driver.runtime import Runtime, finished, refuse_to_block
from actorrt.node.driver.runtime_options import is_token
from actorrt.scopes import Scope
from actorrt.tasks.working.thread_waits import ThreadWaits

logger = logging.getLogger(__name__)

T = TypeVar("T")

INTERRUPTED_TIMEOUT_S: Final = 15.0
"""How long an operation that Ctrl-C interrupted may take to clean up: an embedded node ends in less."""


class BackgroundLoop:
    """Runs coroutines on a uvloop in a daemon thread."""

    def __init__(self) -> None:
        import uvloop

        self._loop = uvloop.new_event_loop()
        self._loop.call_soon(self._begin)  # the thread does not run yet, so this comes before all that `run` adds
        self._thread = threading.Thread(target=self._main, name="actorrt", daemon=True)
        self._thread.start()

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        set_blocking_rule(refuse_to_block)
        self._loop.run_forever()
        set_blocking_rule(None)
        self._loop.run_until_complete(self._scope.close())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _begin(self) -> None:
        self._scope = Scope("session", lambda error: logger.critical("the session's loop failed", exc_info=error))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        outcome: Completion[T] = Completion()
        tasks: list[asyncio.Task[None]] = []

        async def work() -> None:
            try:
                outcome.set_value(await coroutine)
            except BaseException as error:
                outcome.set_error(error)

        self._loop.call_soon_threadsafe(lambda: tasks.append(self._scope.start(work(), "session")))
        try:
            return outcome.result()
        except KeyboardInterrupt:
            self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
            with suppress(Exception, asyncio.CancelledError):  # wait for its clean-up, unless Ctrl-C comes again
                outcome.result(INTERRUPTED_TIMEOUT_S)
            raise

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


class CallingLoop:
    """Local mode in plain code: a loop in the calling thread, which runs while a call waits in `result()`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        set_blocking_rule(self._pump, self._loop)
        set_rule_of_other_threads(ThreadWaits(get_ident()).wait)

    def _pump(self, completion: Completion[Any], timeout_s: float | None) -> None:
        if self._loop.is_running():
            refuse_to_block(completion, timeout_s)
        else:
            self.run(finished(completion, timeout_s))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        endpoint = current.process_endpoint()
        if endpoint is not None:
            endpoint.threads.enter()
        try:
            with watched():
                return self._loop.run_until_complete(coroutine)
        finally:
            endpoint = current.process_endpoint()
            if endpoint is not None:
                endpoint.threads.leave()

    def close(self) -> None:
        set_blocking_rule(None)
        set_rule_of_other_threads(None)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


class RunningLoop:
    """Local mode in async code or a notebook: everything runs on the loop that is running.

    The start of a node without processes never waits, so a plain function can start it. Its end waits, so it runs as
    a task.
    """

    def __init__(self) -> None:
        self._scope = Scope("session", lambda error: logger.critical("the session failed", exc_info=error))
        set_blocking_rule(refuse_to_block)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            coroutine.send(None)
        except StopIteration as end:
            value: T = end.value
            return value
        coroutine.close()
        raise RuntimeStateError("in async code use `async with actorrt.Runtime(...)` instead of init()")

    def end(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run the coroutine that ends the session, in the background."""
        self._scope.start(coroutine, "shutdown")

    def close(self) -> None:
        set_blocking_rule(None)


class Session:
    """The runtime that `init` started, and its loop."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.loop = _loop_for(options["mode"])
        self.runtime = Runtime(**options)
        forks.abandon_in_children(self)

    def abandon_after_fork(self) -> None:
        """Forget the session, which is the parent's, and the lock, which a thread of the parent may hold."""
        global _session, _lock
        _session = None
        _lock = threading.Lock()

    def open(self) -> None:
        try:
            self.loop.run(self.runtime.start())
        except BaseException:
            self.loop.close()
            raise

    def close(self) -> None:
        forks.forget(self)
        try:
            if isinstance(self.loop, RunningLoop):
                self.loop.end(self.runtime.close())
            else:
                self.loop.run(self.runtime.close())
        finally:
            self.loop.close()


def _loop_for(mode: str) -> BackgroundLoop | CallingLoop | RunningLoop:
    if mode != "local":
        return BackgroundLoop()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return CallingLoop()
    return RunningLoop()


_session: Session | None = None
_lock = threading.Lock()


def init(
    address: str | None = None,
    *,
    token: str | None = None,
    mode: str = "node",
    cpus: int | None = None,
    gpus: int | None = None,
    store_bytes: int | None = None,
    namespace: str = "default",
) -> Runtime:
    """Start the runtime for a script or a notebook, and return its `Runtime`.

    A second call with the same arguments returns the same runtime. After the node was lost, a call starts a new one.
    The runtime is shut down when the interpreter exits.

    Args:
        address: None connects to what `ACTORRT_ADDRESS` and `ACTORRT_TOKEN` name, and if these are not set starts an
            embedded node as a child process. `"auto"` or a URL connects to a running node of this machine. A join
            token, or `"tcp://host:port"` with `token`, drives a cluster: from a machine without a node of it, by an
            embedded node of zero CPUs that joins.
        token: of the cluster, as `actorrt token` prints it.
        mode: `"local"` runs every actor on one loop in the calling thread, so that debuggers and Ctrl-C work.
        cpus, gpus, store_bytes: the resources of an embedded node; None: those of the machine.
        namespace: the namespace of the names that this driver gives and looks up.

    Raises:
        RuntimeStateError: a runtime was started with other arguments; the node did not start; or this process was
            forked from one that has a runtime.
        PeerUnreachableError: no node is at the address.
        AuthenticationError: the cluster refuses the token.
        TypeError, ValueError: an option has a wrong type or value.
    """
    global _session
    forks.check()
    options: dict[str, Any] = {
        "address": address,
        "token": token,
        "mode": mode,
        "cpus": cpus,
        "gpus": gpus,
        "store_bytes": store_bytes,
        "namespace": namespace,
    }
    with _lock:
        if _session is not None and _session.runtime.has_lost_its_node:
            lost, _session = _session, None
            lost.close()
        if _session is not None:
            if _session.options != options:
                raise RuntimeStateError(_difference(_session.options, options))
            return _session.runtime
        present = current.process_endpoint()
        if present is not None and not present.is_closed:
            raise RuntimeStateError("a Runtime is connected in this process already: use it, init() is not needed")
        Runtime(**options)  # refuses wrong options before anything starts
        session = Session(options)
        session.open()
        _session = session
        return session.runtime


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    changed = ", ".join(
        f"{name}={_shown(value)} (it has {_shown(old[name])})" for name, value in new.items() if old[name] != value
    )
    return f"the runtime is started already, with other arguments than {changed}: call actorrt.shutdown() first"


def _shown(value: Any) -> str:
    """Return an option for an error; a token is a secret."""
    return "a token" if isinstance(value, str) and is_token(value) else repr(value)


def shutdown() -> None:
    """Stop the runtime that `init` started; leave no process, socket, memory or file behind. Idempotent."""
    global _session
    with _lock:
        session, _session = _session, None
        if session is not None:
            session.close()


atexit.register(shutdown)
