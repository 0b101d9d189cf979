"""Why the standard story does not find some mutations: which oracle or which part of the story is missing."""

from __future__ import annotations

from typing import Final

_TIMEOUTS: Final = (
    "Nearly all calls of the story have a timeout, and may end by it. No oracle says that a call must not end by its "
    "timeout where nothing is wrong, and no act calls without a timeout."
)
_SILENCE: Final = "It needs a process that is given up and lives. Cuts of that length are rare in a short story."
_RACE: Final = "It needs a rare order of events: a report that is under way while the process dies and another starts."
_INTENSITY: Final = "Every actor of the story has max_restarts=1000: none may give up, and none has to."

UNCAUGHT: Final[dict[str, str]] = {
    "drop the calls that wait for a key": _TIMEOUTS,
    "drop the interrupted calls": _TIMEOUTS,
    "forget the messages of a dead actor": _TIMEOUTS,
    "forget the calls at a lost process": _TIMEOUTS,
    "leave callers in the dark during a back-off": _TIMEOUTS,
    "treat a failed lookup as a death": _SILENCE,
    "answer that a call did not run, although it may have left": _SILENCE,
    "answer a process that was given up": _SILENCE,
    "reconnect for nobody": "The peer is given up after 5 s, which heals the rest. No oracle says that a short break "
    "ends no call.",
    "drop a credit": "No client sends more than the first 64 messages to one actor in a short time.",
    "overtake the messages that wait": "No act sends so many messages in order that some of them wait for credit.",
    "report an end before the last tells": "No actor has tells that wait for credit when it ends.",
    "begin each settlement with a full window": "No act fills a mailbox, and no oracle compares the two counts.",
    "skip the fence of a stop": "No act stops an actor after tells and looks whether they were handled.",
    "restart beyond the intensity": _INTENSITY,
    "count one loss for each actor": _INTENSITY,
    "ignore an incarnation": _RACE,
    "take a snapshot of an old incarnation": _RACE,
    "forget an exit that overtakes its start": _RACE,
    "forget an early cancel": _RACE,
    "handle a call after its deadline": 'The caller is told "maybe", which is true. No promise says that it does not '
    "run, so no oracle can tell.",
    "start before the children have gone": "No act looks at the children of an incarnation that has been restarted.",
    "acknowledge nothing": "A link of the story never carries enough to be full.",
}
"""The reason for each mutation that no seed finds, as far as it is known."""
