"""Inside a run, time, chance and process ids of Python's own modules are the simulation's, and what can't be repeated
is refused.

Only the thread of the simulation is concerned; other threads, such as a test runner's watchdog, see the real functions.
Not covered: `datetime.now()`, which no module can replace, and names that were imported from `time` before.
"""

from __future__ import annotations

import gc
import os
import random
import secrets
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from threading import get_ident
from types import SimpleNamespace
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy.random
from cloudpickle import cloudpickle

from actorrt.store.values.pickling import no_classes_sent
from actorrt.testing.virtual import paths
from actorrt.testing.virtual.loop import START_S, VirtualLoop
from actorrt.testing.virtual.processes import buried_silently
from actorrt.testing.virtual.refusal import refused

WALL_START_S: Final = 1_900_000_000.0
"""What `time.time()` says when a run begins."""

_FULL_EVERY: Final = 20
"""After so many runs, the worlds of former runs are collected too, which the next run has frozen."""
_runs: Final = count(1)

_REFUSED: Final[tuple[tuple[Any, str, str], ...]] = (
    (os, "urandom", "os.urandom()"),
    (os, "getrandom", "os.getrandom()"),
    (random, "_urandom", "os.urandom(), as random.SystemRandom and secrets use it,"),
    (uuid, "uuid1", "uuid.uuid1()"),
    (uuid, "uuid4", "uuid.uuid4()"),
    (secrets, "token_bytes", "secrets.token_bytes()"),
    (time, "sleep", "time.sleep()"),
    (threading.Thread, "start", "threading.Thread.start()"),
    (socket.socket, "__init__", "socket.socket()"),
    (subprocess.Popen, "__init__", "subprocess.Popen()"),
    (os, "fork", "os.fork()"),
    (os, "system", "os.system()"),
)


@contextmanager
def fenced(loop: VirtualLoop, seed: int) -> Iterator[None]:
    """Replace functions of Python's modules while the body runs; collect garbage only when the loop says so."""
    with ExitStack() as undo, _seeded(seed), _collected_by_loop(), _classes_from(seed):
        fences = _Fences(undo)
        for owner, name, call in _REFUSED:
            fences.replace(owner, name, _refusal(call))
        _replace_time(fences.replace, loop)
        fences.replace(os, "getpid", lambda: loop.present.number)
        _refuse_unseeded(fences.replace)
        paths.shorten(fences.replace)
        yield


class _Fences:
    """Replaces functions in this thread.

    Args:
        undo: restores them.
    """

    def __init__(self, undo: ExitStack) -> None:
        self._undo = undo
        self._thread = get_ident()

    def replace(self, owner: Any, name: str, substitute: Callable[..., Any]) -> None:
        """Call `substitute` instead of a function, in this thread, until the end."""
        original, thread = getattr(owner, name), self._thread

        def fence(*args: Any, **kwargs: Any) -> Any:
            return (substitute if get_ident() == thread else original)(*args, **kwargs)

        setattr(owner, name, fence)
        self._undo.callback(setattr, owner, name, original)


def _refusal(call: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        refused(call)

    return refuse


def _refuse_unseeded(replace: Callable[[Any, str, Callable[..., Any]], None]) -> None:
    seed_by = random.Random.seed

    def seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
        if a is None:
            refused("random.Random() or random.seed() without a seed")
        seed_by(generator, a, version)

    replace(random.Random, "seed", seed)
    replace(random, "seed", partial(seed, random._inst))


def _replace_time(replace: Callable[[Any, str, Callable[..., Any]], None], loop: VirtualLoop) -> None:
    def wall() -> float:
        now, clock = loop.now(), loop.present.clock
        return WALL_START_S + now - START_S + (0.0 if clock is None else clock.wall_error_s(now))

    for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
        replace(time, name, loop.time)
        replace(time, f"{name}_ns", lambda: int(loop.time() * 1e9))
    replace(time, "time", wall)
    replace(time, "time_ns", lambda: int(wall() * 1e9))


@contextmanager
def _collected_by_loop() -> Iterator[None]:
    """Leave garbage collection to the loop, which looks only at what the run has made."""
    callbacks, was_enabled = list(gc.callbacks), gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.callbacks[:] = callbacks  # without those of processes that have crashed
        if next(_runs) % _FULL_EVERY == 0:
            gc.unfreeze()
        with buried_silently():
            gc.collect()
        gc.unfreeze()
        if was_enabled:
            gc.enable()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed Python's and numpy's global generators, and give them their states back in the end."""
    state, numpy_state = random.getstate(), numpy.random.get_state()
    random.seed(f"global {seed}")
    numpy.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(state)
        numpy.random.set_state(numpy_state)


@contextmanager
def _classes_from(seed: int) -> Iterator[None]:
    """Name the classes that travel by value by the seed, and forget those that travelled in former runs."""
    generator = random.Random(f"classes {seed}")
    names = SimpleNamespace(uuid4=lambda: uuid.UUID(bytes=generator.randbytes(16)))
    replaced: dict[str, Any] = {
        "_DYNAMIC_CLASS_TRACKER_BY_CLASS": WeakKeyDictionary(),
        "_DYNAMIC_CLASS_TRACKER_BY_ID": WeakValueDictionary(),
        "uuid": names,
    }
    before = {name: getattr(cloudpickle, name) for name in replaced}
    vars(cloudpickle).update(replaced)
    try:
        with no_classes_sent(generator.randbytes):
            yield
    finally:
        vars(cloudpickle).update(before)
