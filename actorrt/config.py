"""Defaults, timeouts and bounds that matter to an operator, with their units in their names.

A constant that only one module's readers need is in that module.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
PROTOCOL_VERSION: Final = 1
PROTOCOL_VERSION_MIN: Final = 1  # the oldest version of the protocol that is still understood

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30

# Actors: the defaults of options; when a waiting call is reported; delays before a verdict on a call.
DEFAULT_MAILBOX_MESSAGES: Final = 10_000
DEFAULT_MAILBOX_BYTES: Final = 64 * MIB
DEFAULT_MAX_RESTARTS: Final = 5
DEFAULT_PERIOD_S: Final = 30.0
DEFAULT_SHUTDOWN_S: Final = 5.0
CALL_REPORT_AFTER_S: Final = 10.0
DEATH_GRACE_S: Final = 0.02  # how long a Down waits for the last envelopes of a dead process
DEADLINE_VERDICT_S: Final = 0.05

# Transport.
MAX_FRAME_BYTES: Final = 64 * MIB
LINK_QUEUE_BYTES: Final = 256 * MIB
CONNECT_TIMEOUT_S: Final = 5.0
FLUSH_TIMEOUT_S: Final = 1.0
HEARTBEAT_S: Final = 0.5
SILENCE_S: Final = 1.5  # one beat sends a probe, a later one finds it unanswered: reported within three seconds

# Node: processes and their output.
NODE_START_TIMEOUT_S: Final = 20.0
NODE_ANSWER_TIMEOUT_S: Final = 20.0
FORK_TIMEOUT_S: Final = 20.0
WORKER_OOM_SCORE: Final = 500  # the kernel kills workers before it kills the daemon
PROCESS_END_TIMEOUT_S: Final = 5.0  # from SIGKILL to the exit; a process that takes longer is stuck in the kernel
MAX_LINE_BYTES: Final = 16 * KIB
LAST_LINES_COUNT: Final = 50
FOLD_WINDOW_S: Final = 5.0

# Object store.
STORE_THRESHOLD_BYTES: Final = 64 * KIB  # a larger argument or result travels through the object store
DEFAULT_STORE_FRACTION: Final = 0.3
SEGMENT_BYTES: Final = 64 * MIB
SPILL_DIRECTORY: Final = "/var/tmp"  # on a disk; /tmp is often memory
