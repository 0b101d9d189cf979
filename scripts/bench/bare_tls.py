"""Print how fast TLS 1.3 carries bytes between two processes of this machine, with nothing of actorrt around it.

The same settings as the port of a node: one connection on the loopback device, received in place, in parts of 1 MiB.
The receiver either uses the same memory again, or new memory each time, as an object that arrives needs it.

    python scripts/bench/bare_tls.py [--mib 64] [--repeats 9]
"""

from __future__ import annotations

import argparse
import mmap
import os
import socket
import ssl
import statistics
import tempfile
import time
from pathlib import Path

from actorrt.cluster.security.state_directory import StateDirectory
from actorrt.cluster.security.tls import client_context, server_context
from actorrt.config import MIB
from actorrt.machine.disk import OsDisk


def send(listener: socket.socket, directory: StateDirectory, length_bytes: int, count: int) -> None:
    """Send so many bytes so many times, each time when the receiver asks with one byte."""
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = server_context(directory.credentials()).wrap_socket(connection, server_side=True)
    data = memoryview(os.urandom(MIB) * (length_bytes // MIB))
    for _ in range(count):
        stream.recv(1)
        for start in range(0, length_bytes, MIB):
            stream.sendall(data[start : start + MIB])
    stream.close()


def receive(stream: ssl.SSLSocket, target: memoryview) -> float:
    """Ask for the bytes and receive them; return how long that took."""
    started = time.perf_counter()
    stream.sendall(b"?")
    received = 0
    while received < target.nbytes:
        received += stream.recv_into(target[received : received + MIB])
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=64, help="the size of a transfer")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    length_bytes, repeats = options.mib * MIB, options.repeats
    with tempfile.TemporaryDirectory() as path:
        directory = StateDirectory(str(Path(path) / "state"), disk=OsDisk(), draw=os.urandom, pid=os.getpid())
        directory.begin_cluster(time.time())
        listener = socket.create_server(("127.0.0.1", 0))
        child = os.fork()
        if child == 0:
            send(listener, directory, length_bytes, 2 * repeats)
            os._exit(0)
        connection = socket.create_connection(listener.getsockname())
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client_context(directory.credentials()).wrap_socket(connection) as stream:
            memory = memoryview(bytearray(length_bytes))
            used = [receive(stream, memory) for _ in range(repeats)]
            new = [receive(stream, memoryview(mmap.mmap(-1, length_bytes))) for _ in range(repeats)]
            cipher = stream.cipher()
        os.waitpid(child, 0)
        directory.close()
    print(f"{options.mib} MiB, {cipher[0] if cipher else '?'}, median of {repeats}")
    for name, taken in (("the same memory", used), ("new memory", new)):
        median, worst = (length_bytes / MIB / of(taken) for of in (statistics.median, max))
        print(f"{name}: {median:.0f} MiB/s (worst {worst:.0f})")


if __name__ == "__main__":
    main()
