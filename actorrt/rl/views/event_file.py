"""Writes TensorBoard's event files: records of protocol buffers, each with checksums.

Both formats are small (tensorflow/core/lib/io/record_writer.h, tensorboard's event.proto and summary.proto). They are
written here, so that users need not install TensorBoard where they train.
"""

from __future__ import annotations

import math
import os
import struct
import time

CASTAGNOLI = 0x82F63B78  # CRC-32C, bits reversed
MASK_DELTA = 0xA282EAD8
LARGEST_FLOAT = (2.0 - 2.0**-23) * 2.0**127  # in 32 bits


def _table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (CASTAGNOLI if crc & 1 else 0)
        table.append(crc)
    return table


TABLE = _table()


def masked_checksum(data: bytes) -> int:
    """Return the masked CRC-32C of data that record files use."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


class EventFile:
    """One event file, open for writing.

    Args:
        directory: directory of the file; TensorBoard shows each directory as a run.
    """

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, exist_ok=True)
        began = time.time()
        self.path = os.path.join(directory, f"events.out.tfevents.{int(began)}.{os.getpid()}.{time.monotonic_ns()}")
        self._file = open(self.path, "xb")  # noqa: SIM115  # `close` closes it
        self._write(_double(1, began) + _bytes(3, b"brain.Event:2"))

    def add(self, step: int, scalars: dict[str, float]) -> None:
        """Write numbers by their tags, and flush the file."""
        values = b"".join(_bytes(1, _bytes(1, tag.encode()) + _float(2, value)) for tag, value in scalars.items())
        self._write(_double(1, time.time()) + _varint(2 << 3) + _varint(step) + _bytes(5, values))
        self._file.flush()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def _write(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        parts = length, struct.pack("<I", masked_checksum(length)), event, struct.pack("<I", masked_checksum(event))
        self._file.write(b"".join(parts))


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    if abs(value) > LARGEST_FLOAT:
        value = math.copysign(math.inf, value)
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
