"""Run on a host, `python stranger.py HOST KEY PORT...`: knocks at ports of a node to which this host does not belong.

Sends garbage to each port, and then tries a CURVE handshake with a key of its own, where `KEY` is that of the node.
Prints a line for each port and try: the port, the try, and `closed`, `open` (the port did not hang up), or `welcome`.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

GARBAGE = {
    "text": b"GET / HTTP/1.1\r\n\r\n" * 8,
    "zeros": bytes(4096),
    "noise": os.urandom(4096),
    "tls": b"\x16\x03\x01\x02\x00" + os.urandom(512),
    "zeromq": b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + bytes(32) + b"\x04\x05\x05READY",
}
HANG_UP_S = 3.0


def send(host: str, port: int, garbage: bytes) -> str:
    """Send garbage, and say whether the port hangs up."""
    with socket.create_connection((host, port), HANG_UP_S) as stream:
        try:
            stream.sendall(garbage)
            while stream.recv(4096):
                pass
        except TimeoutError:
            return "open"
        except ConnectionError:
            pass
        return "closed"


def shake_hands(host: str, port: int, key: str) -> str:
    """Try a CURVE handshake with a key that no node has."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.curve_publickey, dealer.curve_secretkey = zmq.curve_keypair()
        dealer.curve_serverkey = z85.encode(bytes.fromhex(key))
        dealer.linger = 0
        events = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED
        with dealer.get_monitor_socket(events) as monitor:
            dealer.connect(f"tcp://{host}:{port}")
            seen = recv_monitor_message(monitor)["event"] if monitor.poll(HANG_UP_S * 1000) else 0
            dealer.disable_monitor()
        return {zmq.EVENT_HANDSHAKE_SUCCEEDED: "welcome", 0: "open"}.get(seen, "closed")


def knock(host: str, key: str, port: int) -> None:
    """Try everything at one port."""
    for kind, garbage in GARBAGE.items():
        tell(port, kind, send(host, port, garbage))
    tell(port, "key", shake_hands(host, port, key))


def tell(port: int, kind: str, result: str) -> None:
    """Print a line in one write, since several threads print."""
    sys.stdout.write(f"{port} {kind} {result}\n")


def main(host: str, key: str, *ports: str) -> None:
    threads = [threading.Thread(target=knock, args=(host, key, int(port))) for port in ports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
