"""Bytes of a pipe become labelled lines, whatever way they are cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from actorrt.node.processes.lines import LineSplitter, marker

LABELS = st.text(alphabet="abc #=12", max_size=8)
TEXTS = st.text(alphabet=st.characters(exclude_characters="\n\r", exclude_categories=("Cs",)), max_size=20)


def test_line_with_a_marker_has_its_label():
    data = f"{marker('Counter#1')}hello\n".encode()
    assert LineSplitter().feed(data) == [("Counter#1", "hello")]


def test_line_without_a_marker_has_an_empty_label():
    assert LineSplitter().feed(b"malloc(): corrupted\n") == [("", "malloc(): corrupted")]


def test_line_in_pieces_is_one_line():
    splitter = LineSplitter()
    pieces = f"{marker('A')}grüße\n".encode()
    lines = [line for index in range(len(pieces)) for line in splitter.feed(pieces[index : index + 1])]
    assert lines == [("A", "grüße")]


def test_finish_gives_the_line_without_a_newline():
    splitter = LineSplitter()
    assert splitter.feed(b"done\nhalf") == [("", "done")]
    assert splitter.finish() == [("", "half")]
    assert splitter.finish() == []


def test_empty_lines_are_lines():
    assert LineSplitter().feed(b"\n\n") == [("", ""), ("", "")]


def test_only_the_last_version_of_a_progress_bar_counts():
    data = f"{marker('A')}\r10 %\r50 %\r100 %\r\n".encode()
    assert LineSplitter().feed(data) == [("A", "100 %")]


def test_progress_bar_longer_than_the_cap_is_not_cut():
    splitter = LineSplitter(max_line_bytes=32)
    lines = [line for percent in range(100) for line in splitter.feed(f"\r{percent} %".encode())]
    assert lines == []
    assert splitter.feed(b"\n") == [("", "99 %")]


def test_long_line_is_cut_once_and_the_next_is_whole():
    splitter = LineSplitter(max_line_bytes=8)
    lines = [line for _ in range(10) for line in splitter.feed(b"xxxxx")]
    assert lines == [("", "xxxxxxxx [cut at 8 bytes]")]
    assert splitter.feed(b"xxx\nnext\n") == [("", "next")]


def test_long_line_in_one_piece_is_cut():
    assert LineSplitter(max_line_bytes=4).feed(b"123456\nab\n") == [("", "1234 [cut at 4 bytes]"), ("", "ab")]


def test_bytes_that_are_not_utf8_are_shown():
    assert LineSplitter().feed(b"\xff\xfe\n") == [("", "\\xff\\xfe")]


def test_label_cannot_break_the_marker():
    data = f"{marker('a' + chr(0x1F) + chr(10) + 'b')}text\n".encode()
    assert LineSplitter().feed(data) == [("ab", "text")]


@given(st.lists(st.tuples(LABELS, TEXTS)), st.lists(st.integers(0, 200)))
def test_any_lines_cut_anywhere_come_out_whole(lines, cuts):
    data = "".join(f"{marker(label)}{text}\n" for label, text in lines).encode()
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    splitter = LineSplitter()
    parts = [data[start:end] for start, end in pairwise(bounds)]
    assert [line for part in parts for line in splitter.feed(part)] == lines
    assert splitter.finish() == []
