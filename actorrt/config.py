"""Every constant that the runtime is tuned by, with its unit in its name."""

from __future__ import annotations

from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30

# Values: what is larger than this leaves the message and travels through the object store.
STORE_THRESHOLD_BYTES: Final = 64 * KIB

# Transport
PROTOCOL_VERSION: Final = 1
MAX_FRAME_BYTES: Final = 64 * MIB
CONNECT_TIMEOUT_S: Final = 5.0
FLUSH_TIMEOUT_S: Final = 1.0
RECEIVE_BUDGET_FRAMES: Final = 64

# Actors
DEFAULT_MAILBOX_MESSAGES: Final = 10_000
DEFAULT_MAILBOX_BYTES: Final = 64 * MIB
DEFAULT_MAX_RESTARTS: Final = 5
DEFAULT_PERIOD_S: Final = 30.0
DEFAULT_SHUTDOWN_S: Final = 5.0
CALL_REPORT_AFTER_S: Final = 10.0
DEATH_GRACE_S: Final = 0.02  # a Down waits this long for the last words of a dead process
DEADLINE_VERDICT_S: Final = 0.05

# Processes
WORKER_START_TIMEOUT_S: Final = 30.0
NODE_START_TIMEOUT_S: Final = 20.0

# Object store
SEGMENT_BYTES: Final = 64 * MIB
ALIGNMENT_BYTES: Final = 64
DEFAULT_STORE_FRACTION: Final = 0.3
