"""What a worker prints is marked with its actor and written at once."""

import io
import os
import threading

import pytest

from actorrt.node.processes.lines import LineSplitter
from actorrt.node.worker.printing import LabelledWriter


class Printed:
    """A writer on a pipe, the label it is to use, and what has come through."""

    def __init__(self):
        self.label = "A"
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        self.writer = LabelledWriter(self._write_fd, lambda: self.label)

    def raw(self):
        try:
            return os.read(self._read_fd, 1 << 20)
        except BlockingIOError:
            return b""

    def lines(self):
        splitter = LineSplitter()
        return splitter.feed(self.raw()) + splitter.finish()

    def close(self):
        self.writer.close()
        self.writer.buffer.close()
        os.close(self._read_fd)
        os.close(self._write_fd)


@pytest.fixture
def printed():
    printed = Printed()
    yield printed
    printed.close()


def test_print_is_written_when_it_returns(printed):
    print("a", 1, file=printed.writer)
    assert printed.raw() == b"\x1eA\x1fa 1\n"


def test_every_line_of_a_text_is_marked(printed):
    print("one\ntwo\n\nfour", file=printed.writer)
    assert printed.lines() == [("A", "one"), ("A", "two"), ("A", ""), ("A", "four")]


def test_partial_lines_of_two_actors_stay_apart(printed):
    print("from A, ", end="", file=printed.writer)
    printed.label = "B"
    print("from B", file=printed.writer)
    printed.label = "A"
    print("still A", file=printed.writer)
    assert printed.lines() == [("B", "from B"), ("A", "from A, still A")]


def test_flush_writes_a_partial_line(printed):
    print("loading", end="", file=printed.writer)
    assert printed.raw() == b""
    printed.writer.flush()
    assert printed.raw() == b"\x1eA\x1floading"


def test_line_continues_after_a_flush(printed):
    print("loading ", end="", flush=True, file=printed.writer)
    print("done", file=printed.writer)
    assert printed.raw() == b"\x1eA\x1floading done\n"


def test_another_actor_does_not_continue_a_flushed_line(printed):
    print("loading", end="", flush=True, file=printed.writer)
    printed.label = "B"
    print("hello", file=printed.writer)
    assert printed.lines() == [("A", "loading"), ("B", "hello")]


def test_close_writes_the_unfinished_lines_of_all_speakers(printed):
    print("a", end="", file=printed.writer)
    printed.label = "B"
    print("b", end="", file=printed.writer)
    printed.writer.close()
    assert printed.lines() == [("A", "a"), ("B", "b")]


def test_text_that_utf8_cannot_encode_is_shown(printed):
    print("\udcff", file=printed.writer)
    assert printed.lines() == [("A", "\\udcff")]


def test_bytes_through_buffer_have_no_label(printed):
    printed.writer.buffer.write(b"raw\n")
    assert printed.lines() == [("", "raw")]


def test_write_of_something_else_is_a_type_error(printed):
    with pytest.raises(TypeError, match="must be str, not bytes"):
        printed.writer.write(b"x")


def test_writer_is_a_text_stream_that_is_no_terminal(printed):
    assert isinstance(printed.writer, io.TextIOBase)
    assert printed.writer.writable()
    assert not printed.writer.isatty()
    printed.writer.reconfigure(line_buffering=True)


def test_too_many_partial_lines_end_the_oldest(printed):
    for index in range(101):
        printed.label = f"actor-{index}"
        print(index, end="", file=printed.writer)
    assert printed.lines() == [("actor-0", "0")]


def test_lines_of_many_threads_are_whole(printed):
    def run(name):
        for index in range(100):
            print(name, index, "x" * 20, file=printed.writer)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = [text for _, text in printed.lines()]
    for name in "abcd":
        assert [text for text in texts if text[0] == name] == [f"{name} {index} {'x' * 20}" for index in range(100)]
    assert len(texts) == 400
