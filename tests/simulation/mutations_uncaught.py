"""Why the standard story does not find some mutations: which oracle or which part of the story is missing.

`_RARE`: the defect happens in the story, and no seed that shows it has been found yet. About thirty were tried.
"""

from __future__ import annotations

from typing import Final

_SECOND: Final = "A second line of defence. On one host, "

_RARE: Final = "The story does it, but rarely, and no oracle sees it in the seeds that were tried."

UNCAUGHT: Final[dict[str, str]] = {
    "ignore an incarnation": _SECOND + "a report of an old incarnation never arrives: the transport drops a process "
    "that has ended before its actors are restarted.",
    "take a snapshot of an old incarnation": _SECOND
    + "a snapshot of an old incarnation never arrives, for that reason.",
    "forget the children of a dead process": _SECOND + "the end of each parent that was there stops its children, too.",
    "deliver a frame twice after a reconnect": _SECOND
    + "a link sends no frame again that had arrived: it waits for the "
    "answer to its HELLO.",
    "send before the answer to the HELLO": _SECOND + "the receiver drops the frames that it had received before.",
    "accept a gap": _SECOND + "no link leaves out a frame.",
    "overtake the messages that wait": _SECOND + "what waits leaves as soon as there is room, before anything is sent.",
    "answer an interrupted call twice": _RARE,
    "send a moved call nowhere": _RARE,
    "forget the snapshots at a restart": _RARE,
    "report an end before the last tells": _RARE,
    "ignore an order to stop during a start": _RARE,
    "let a worker that could not be launched count as live": _RARE,
    "answer a process that was given up": _RARE,
    "keep what a message carried": _RARE,
    "keep what was sent to a dead process": _RARE,
    "give up what waits for a full link": "No link of the story is full: that takes megabytes of control envelopes.",
}
"""The reason for each mutation that no seed finds."""
