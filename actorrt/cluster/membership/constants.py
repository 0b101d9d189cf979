"""Pure: the times of membership. They hold together: whoever changes one reads the reasons beside it."""

from __future__ import annotations

from typing import Final

PROBE_S: Final = 0.5
"""How often a node probes another. Three misses are 1.5 s, so a silent node has two votes after about 2.5 s."""
MISSES_COUNT: Final = 3
PROBED_COUNT: Final = 10
"""How many others a node probes: those after it in the order of ids, which begins again at the end."""
QUIET_S: Final = 4.0
"""How long any other member may be quiet before it is probed too: less than half of `UNDECIDED_S`."""
INDIRECT_COUNT: Final = 3
"""How many others are asked to probe a node that does not answer."""
LATE_S: Final = 0.25
"""A node whose own clock ticks later than this counts no misses: it may have been the one that was away."""
FENCE_S: Final = 3.0
"""How long a node's lease holds. From the sending of the question that vouches for it."""
REPLACEMENT_S: Final = 1.1 * FENCE_S
"""How long after its death row a node's actors may be started elsewhere: its lease has ended, by any clock 10 % off."""
READ_S: Final = 1.0
"""How often a node reads the members."""
STORE_AWAY_S: Final = 1.5
"""When the newest read that a node knows of is so old, it asks all members whether they have a newer one."""
FRESH_S: Final = 1.0
"""How old the read of the members may be that a promise is based on."""
PROMISE_S: Final = 3.0
"""How old a promise becomes before its holder makes it lapse, since whoever asked for it did not write."""
VOTE_S: Final = 10.0
"""How long a vote counts that is not renewed."""
RENEW_S: Final = 4.0
"""How often a vote that still holds is renewed."""
PARTIAL_S: Final = 30.0
"""How long two nodes may fail to reach each other before a third one, which reaches both, ends one of them."""
UNDECIDED_S: Final = 10.0
"""After so long without a sign of a member whose row is alive, calls to it end as undecided."""
FREEZE_MAX_S: Final = 120.0
"""How long a fenced node stays frozen before it gives up what it has."""
FORGET_S: Final = 24 * 3600.0
"""How long the rows of dead members stay."""
