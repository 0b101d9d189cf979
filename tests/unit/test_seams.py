"""Time, chance, identities, threads, sockets, processes and files reach a module through what it is handed.

A simulation replaces what is handed in, so a direct use would escape it. Direct uses are counted in the text of every
module above the foundation, and allowed in shells alone: `SHELLS` names each of them with its kinds and the reason.

Not counted: locks, which never wait in a process of one thread; the number of the present thread; `asyncio.sleep` and
the timers of a loop, since the loop is handed in; random generators with a seed; what is computed from paths.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from tests.unit.test_layering import MODULES, layer, tree

TIME, CHANCE, THREADS, SOCKETS, PROCESS = "time", "chance", "threads", "sockets", "process"
FILES, MEMORY, STATE, OWN = "files", "memory", "state", "own"
"""STATE: what all simulated processes of one real process would share. OWN: surroundings that nobody handed in."""

KINDS: Final = {
    **dict.fromkeys(("time", "datetime.datetime.now", "datetime.datetime.today", "datetime.date.today"), TIME),
    **dict.fromkeys(("random", "secrets", "uuid", "os.urandom", "os.getrandom", "numpy.random"), CHANCE),
    **dict.fromkeys(("threading", "_thread", "queue", "concurrent.futures", "asyncio.to_thread"), THREADS),
    **dict.fromkeys(("socket", "select", "selectors", "zmq", "socketserver", "http", "urllib.request"), SOCKETS),
    **dict.fromkeys(("asyncio.open_connection", "asyncio.start_server", "asyncio.open_unix_connection"), SOCKETS),
    **dict.fromkeys(("subprocess", "multiprocessing", "signal", "asyncio.create_subprocess_exec", "resource"), PROCESS),
    **{f"os.{name}": PROCESS for name in ("environ", "getenv", "getcwd", "chdir", "register_at_fork", "abort", "nice")},
    **{
        f"os.{name}": PROCESS
        for name in ("fork", "forkpty", "kill", "killpg", "pidfd_open", "system", "popen", "_exit")
    },
    **{f"os.{name}": PROCESS for name in ("wait", "waitid", "waitpid", "setsid", "getsid", "posix_spawn", "execv")},
    **{f"os.{name}": PROCESS for name in ("getpid", "getppid", "getuid", "geteuid", "cpu_count", "sched_getaffinity")},
    **dict.fromkeys(("os", "open", "io.open", "shutil", "tempfile", "glob", "fcntl", "sqlite3"), FILES),
    **{f"os.path.{name}": FILES for name in ("exists", "isfile", "isdir", "getsize", "getmtime", "realpath")},
    **dict.fromkeys(("mmap", "ctypes", "multiprocessing.shared_memory"), MEMORY),
    **{f"gc.{name}": STATE for name in ("freeze", "unfreeze", "disable", "enable", "callbacks", "collect")},
    **dict.fromkeys(
        ("actorrt.machine.clock.MonotonicClock", "actorrt.ids.IdSource", "actorrt.machine.threads.OsThreads"), OWN
    ),
    **dict.fromkeys(("actorrt.machine.disk.OsDisk", "actorrt.machine.surroundings.Surroundings.of_process"), OWN),
}
"""The kinds of names, by the longest beginning that is listed."""
HARMLESS: Final = {
    *("random.Random", "numpy.random.Generator", "numpy.random.default_rng", "numpy.random.SeedSequence"),
    *("threading.Lock", "threading.RLock", "threading.local", "threading.get_ident", "concurrent.futures.Executor"),
    *("threading.current_thread", "threading.main_thread", "concurrent.futures.Future", "time.struct_time"),
    *("os.path", "os.fspath", "os.fsencode", "os.fsdecode", "os.sep", "os.pathsep", "os.PathLike", "os.strerror"),
    *("os.waitstatus_to_exitcode", "actorrt.ids.IdSource.__init__", "numpy.random.PCG64", "shutil.get_terminal_size"),
    *("concurrent.futures.CancelledError", "queue.Empty", "queue.Full"),
}
SEEDED: Final = {"random.Random", "numpy.random.default_rng"}
"""Generators that are harmless with a seed alone."""
METHODS: Final = {
    **dict.fromkeys(("run_in_executor", "set_default_executor"), THREADS),
    **dict.fromkeys(("add_reader", "remove_reader", "add_writer", "remove_writer", "sock_connect"), SOCKETS),
    **dict.fromkeys(("create_server", "create_connection", "create_unix_server", "create_unix_connection"), SOCKETS),
    **dict.fromkeys(("add_signal_handler", "subprocess_exec"), PROCESS),
}
LOOPS: Final = ("loop", "_loop", "get_running_loop()", "get_event_loop()")
PATH_METHODS: Final = {
    *(
        "read_text",
        "write_text",
        "read_bytes",
        "write_bytes",
        "unlink",
        "mkdir",
        "rmdir",
        "exists",
        "is_file",
        "is_dir",
    ),
    *("stat", "iterdir", "touch", "rename", "replace", "chmod", "glob", "rglob", "open", "resolve", "symlink_to"),
}
"""Methods that touch the disk, in a module that imports `pathlib.Path`."""
MUTATING: Final = {
    *("append", "add", "pop", "update", "clear", "setdefault", "extend", "remove", "discard", "popitem", "insert"),
}

WHOLE_LAYERS: Final = {
    "foundation": "has the real surroundings, behind the interfaces that other layers are handed",
    "api": "names only",
    "bench": "measures the real machine",
    "cli": "the command line",
    "mypy_plugin": "runs inside of mypy",
    "testing": "is the simulation",
}
_TIMED: Final = "a user of the public API: inside a simulation `time` is virtual for the code of users"
_RUN: Final = "runs in the script of a user, beside the actors"
SHELLS: Final[dict[str, tuple[set[str], str]]] = {
    # transport
    "transport.unix.link": ({SOCKETS}, "a link over a Unix socket"),
    "transport.unix.transport": ({SOCKETS, FILES, PROCESS}, "listens on a Unix socket, for processes of this user"),
    "transport.zeromq.link": ({SOCKETS}, "a link over ZeroMQ"),
    "transport.zeromq.security": ({SOCKETS, FILES, PROCESS, THREADS}, "keys in files, and the ZAP handler's thread"),
    "transport.zeromq.transport": ({SOCKETS, FILES, THREADS}, "listens with ZeroMQ, whose end may block"),
    "transport.composite.remote": ({SOCKETS}, "binds a ZeroMQ socket to a port of a range"),
    "transport.links.socket_path": ({SOCKETS}, "looks whether another process has a path"),
    "transport.memory.direction": ({TIME}, "delays messages by a timer of the loop that is handed in, in its time"),
    # store
    "store.memory.disk": ({FILES, PROCESS}, "spill files, whose descriptors are lent to clients as memory is"),
    "store.memory.mappings": ({FILES, MEMORY}, "maps shared memory"),
    "store.memory.segments": ({FILES}, "makes shared memory"),
    "store.memory.views": ({MEMORY}, "maps shared memory"),
    "store.connection.socket_channel": ({SOCKETS}, "a client's socket"),
    "store.server.client_socket": ({SOCKETS, FILES}, "a client's socket, in the daemon"),
    "store.server.server": (
        {SOCKETS, FILES, PROCESS, THREADS},
        "the daemon's sockets, and its threads for memory and disk",
    ),
    "store.server.local": (
        {FILES, THREADS},
        "lends descriptors of memory; a thread without a loop waits for an object",
    ),
    "store.client.client": ({PROCESS, STATE}, "disables the clients in a forked child"),
    "store.values.pickling": (
        {CHANCE, STATE},
        "names classes that travel by value; a simulation calls `no_classes_sent`",
    ),
    "store.values.carrier": ({STATE}, "what the thread pickles at present; nothing else runs meanwhile"),
    "store.values.code": ({FILES, STATE}, "the source of user code, which is one for all simulated processes"),
    # actors
    "actors.api.offload": ({OWN}, "a class is tested without a runtime"),
    "actors.cells.crash_notes": ({FILES, MEMORY}, "a file that outlives its process; `CrashNotes` takes any memory"),
    "actors.hosting.gc_freezer": ({STATE}, "tunes Python's collector, of which a real process has one"),
    "actors.refs.current": (
        {STATE},
        "the endpoint of the process; a simulation sets it when it turns to another process",
    ),
    "actors.wire.interface": ({STATE}, "remembers the methods of each class"),
    # protocol
    "protocol.verb": ({STATE}, "the table of verbs, which is filled when modules are imported"),
    # cluster
    "cluster.control.sqlite_log": ({FILES}, "the file of the control store; a simulation has a `MemoryLog`"),
    "cluster.security.state_directory": ({FILES, PROCESS}, "locks a directory, for this user's eyes only"),
    "cluster.joining.dialling": ({SOCKETS}, "connects to the TLS port of another node"),
    "cluster.joining.port": ({SOCKETS, TIME}, "the TLS port of a node; who converses there is decided by `Entrance`"),
    "cluster.joining.tls_stream": ({SOCKETS}, "a TLS connection on a loop"),
    "cluster.peers.process_transport": ({FILES}, "a file that says how the processes of a node are reached"),
    # tasks
    "tasks.working.functions": ({STATE}, "has Python's collector free functions that refer to themselves"),
    "tasks.working.thread_waits": ({THREADS}, "reads from frames which thread another thread joins"),
    # node
    "node.clustering.cluster_node": ({TIME, CHANCE, FILES, PROCESS}, "puts a real node of a cluster together"),
    "node.clustering.driver_node": ({TIME, CHANCE}, "puts a real node of a driver together"),
    "node.clustering.store_place": ({TIME}, "opens the control store of a real node of a cluster"),
    "node.clustering.own_host": ({SOCKETS}, "asks the machine for the address of a route"),
    "node.code.importing": ({SOCKETS, FILES}, "asks the daemon while an import blocks the loop"),
    "node.code.serving": ({SOCKETS, PROCESS}, "the socket at which workers ask for code"),
    "node.processes.after_fork": ({SOCKETS, FILES, PROCESS}, "makes a forked process a worker"),
    "node.processes.channel": ({SOCKETS, FILES}, "the socket to a zygote"),
    "node.processes.forker": ({TIME, PROCESS}, "has zygotes fork workers"),
    "node.processes.lease_guard": ({TIME, FILES, PROCESS}, "stops the workers of a node without a lease"),
    "node.processes.lease_page": ({TIME, FILES, MEMORY}, "the page with the lease of a node"),
    "node.processes.limits": ({FILES, PROCESS}, "asks the machine for CPUs, GPUs, memory and descriptors"),
    "node.processes.orphans": ({SOCKETS, FILES, PROCESS}, "ends the processes that user code left"),
    "node.processes.output": ({SOCKETS, FILES}, "reads the output of workers"),
    "node.processes.process_stat": ({FILES}, "reads /proc"),
    "node.processes.process_watch": ({SOCKETS, FILES, PROCESS, MEMORY}, "watches and reaps processes"),
    "node.processes.zygote": ({SOCKETS, FILES, PROCESS, MEMORY, STATE}, "the main function of a zygote"),
    "node.processes.zygote_process": ({SOCKETS, PROCESS}, "starts and ends a zygote"),
    "node.processes.zygotes": ({TIME}, "restarts zygotes"),
    "node.worker.main": ({PROCESS, OWN}, "the main function of a worker"),
    "node.worker.printing": ({SOCKETS, FILES, PROCESS}, "the output of a worker"),
    "node.daemon.gpus": ({PROCESS}, "reads which GPUs its environment lets it see"),
    "node.daemon.boot": ({SOCKETS, PROCESS}, "the environment variable of tests over `tcp`"),
    "node.daemon.daemon": ({SOCKETS, FILES, PROCESS, OWN}, "the main function of the daemon"),
    "node.daemon.node_directory": ({FILES, PROCESS}, "the directory of a node, by which drivers find it"),
    "node.daemon.process_workers": ({FILES}, "workers that are processes"),
    "node.driver.driver_connection": ({SOCKETS, FILES, PROCESS}, "a driver's connection to a daemon"),
    "node.driver.embedded_node": ({SOCKETS, FILES, PROCESS}, "starts a daemon"),
    "node.driver.finding": ({FILES}, "finds a daemon"),
    "node.driver.runtime": ({PROCESS, OWN}, "chooses the surroundings of a driver, and tells workers where it runs"),
    "node.driver.session": ({THREADS, STATE}, "the loop of `init()`, in a thread, one in a process"),
    "node.inspect.inquiry": ({FILES, OWN}, "a command that asks a daemon"),
    "node.inspect.tree": ({TIME}, "a command that repeats"),
    # rl
    "rl.algorithms.algorithm": ({TIME, CHANCE, PROCESS}, f"names a run, and draws its seed if none is given; {_RUN}"),
    "rl.cli.chaos": ({PROCESS}, "the command line"),
    "rl.cli.train": ({FILES, THREADS}, "the command line"),
    "rl.environments.closing": ({STATE}, f"environments whose error of closing was logged already; {_RUN}"),
    "rl.evolution.explorer": ({TIME, PROCESS}, _TIMED),
    "rl.evolution.explorer_pool": ({TIME}, _TIMED),
    "rl.evolution.loop": ({TIME}, _TIMED),
    "rl.foundation.array_file": ({FILES}, f"policies and checkpoints as files; {_RUN}"),
    "rl.foundation.memory": (
        {MEMORY, FILES},
        "asks for the memory of the machine, and has the C library keep what is free",
    ),
    "rl.policies.export_numpy": ({FILES}, f"a policy as a file; {_RUN}"),
    "rl.policies.policy": ({CHANCE}, f"draws actions without a seed if the caller gives no generator; {_RUN}"),
    "rl.records.checkpoint": ({FILES}, _RUN),
    "rl.records.run_directory": ({FILES}, _RUN),
    "rl.roles.evaluator": ({TIME}, _TIMED),
    "rl.roles.learner": ({TIME, THREADS}, f"joins the other learners in a thread, as torch blocks; {_TIMED}"),
    "rl.roles.simulator": ({TIME}, _TIMED),
    "rl.rollouts.sampler": ({TIME, PROCESS}, _TIMED),
    "rl.rollouts.stream": ({TIME}, _TIMED),
    "rl.runs.evaluations": ({TIME}, _TIMED),
    "rl.runs.interrupts": ({PROCESS}, f"the first Ctrl-C ends a run, and the second the script; {_RUN}"),
    "rl.runs.live": ({TIME}, _RUN),
    "rl.runs.logs": ({FILES, THREADS}, f"imports matplotlib in a thread; {_RUN}"),
    "rl.runs.loop": ({TIME}, _TIMED),
    "rl.runs.run": ({FILES, THREADS}, f"a run in a thread, beside the script; {_RUN}"),
    "rl.runs.training": ({TIME, PROCESS}, _TIMED),
    "rl.views.csv_file": ({FILES}, _RUN),
    "rl.views.event_file": ({TIME, FILES, PROCESS}, _RUN),
    "rl.views.progress_line": ({TIME, FILES, PROCESS}, _RUN),
    "rl.views.video": ({FILES, PROCESS}, _RUN),
}

Use = tuple[str, int, str]
"""A direct use: its kind, its line, and its text."""


def uses(module: ast.Module) -> list[Use]:
    """Return the direct uses in a module, in the order of their lines."""
    known, skipped = imported(module), annotations(module)
    calls = {id(node.func): node for node in ast.walk(module) if isinstance(node, ast.Call)}
    inside = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Attribute)}
    found: set[Use] = set(shared_state(module))
    for node in ast.walk(module):
        if id(node) in skipped or not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
            continue
        if isinstance(node, ast.Attribute) and (kind := kind_of_method(node, known)):
            found.add((kind, node.lineno, ast.unparse(node)))
        elif id(node) not in inside and (name := dotted(node, known)) and (kind := kind_of(name, calls.get(id(node)))):
            found.add((kind, node.lineno, name))
    return sorted(found, key=lambda use: use[1])


def imported(module: ast.Module) -> dict[str, str]:
    """Return the full names of what a module imports, by the names that it has there."""
    known: dict[str, str] = {"open": "open"}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            known |= {
                a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return known


def annotations(module: ast.Module) -> set[int]:
    """Return the nodes of annotations, which do nothing when the module runs."""
    found = [getattr(node, name, None) for node in ast.walk(module) for name in ("annotation", "returns")]
    return {id(part) for node in found if isinstance(node, ast.AST) for part in ast.walk(node)}


def dotted(node: ast.expr, known: dict[str, str]) -> str | None:
    """Return the full name that an expression stands for; None if it is no name of something that was imported."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value, known)):
        return f"{owner}.{node.attr}"
    return None


def kind_of(name: str, call: ast.Call | None) -> str | None:
    """Return the kind of a direct use of a full name; None if it is none."""
    if name in SEEDED and call is not None and not call.args and not call.keywords:
        return CHANCE
    begins = [".".join(name.split(".")[:count]) for count in range(name.count(".") + 1, 0, -1)]
    known = next((begin for begin in begins if begin in KINDS or begin in HARMLESS), None)
    if known is None or known in HARMLESS or (known == name and name in ("os", "time", "random", "socket")):
        return None
    if name.startswith("os.") and name[3:].isupper():
        return None  # a constant
    return KINDS[known]


def kind_of_method(node: ast.Attribute, known: dict[str, str]) -> str | None:
    """Return the kind of a use that is known by the name of the method."""
    if node.attr == "time" and ast.unparse(node.value).endswith(LOOPS):
        return TIME
    if node.attr in PATH_METHODS and "pathlib.Path" in known.values() and not is_text(node):
        return FILES
    return METHODS.get(node.attr)


def is_text(node: ast.Attribute) -> bool:
    """Whether it is a method of text that has the name of one of paths."""
    return node.attr == "replace"


def shared_state(module: ast.Module) -> Iterator[Use]:
    """Yield where functions change the variables of their module."""
    of_module = {
        target.id
        for node in module.body
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)])
        if isinstance(target, ast.Name)
    }
    functions = (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    for node in {part for function in functions for part in ast.walk(function)}:
        if isinstance(node, ast.Global):
            yield STATE, node.lineno, f"global {', '.join(node.names)}"
            continue
        owner = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATING:
            owner = node.func.value
        elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            owner = node.value
        if isinstance(owner, ast.Name) and owner.id in of_module:
            yield STATE, node.lineno, ast.unparse(node)


def counted() -> dict[str, list[Use]]:
    """Return the direct uses of each module that has some, by the name of the module without the package's."""
    modules = [module for module in MODULES if layer(module) not in WHOLE_LAYERS and module != "actorrt.mypy_plugin"]
    return {module.removeprefix("actorrt."): found for module in modules if (found := uses(tree(module)))}


def test_direct_uses_are_in_shells_alone() -> None:
    wrong = [
        f"{module}:{line}: {text} ({kind}): have it handed in, or name the module in SHELLS with the reason"
        for module, found in counted().items()
        for kind, line, text in found
        if kind not in SHELLS.get(module, ((), ""))[0]
    ]
    assert wrong == []


def test_shells_are_no_more_than_they_need_to_be() -> None:
    found = counted()
    left = {module: kinds - {use[0] for use in found.get(module, ())} for module, (kinds, _) in SHELLS.items()}
    assert {module: kinds for module, kinds in left.items() if kinds} == {}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (TIME, "import time\ntime.monotonic()"),
        (TIME, "from time import perf_counter as now\nnow()"),
        (TIME, "def f(self): return self._loop.time()"),
        (TIME, "from datetime import datetime\ndatetime.now()"),
        (CHANCE, "import random\nrandom.random()"),
        (CHANCE, "import random\nrandom.Random()"),
        (CHANCE, "import os\nos.urandom(16)"),
        (CHANCE, "import numpy as np\nnp.random.rand()"),
        (CHANCE, "import numpy as np\nnp.random.default_rng()"),
        (CHANCE, "from uuid import uuid4\nuuid4()"),
        (THREADS, "from concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor(1)"),
        (THREADS, "import asyncio\nasyncio.to_thread(print)"),
        (THREADS, "def f(loop): loop.run_in_executor(None, print)"),
        (THREADS, "import threading\nthreading.Thread(target=print)"),
        (SOCKETS, "import socket\nsocket.socket()"),
        (SOCKETS, "def f(loop): loop.add_reader(0, print)"),
        (PROCESS, "import signal as signals\nsignals.signal(1, print)"),
        (PROCESS, "import os\nos.getpid()"),
        (FILES, "open('x')"),
        (FILES, "import os\nos.fsync(0)"),
        (FILES, "from pathlib import Path\nPath('x').read_text()"),
        (MEMORY, "import mmap\nmmap.mmap(0, 1)"),
        (STATE, "known = {}\ndef f(): known['x'] = 1"),
        (STATE, "count = 0\ndef f():\n    global count\n    count += 1"),
        (OWN, "from actorrt.ids import IdSource\nIdSource()"),
        (OWN, "from actorrt.machine.surroundings import Surroundings\nSurroundings.of_process()"),
    ],
)
def test_direct_use_is_found(kind: str, text: str) -> None:
    assert [use[0] for use in uses(ast.parse(text))] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "import random\nrandom.Random(1).random()",
        "import os\nos.path.join('a', 'b')",
        "import threading\nthreading.Lock()",
        "import asyncio\nasyncio.sleep(1)",
        "import socket\ndef f(given: socket.socket) -> None: given.send(b'')",
        "def f(clock): clock.now()",
        "def f(frame): frame.time",
    ],
)
def test_what_is_handed_in_or_harmless_is_not_counted(text: str) -> None:
    assert uses(ast.parse(text)) == []
