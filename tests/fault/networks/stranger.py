"""Run on a host, `python stranger.py HOST PORT...`: sends garbage to ports, and stays connected until each has hung up.

Prints a line for each port and kind of garbage: the port, the kind, and whether the port has `closed` the connection.
"""

from __future__ import annotations

import os
import socket
import sys

GARBAGE = {
    "text": b"GET / HTTP/1.1\r\n\r\n" * 8,
    "zeros": bytes(4096),
    "noise": os.urandom(4096),
    "tls": b"\x16\x03\x01\x02\x00" + os.urandom(512),
    "zeromq": b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + bytes(32),
}
HANG_UP_S = 25.0


def main(host: str, *ports: str) -> None:
    for port in ports:
        for kind, sent in GARBAGE.items():
            with socket.create_connection((host, int(port)), HANG_UP_S) as stream:
                try:
                    stream.sendall(sent)
                    while stream.recv(4096):
                        pass
                    ended = "closed"
                except ConnectionError:
                    ended = "closed"
                except TimeoutError:
                    ended = "open"
            print(port, kind, ended, flush=True)


main(*sys.argv[1:])
