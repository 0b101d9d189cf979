"""Pure: the conversation in which one node reads the bytes of objects of another over its TLS port.

The reader opens a connection for the purpose `BULK`, and sends one `BulkRead` after the other. Each is answered by the
chunks that it asks for, in order. Before each chunk there is a mark of one byte:

| mark | what follows |
|---|---|
| `CHUNK` | the bytes of the chunk: `CHUNK_BYTES`, or what is left of the part that was asked for |
| `WAIT` | another mark: the source has not read the chunk itself yet, or serves others. It comes once a second |
| `GONE` | nothing: the source has the object no longer; the next request may follow |
| `REFUSAL` | the rest of a message of `actorrt.cluster.joining.messages`, and the end of the connection |

TLS authenticates every record, so chunks have no checksums here: `docs/decisions/0034-bulk-over-tls.md`.
"""

from __future__ import annotations

from typing import Final

from actorrt.ids import ObjectId, PeerId
from actorrt.protocol.forms import Count
from actorrt.protocol.verb import Record

BULK: Final = "bulk"
READ: Final = "read"
REQUEST_BYTES: Final = 256
"""The most bytes of a request."""

CHUNK, WAIT, GONE = b"C", b"W", b"G"
REFUSAL: Final = b"\0"
"""The first byte of the length of a message."""

WAIT_EVERY_S: Final = 1.0
STALL_S: Final = 5.0
"""How long either side waits until bytes move."""
IDLE_S: Final = 10.0
"""How long a reader keeps a connection that it does not use."""
SERVED_IDLE_S: Final = 30.0
"""How long a source keeps one: longer, so that a request seldom meets a connection that is being closed."""


class BulkOpening(Record):
    """The first message of a reader.

    Attributes:
        source: the incarnation that the reader wants to read from.
    """

    source: PeerId


class BulkRead(Record):
    """Send a part of an object.

    Attributes:
        object: the object.
        offset: where the part begins, at the beginning of a chunk.
        length_bytes: the length of the part.
    """

    object: ObjectId
    offset: Count
    length_bytes: Count
