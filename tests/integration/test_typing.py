"""Typed refs: what mypy says of calls through `ActorRef[Counter]`, with the project's plugin."""

import textwrap

import pytest
from mypy import api

HEAD = """
    from __future__ import annotations
    from collections.abc import AsyncIterator, Iterator
    import actorrt as art

    class Counter(art.Actor):
        def __init__(self, start: int = 0) -> None:
            self.n = start

        async def increment(self, by: int = 1) -> int:
            return self.n + by

        def name(self) -> str:
            return "counter"

        async def count_to(self, limit: int) -> AsyncIterator[int]:
            yield limit

        def letters(self) -> Iterator[str]:
            yield "a"

    async def main() -> None:
        counter = await Counter.spawn(10)
        group = await Counter.options(cpus=1).spawn_many(2)
"""


CALLS = {
    "reveal_type(counter)": 'note: Revealed type is "actorrt.actors.ref.ActorRef[example.Counter]"',
    "reveal_type(counter.increment(5))": 'note: Revealed type is "actorrt.actors.reply.Reply[int]"',
    "reveal_type(await counter.increment(by=5))": 'note: Revealed type is "int"',
    "reveal_type(await counter.name())": 'note: Revealed type is "str"',
    "reveal_type(counter.count_to(3))": 'note: Revealed type is "actorrt.actors.streams.Stream[int]"',
    "reveal_type(counter.letters())": 'note: Revealed type is "actorrt.actors.streams.Stream[str]"',
    "reveal_type(await counter.increment.options(timeout_s=1)(2))": 'note: Revealed type is "int"',
    "reveal_type(await group[0].name())": 'note: Revealed type is "str"',
    'counter.increment("5")': 'error: Argument 1 to "__call__" of "ActorMethod" has incompatible type "str"',
    "counter.increment(1, 2)": 'error: Too many arguments for "__call__" of "ActorMethod"',
    'counter.increment.tell("5")': 'error: Argument 1 to "tell" of "ActorMethod" has incompatible type "str"',
    "counter.incremnt()": 'error: "Counter" has no public method "incremnt"',
    "await counter.increment(2)": "",
}


@pytest.mark.timeout(120)
def test_calls_through_a_ref_have_the_types_of_the_methods_and_wrong_ones_are_errors(tmp_path):
    head = textwrap.dedent(HEAD)
    source = tmp_path / "example.py"
    source.write_text(head + "".join(f"    {line}\n" for line in CALLS))
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nstrict = true\nplugins = actorrt.mypy_plugin\n")
    output, errors, _ = api.run(["--config-file", str(settings), "--cache-dir", str(tmp_path / "cache"), str(source)])
    assert errors == ""
    messages = {}
    for message in output.splitlines():
        place, _, text = message.partition(": ")
        if place.startswith(f"{source}:"):
            messages[int(place.rpartition(":")[2])] = text
    first = head.count("\n") + 1
    said = {line: messages.get(first + number, "") for number, line in enumerate(CALLS)}
    assert {line: text[: len(CALLS[line])] if CALLS[line] else text for line, text in said.items()} == CALLS
