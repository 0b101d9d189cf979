"""The checksum of a chunk is the documented weighted sum, and changes of the chunk change it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actorrt.node.objects import checksums
from actorrt.node.objects.checksums import checksum

ROW_BYTES = 64 << 10
CHUNKS = st.builds(
    lambda seed, repeats, rest: seed * repeats + rest,
    st.binary(min_size=1, max_size=5_000),
    st.integers(0, 60),
    st.binary(max_size=20),
)


def summed_slowly(chunk: bytes) -> int:
    """Return the same checksum, computed word by word with Python's integers."""
    padded = chunk + bytes(-len(chunk) % 8)
    total = 0
    of_rows, of_both, of_upper = checksums._tables()
    for at in range(0, len(padded), 8):
        row, column = divmod(at // 8, ROW_BYTES // 8)
        lower, upper = (int.from_bytes(padded[start : start + 4], "little") for start in (at, at + 4))
        both, more = int(of_both[column]), int(of_upper[column])
        total += int(of_rows[row]) * (both * lower + ((both << 32) + more) * upper)
    return total % (1 << 64)


@settings(max_examples=20)
@given(CHUNKS)
def test_it_is_the_weighted_sum_of_the_words(chunk: bytes) -> None:
    assert checksum(memoryview(chunk)) == summed_slowly(chunk)


@given(CHUNKS, st.lists(st.tuples(st.integers(0), st.integers(1, 255)), min_size=1, max_size=4))
def test_bits_that_changed_show(chunk: bytes, changes: list[tuple[int, int]]) -> None:
    changed = bytearray(chunk or b"x")
    before = checksum(memoryview(bytes(changed)))
    for at, mask in changes:
        changed[at % len(changed)] ^= mask
    assert (checksum(memoryview(changed)) == before) == (bytes(changed) == (chunk or b"x"))


def test_two_signs_that_changed_show_wherever_they_are() -> None:
    chunk = bytearray(3 * ROW_BYTES)
    before = checksum(memoryview(chunk))
    for first, second in [(7, 15), (7, ROW_BYTES + 7), (3, 2 * ROW_BYTES + 3), (ROW_BYTES + 3, ROW_BYTES + 7)]:
        chunk[first] ^= 0x80
        chunk[second] ^= 0x80
        assert checksum(memoryview(chunk)) != before
        chunk[first] ^= 0x80
        chunk[second] ^= 0x80


def test_rows_and_words_that_changed_places_show() -> None:
    rows = [bytes([number]) * ROW_BYTES for number in range(5)]
    assert len({checksum(memoryview(b"".join(rows[at:] + rows[:at]))) for at in range(5)}) == 5
    assert checksum(memoryview(b"abcdefgh")) != checksum(memoryview(b"efghabcd"))


def test_it_is_the_same_on_every_node() -> None:
    assert checksum(memoryview(b"actorrt" * 20_000)) == 15883385560185263168
