"""Prints the cost of each mechanism of a call: the CPU time of caller and callee for an ask, with and without it.

    python scripts/bench/costs.py [--rounds N]

Each figure comes from processes of its own, in which one mechanism does nothing. The variants take turns, and the table
shows the median of the differences to the unchanged variant of the same round. The runtime has no such switches, so
this script replaces functions.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import actorrt as art

BURST_COUNT: Final = 1_000
BURSTS_COUNT: Final = 40
DEADLINE_S: Final = 60.0


def without_acks() -> None:
    """Frames are not kept, and nothing is acknowledged."""
    from actorrt.transport.frames.sequence import SendWindow
    from actorrt.transport.links.acknowledgements import Acknowledgements

    def push_handed(window: Any, _frame: Any) -> None:
        window.next += 1

    SendWindow.push_handed = push_handed  # type: ignore[method-assign]
    SendWindow.acknowledge = lambda *_: True  # type: ignore[method-assign]
    Acknowledgements.owe = lambda *_: None  # type: ignore[method-assign]
    Acknowledgements.send = lambda *_: None  # type: ignore[method-assign]


def without_credits() -> None:
    """Messages that are sent to an actor, or taken from its mailbox, are not counted."""
    from actorrt.actors.cells.cell import Cell
    from actorrt.actors.refs.route import Route

    Cell.left = lambda *_: None  # type: ignore[method-assign]
    Route.is_open = property(lambda route: route.link is not None)  # type: ignore[method-assign,assignment]


def without_argument_checks() -> None:
    """Arguments are sent unchecked."""
    from actorrt.actors.refs.ref import ActorMethod

    def call(method: Any, *args: Any, **kwargs: Any) -> Any:
        return method._ref._endpoint.calls.ask(method._ref, method._spec, args, kwargs, method._options)

    ActorMethod.__call__ = call  # type: ignore[method-assign]


def without_form_checks() -> None:
    """Arriving messages are read without checks of their form and nesting."""
    from actorrt.transport.links import inbound

    inbound.check_nesting = lambda _: None  # type: ignore[assignment]
    inbound.FormChecker.check = lambda *_: None  # type: ignore[method-assign]


def without_statistics() -> None:
    """Links count nothing; arriving frames are still counted, in three additions."""
    from actorrt.transport.links.queued_link import QueuedLink

    QueuedLink._count = lambda *_: None  # type: ignore[method-assign]


def unchanged() -> None:
    """Everything is unchanged."""


VARIANTS: Final[dict[str, Callable[[], None]]] = {
    "acknowledgements": without_acks,
    "credits": without_credits,
    "argument checks": without_argument_checks,
    "checks of form": without_form_checks,
    "link statistics": without_statistics,
    "a deadline": unchanged,
}


class Subject(art.Actor):
    """A counter in a process without the mechanism of its variant."""

    def __init__(self, variant: str) -> None:
        VARIANTS.get(variant, unchanged)()
        self.total = 0

    async def increment(self) -> int:
        self.total += 1
        return self.total

    def cpu_s(self) -> float:
        return time.process_time()


async def measure(variant: str) -> float:
    """Return the CPU time of one ask, of both sides together, in µs."""
    subject = await Subject.options(cpus=1).spawn(variant)
    VARIANTS.get(variant, unchanged)()
    increment = subject.increment
    if variant == "a deadline":
        increment = increment.options(timeout_s=DEADLINE_S)
    for number in range(BURSTS_COUNT + 5):
        if number == 5:  # the first bursts are the warm-up
            theirs, ours = await subject.cpu_s(), time.thread_time()
        await art.gather(*[increment() for _ in range(BURST_COUNT)])
    spent_s = time.thread_time() - ours + await subject.cpu_s() - theirs
    return spent_s / BURSTS_COUNT / BURST_COUNT * 1e6


def in_a_process(variant: str) -> float:
    """Return the time that a process of its own measures."""
    command = [sys.executable, __file__, "--variant", variant]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="how often each variant is measured (default: 9)")
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant is not None:
        print(art.run(measure, arguments.variant))
        return
    whole: list[float] = []
    saved: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for number in range(arguments.rounds):
        print(f"\rround {number + 1} of {arguments.rounds}", end="", file=sys.stderr, flush=True)
        whole.append(in_a_process("nothing"))
        for variant, samples in saved.items():
            difference = whole[-1] - in_a_process(variant)
            samples.append(-difference if variant == "a deadline" else difference)
    print(file=sys.stderr)
    median_us = statistics.median(whole)
    print(f"{'an ask, both sides':22}{median_us:8.2f} us of CPU")
    for variant, samples in saved.items():
        cost_us = statistics.median(samples)
        print(f"{variant:22}{cost_us:8.2f} us{100 * cost_us / median_us:7.1f} %")


if __name__ == "__main__":
    main()
