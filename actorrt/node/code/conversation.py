"""Pure: how a worker asks its daemon for a module: one question a connection, and the lengths and times of both sides.

A question is a job and the name of a module, an answer is `Told`; each is MessagePack behind its length.
"""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

import msgpack

from actorrt.protocol.cluster.code import ModuleText

LENGTH: Final = struct.Struct("!I")
"""The length of a question or an answer, in bytes."""
MAX_QUESTION_BYTES: Final = 4096
QUESTION_WITHIN_S: Final = 5.0
ANSWER_WITHIN_S: Final = 5.0
"""How long the node of the driver may take."""

Told: TypeAlias = tuple[ModuleText | None, str]
"""A module, if the driver can import it; or why that is unknown, in words."""


def packed(told: Told) -> bytes:
    """Return an answer as it travels to a worker."""
    found, why = told
    data: bytes = msgpack.packb([None if found is None else found.pack(), why])
    return data


def unpacked(data: bytes) -> Told:
    """Return what `packed` packed."""
    found, why = msgpack.unpackb(data)
    return None if found is None else ModuleText.unpack(found), why
