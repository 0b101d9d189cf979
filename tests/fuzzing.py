"""Delivers mutated frames to the inbound side: none may raise, hang, use much memory, or affect another peer.

    python -m tests.fuzzing [--seconds 60] [--frames COUNT] [--seed 1]

The program prints its progress once a minute and at the end. It exits with an error if a rule is broken. The same seed
gives the same frames.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from actorrt.config import MIB
from actorrt.errors import ActorRtError
from actorrt.ids import PeerId
from actorrt.transport.frames.codec import Hello, join_head, pack_envelope, pack_hello, pack_refusal
from actorrt.transport.interfaces import Buffer, Lane, TransportStatistics
from actorrt.transport.links.acknowledgements import ACK_DELAY_S, Acknowledgements
from actorrt.transport.links.hellos import Hellos
from actorrt.transport.links.inbound import Inbound
from actorrt.transport.links.peer_lanes import connection_name
from tests.fake_loop import FakeLoop, LoopClock

HERE = PeerId(b"h" * 16)
GOOD = PeerId(b"g" * 16)
GROWTH_MOST_BYTES = 64 * MIB
FRAME_MOST_S = 2.0
PROGRESS_EVERY_S = 60.0
EVIL = [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdc\x7f\xff", b"\xde\x3f\xff"]
EVIL += [b"\x91" * 2000, b"\x81\x01" * 600, b"\xc7\x01\x01", b"\xd9\xff\xff\xff", b"\xcf" + b"\xff" * 8, b"\xc1"]
EVIL += [b"\xdc\x7f\xff" * 1000, b"\xde\x3f\xff\x01" * 500, b"\x90" * 3000, b"\x92\x00" * 20]


class Fuzz:
    """An inbound side, a peer that sends good frames, and a peer that sends mutated ones; a failed one is replaced.

    Args:
        seed: determines the frames.

    Attributes:
        frames_count: the number of mutated frames so far.
        failed_count: the number of peers that a mutated frame has failed.
        slowest_s: the longest time that a frame took.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._statistics = TransportStatistics()
        self._loop = FakeLoop()
        self._inbound = Inbound(
            self,
            self._statistics,
            Hellos(HERE, *[lambda _: None] * 3),
            Acknowledgements(self._loop, LoopClock(self._loop), lambda *_: None, self._statistics),
            answer=lambda *_: None,
            on_failed=self._failed,
            on_renewed=lambda _: None,
        )
        self._bad_number = 0
        self._good_sequence = 0
        self._good_got = 0
        self.frames_count = self.failed_count = 0
        self.slowest_s = 0.0
        self._inbound.message(connection_name(GOOD, Lane.USER, 1), pack_hello(Hello(GOOD, HERE, "memory://good")))
        self._meet_another()

    def received(self, peer: PeerId, envelope: list[Any], buffers: Sequence[Buffer]) -> None:
        assert type(envelope) is list
        assert type(envelope[0]) is int
        self._good_got += peer == GOOD

    def peer_failed(self, peer: PeerId, error: ActorRtError) -> None:
        raise AssertionError("the endpoint tells the receiver")

    def _failed(self, peer: PeerId, error: ActorRtError, address: str | None) -> None:
        assert peer != GOOD, f"the peer that sends good frames has failed: {error}"
        self._inbound.drop(peer)
        self.failed_count += 1
        self._meet_another()

    def _meet_another(self) -> None:
        self._bad_number += 1
        self._bad = PeerId(self._bad_number.to_bytes(16, "big"))
        self._lane = self._random.choice(list(Lane))
        self._source = connection_name(self._bad, self._lane, 1)
        if self._random.random() < 0.9:
            hello = pack_hello(Hello(self._bad, HERE, "memory://bad"))
            self._inbound.message(self._source, hello)

    def frame(self) -> None:
        """Deliver one mutated frame; after each hundred, also a frame of the good peer."""
        raw = self._mutated(self._sound())
        buffers = [b"buffer"] * self._random.choice((0, 0, 1, 3))
        started = time.perf_counter()
        self._inbound.message(self._source, raw, buffers)
        self.slowest_s = max(self.slowest_s, time.perf_counter() - started)
        self.frames_count += 1
        assert self._statistics.receiver_errors == 0, "a delivered envelope does not begin with an int"
        if self.frames_count % 100 == 0:
            head = join_head(self._good_sequence, 0, [pack_envelope([0, self._good_sequence])])
            self._good_sequence += 1
            self._inbound.message(connection_name(GOOD, Lane.USER, 1), head)
            assert self._good_got == self._good_sequence
            self._loop.advance(ACK_DELAY_S)

    def _sound(self) -> bytes:
        kind = self._random.random()
        if kind < 0.05:
            return pack_hello(Hello(self._bad, HERE, "memory://bad"))
        if kind < 0.1:
            return pack_refusal(ActorRtError("no"))
        envelopes = [pack_envelope([0, self._value(4)]) for _ in range(self._random.randint(1, 3))]
        attachments = self._random.choice([[], [], [(0, 1)], [(0, [b"a", b"b"])], [(0, 3)]])
        due = self._inbound.peer_lane(self._bad, self._lane).receipts.received
        return join_head(due, 0, envelopes, attachments)

    def _value(self, depth: int) -> Any:
        kind = self._random.randrange(8 if depth else 5)
        if kind < 5:
            return (None, self._random.getrandbits(40), 0.5, "text", self._random.randbytes(8))[kind]
        items = [self._value(depth - 1) for _ in range(self._random.randrange(4))]
        return dict(enumerate(items)) if kind == 7 else items

    def _mutated(self, sound: bytes) -> bytes:
        raw = bytearray(sound)
        for _ in range(self._random.choice((0, 1, 1, 2, 5))):
            at = self._random.randrange(len(raw) + 1)
            way = self._random.randrange(4)
            if way == 0:
                raw[at : at + 1] = self._random.randbytes(1)
            elif way == 1:
                raw[at : at + self._random.randrange(8)] = b""
            elif way == 2:
                raw[at:at] = self._random.choice(EVIL)
            else:
                raw[at:at] = raw[: self._random.randrange(len(raw) + 1)]
        return bytes(raw)


def forget_peak() -> None:
    """Reset the peak of this process's memory to the present use (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Return the peak of this process's memory since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--frames", type=int, default=sys.maxsize, help="end after this many frames")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    fuzz = Fuzz(options.seed)
    forget_peak()
    before, now = peak_bytes(), time.monotonic()
    end, told = now + options.seconds, now
    while now < end and fuzz.frames_count < options.frames:
        fuzz.frame()
        now = time.monotonic()
        if now - told > PROGRESS_EVERY_S:
            told = now
            print(describe(fuzz, peak_bytes() - before), flush=True)
    growth_bytes = peak_bytes() - before
    print(describe(fuzz, growth_bytes))
    return int(growth_bytes > GROWTH_MOST_BYTES or fuzz.slowest_s > FRAME_MOST_S)


def describe(fuzz: Fuzz, growth_bytes: int) -> str:
    return (
        f"{fuzz.frames_count:,} frames, {fuzz.failed_count:,} peers failed, slowest {fuzz.slowest_s * 1e3:.1f} ms, "
        f"memory grew by {growth_bytes / MIB:.1f} MiB"
    )


if __name__ == "__main__":
    sys.exit(main())
