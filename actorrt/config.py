"""Every constant that the runtime is tuned by, with its unit in its name."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"

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
NODE_ANSWER_TIMEOUT_S: Final = 20.0

# Object store
SEGMENT_BYTES: Final = 64 * MIB
ALIGNMENT_BYTES: Final = 64
DEFAULT_STORE_FRACTION: Final = 0.3
SPILL_DIRECTORY: Final = "/var/tmp"  # on a disk, where /tmp is often memory

# Worker processes and their output
FORKS_IN_FLIGHT: Final = 16
FORK_TIMEOUT_S: Final = 20.0
MAX_FORK_REQUEST_BYTES: Final = 128 * KIB
WORKER_OOM_SCORE: Final = 500  # the kernel takes workers before it takes the daemon
PROCESS_END_TIMEOUT_S: Final = 5.0  # from SIGKILL to the exit; longer means stuck in the kernel
MAX_LINE_BYTES: Final = 16 * KIB
OUTPUT_READ_BYTES: Final = 64 * KIB
OUTPUT_BUDGET_READS: Final = 4
LAST_LINES_COUNT: Final = 50
FOLD_WINDOW_S: Final = 5.0
FOLD_MAX_KEYS: Final = 1_000

# Transport, limits on what is accepted and held
PROTOCOL_VERSION_MIN: Final = 1
MAX_ARRAY_COUNT: Final = 32_767
MAX_MAP_COUNT: Final = 16_383
MAX_NESTING: Final = 16  # arrays and maps in an envelope, itself included
MAX_FRAME_BUFFERS_COUNT: Final = 1_024
FRAME_CUT_BYTES: Final = 256 * KIB  # envelopes beyond this go into the next frame
LINK_QUEUE_BYTES: Final = 256 * MIB
RECONNECT_MIN_S: Final = 0.05
RECONNECT_MAX_S: Final = 2.0
SOCKET_QUEUE_FRAMES: Final = 1_000
REMEMBERED_DROPS_COUNT: Final = 10_000
MAX_FAREWELLS_COUNT: Final = 16
ZERO_COPY_BYTES: Final = 512 * KIB  # below, a copy costs less than giving the buffer back

# Transport, links that survive
ACK_DELAY_S: Final = 0.005  # what is owed rides in a frame, or goes alone after one to two of these
ACK_FRAMES_COUNT: Final = 64  # or after so many frames
INLINE_BUFFERS_BYTES: Final = 4 * KIB  # a part of its own costs more than copying so little
LAST_ACK_TIMEOUT_S: Final = 0.1  # who closes waits no longer for peers that acknowledge nothing
MAX_INLINE_BUFFERS_COUNT: Final = 16
HEARTBEAT_S: Final = 0.5
SILENCE_S: Final = 1.5  # with the beat that probes and the one that finds it due: told within three seconds
EARLY_FRAME_BYTES: Final = 16 * KIB  # leaves before the tick ends: in flight, 10 % more asks a second
FRUITLESS_CONNECTIONS_COUNT: Final = 10  # a peer whose connections break as often as this is not there
IPC_PATH_MAX_BYTES: Final = 107  # sockaddr_un, less its final zero
