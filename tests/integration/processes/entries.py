"""Main functions of the workers in these tests; `config["entry"]` names a function of this module."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time

from actorrt.node.worker.printing import install_output


def nothing(config):
    pass


def exit_with(config):
    sys.exit(config["status"])


def raise_error(config):
    raise RuntimeError("no such luck")


def kill_oneself(config):
    os.kill(os.getpid(), config["signal"])


def segfault(config):
    ctypes.string_at(0)


def describe(config):
    """Print the state in which a worker starts."""
    facts = {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "session": os.getsid(0),
        "group": os.getpgid(0),
        "cwd": os.getcwd(),
        "variable": os.environ.get("ACTORRT_TEST"),
        "omp": os.environ.get("OMP_NUM_THREADS"),
        "path": sys.path[-1],
        "stdin": os.readlink("/proc/self/fd/0"),
        "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) < 200),
        "main": sorted(name for name in vars(sys.modules["__main__"]) if not name.startswith("__")),
        "interrupt": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        "terminate": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        "latency_s": time.monotonic() - config.get("sent_at", 0),
    }
    print(json.dumps(facts), flush=True)


def describe_imports(config):
    """Print which of the named modules are missing, the number of threads and the thread setting."""
    facts = {
        "missing": [name for name in config["names"] if name not in sys.modules],
        "threads": len(os.listdir("/proc/self/task")),
        "omp": os.environ["OMP_NUM_THREADS"],
    }
    print(json.dumps(facts), flush=True)


def wait_for_ever(config):
    signal.pause()


def draw(config):
    """Print numbers of both global generators."""
    import random

    import numpy

    print(random.random(), numpy.random.random(), flush=True)


def start_grandchildren(config):
    """Start a child with a child, print their ids and wait; the second has its own process group."""
    code = (
        "import os, subprocess, sys, signal\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'], process_group=0)\n"
        "print(os.getpid(), child.pid, flush=True)\n"
        "signal.pause()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code])
    signal.pause()
    child.wait()


def start_stray(config):
    """Start a process in its own session, print its id and wait."""
    stray = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
    print(stray.pid, flush=True)
    stray.wait()


def print_lines(config):
    """Print lines of several actors, in Python and directly to the descriptor, and end at once."""
    label = ""
    install_output(lambda: label)
    print("worker speaking")
    for index in range(config.get("count", 3)):
        label = f"Counter#{index % 2}"
        print("line", index)
    os.write(1, b"from C\n")
    print("unfinished", end="")


def print_and_crash(config):
    install_output(lambda: "Counter#1")
    print("last words")
    ctypes.string_at(0)


def flood(config):
    install_output(lambda: "Flooder#1")
    for index in range(config["count"]):
        print(f"{index:099d}")


def learn_in_torch(config):
    """Print whether torch was imported at the start, the number of threads, and the gradient of a convolution."""
    was_there = "torch" in sys.modules
    threads = len(os.listdir("/proc/self/task"))
    import torch

    layer = torch.nn.Conv2d(4, 8, 3)
    layer(torch.ones(64, 4, 84, 84)).sum().backward()
    gradient = layer.bias.grad.tolist()
    facts = {"was_there": was_there, "threads": threads, "used": torch.get_num_threads(), "gradient": gradient}
    print(json.dumps(facts), flush=True)
