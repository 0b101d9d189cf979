"""The daemon reads a worker's pipes within a budget and loses nothing."""

import asyncio
import os

import pytest

from actorrt.node.processes.lines import marker
from actorrt.node.processes.output import OUTPUT_BUDGET_READS, OUTPUT_READ_BYTES, OutputReader
from actorrt.protocol.processes import OutputLine


@pytest.fixture
async def batches():
    return []


@pytest.fixture
async def reader(batches):
    reader = OutputReader(asyncio.get_running_loop(), "worker-1", batches.append)
    yield reader
    reader.close()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_lines_have_their_label_and_their_stream(reader, batches):
    os.write(reader.stdout_fd, f"{marker('Counter#1')}hello\nraw\n".encode())
    os.write(reader.stderr_fd, b"oops\n")
    await until(lambda: len(batches) == 2)
    assert sorted(line for batch in batches for line in batch) == [
        OutputLine("Counter#1", "stdout", "hello"),
        OutputLine("worker-1", "stderr", "oops"),
        OutputLine("worker-1", "stdout", "raw"),
    ]


async def test_drain_passes_on_the_rest_of_the_output_and_lines_without_newline(reader, batches):
    os.write(reader.stdout_fd, b"a\nb")
    os.write(reader.stderr_fd, b"c")
    reader.drain()
    assert [line.text for batch in batches for line in batch] == ["a", "b", "c"]


async def test_last_lines_are_the_last_fifty_of_both_streams(reader):
    for index in range(60):
        os.write(reader.stderr_fd, f"{index}\n".encode())
    reader.drain()
    assert reader.last_lines == [str(index) for index in range(10, 60)]


async def test_end_of_file_closes_and_hands_on_the_rest(reader, batches):
    os.write(reader.stdout_fd, b"tail")
    reader.close_write_ends()
    await until(lambda: batches)
    assert batches == [[OutputLine("worker-1", "stdout", "tail")]]


async def test_one_turn_of_the_loop_reads_no_more_than_the_budget(reader, batches):
    fd = os.dup(reader.stdout_fd)
    line = b"x" * 99 + b"\n"
    # Writes beside the reads, in a thread, and is awaited below.
    producer = asyncio.create_task(asyncio.to_thread(os.write, fd, line * 20_000))
    sizes = []
    while sum(sizes) < 2_000_000:
        await asyncio.sleep(0)
        sizes.append(sum(len(one.text) + 1 for batch in batches for one in batch))
        batches.clear()
    assert await producer == 2_000_000
    os.close(fd)
    assert max(sizes) <= OUTPUT_BUDGET_READS * OUTPUT_READ_BYTES + len(line)


async def test_paused_reader_holds_the_writer_back(reader, batches):
    reader.pause()
    os.set_blocking(reader.stdout_fd, False)
    for _ in range(64):
        os.write(reader.stdout_fd, b"x" * 1023 + b"\n")
    with pytest.raises(BlockingIOError):
        os.write(reader.stdout_fd, b"x" * 1023 + b"\n")
    await asyncio.sleep(0)
    assert batches == []
    reader.resume()
    await until(lambda: sum(map(len, batches)) == 64)


async def test_callback_may_close_the_reader(batches):
    loop = asyncio.get_running_loop()

    def take(lines):
        batches.append(lines)
        reader.close()

    reader = OutputReader(loop, "w", take)
    os.write(reader.stdout_fd, b"a\n")
    await until(lambda: batches)
    assert batches == [[OutputLine("w", "stdout", "a")]]


async def test_close_is_idempotent_and_leaves_no_descriptor():
    before = os.listdir("/proc/self/fd")
    reader = OutputReader(asyncio.get_running_loop(), "w", lambda _: None)
    reader.close()
    reader.close()
    reader.drain()
    assert os.listdir("/proc/self/fd") == before
