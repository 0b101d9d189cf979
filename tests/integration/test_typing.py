"""Typed refs: the messages of mypy with the project's plugin about calls of an `ActorRef[Counter]`."""

import inspect
import textwrap

import pytest
from mypy import api

import actorrt as art
from tests.integration.cast import Counter

HEAD = """
    from __future__ import annotations
    from collections.abc import AsyncIterator, Iterator
    from typing import Generic, TypeVar
    import actorrt as art

    T = TypeVar("T")

    class Base(art.Actor, Generic[T]):
        def keep(self, item: T) -> T:
            return item

    class Counter(Base[bytes]):
        def __init__(self, start: int = 0) -> None:
            self.n = start

        async def on_start(self) -> None:
            self.n += 1

        async def increment(self, by: int = 1) -> int:
            return self.n + by

        def name(self) -> str:
            return "counter"

        async def count_to(self, limit: int) -> AsyncIterator[int]:
            yield limit

        def letters(self) -> Iterator[str]:
            yield "a"

        @art.offload
        def block(self, seconds: float) -> float:
            return seconds

        @staticmethod
        def double(number: int) -> int:
            return 2 * number

        @property
        def total(self) -> int:
            return self.n

        def count(self, *words: str, sep: str) -> int:
            return len(words)

    class Plain(art.Actor):
        pass

    class Box(art.Actor, Generic[T]):
        def __init__(self, item: T) -> None:
            self.item = item

    async def main() -> None:
        counter = await Counter.spawn(10)
        group = await Counter.options(cpus=1).spawn_many(2)
        number: art.ObjectRef[int] = art.put(5)
        word: art.ObjectRef[str] = art.put("five")
"""


def revealed(kind: str) -> str:
    return f'note: Revealed type is "{kind}"'


REF, REPLY = "actorrt.actors.refs.ref.ActorRef", "actorrt.actors.refs.reply.Reply"
STREAM = "actorrt.actors.calling.streams.Stream"
GROUP, GROUP_REPLY = "actorrt.actors.refs.group.ActorGroup", "actorrt.actors.refs.group.GroupReply"
CALLS = {
    "reveal_type(counter)": revealed(f"{REF}[example.Counter]"),
    "reveal_type(counter.increment(5))": revealed(f"{REPLY}[int]"),
    "reveal_type(await counter.increment(by=5))": revealed("int"),
    "reveal_type(await counter.name())": revealed("str"),
    "reveal_type(counter.count_to(3))": revealed(f"{STREAM}[int]"),
    "reveal_type(counter.letters())": revealed(f"{STREAM}[str]"),
    "reveal_type(await counter.increment.options(timeout_s=1)(2))": revealed("int"),
    'reveal_type(counter.increment.options(returns="ref")(2))': revealed("actorrt.store.client.ref.ObjectRef[int]"),
    "reveal_type(counter.increment.ref(2))": revealed("actorrt.store.client.ref.ObjectRef[int]"),
    "reveal_type(await art.gather(counter.increment(), counter.name()))": revealed("tuple[int, str]"),
    "reveal_type(await art.gather(counter.name(), number, word))": revealed("tuple[str, int, str]"),
    "reveal_type(await art.gather(*[counter.name(), counter.name()]))": revealed("list[str]"),
    "reveal_type(await art.gather(counter.name(), number, return_exceptions=True))": revealed("list[Any]"),
    "reveal_type(art.put([1]))": revealed("actorrt.store.client.ref.ObjectRef[list[int]]"),
    "reveal_type(await counter.block(0.5))": revealed("float"),
    "reveal_type(await counter.double(2))": revealed("int"),
    'reveal_type(await counter.keep(b""))': revealed("bytes"),
    'reveal_type(await counter.count("a", "b", sep=""))': revealed("int"),
    "reveal_type(await counter.increment(number))": revealed("int"),
    "reveal_type(await group[0].name())": revealed("str"),
    "reveal_type(group.increment(5))": revealed(f"{GROUP_REPLY}[int]"),
    "reveal_type(await group.name())": revealed("list[str]"),
    "reveal_type([await reply async for reply in group.increment().as_completed()])": revealed("list[int]"),
    'reveal_type(await group.count("a", sep=""))': revealed("list[int]"),
    'counter.increment("5")': 'error: Argument 1 to "__call__" of "ActorMethod" has incompatible type "str"',
    "counter.increment(1, 2)": 'error: Too many arguments for "__call__" of "ActorMethod"',
    'counter.increment.tell("5")': 'error: Argument 1 to "tell" of "ActorMethod" has incompatible type "str"',
    "counter.increment(word)": 'error: Argument 1 to "__call__" of "ActorMethod" has incompatible type',
    "counter.keep(5)": 'error: Argument 1 to "__call__" of "ActorMethod" has incompatible type "int"',
    'counter.count("a")': 'error: Missing named argument "sep" for "__call__" of "ActorMethod"',
    "counter.increment.options(timeout=1)": 'error: Unexpected keyword argument "timeout"',
    "counter.incremnt()": 'error: "Counter" has no public method "incremnt"',
    "counter.on_start()": 'error: "Counter" has no public method "on_start"',
    "counter.total()": 'error: "Counter" has no public method "total"',
    "counter.n()": 'error: "Counter" has no public method "n"',
    'group.increment("5")': 'error: Argument 1 to "__call__" of "GroupMethod" has incompatible type "str"',
    "group.incremnt()": 'error: "Counter" has no public method "incremnt"',
    "await counter.increment(2)": "",
    "reveal_type(await Counter.spawn(start=3))": revealed(f"{REF}[example.Counter]"),
    "reveal_type(await Counter.spawn_many(2, number))": revealed(f"{GROUP}[example.Counter]"),
    'await Counter.spawn("3")': 'error: Argument 1 to "spawn" of "Actor" has incompatible type "str"',
    "await Counter.spawn(1, 2)": 'error: Too many arguments for "spawn" of "Actor"',
    "await Counter.options(cpus=1).spawn(begin=1)": 'error: Unexpected keyword argument "begin" for "spawn"',
    'await Counter.spawn_many(2, "3")': 'error: Argument 2 to "spawn_many" of "Actor" has incompatible type "str"',
    "await Box.spawn(1)": "",
    "await Plain.spawn(1)": 'error: Too many arguments for "spawn" of "Actor"',
    'Counter.options(cpus="2")': 'error: Argument "cpus" to "options" of "Actor" has incompatible type "str"',
    "Counter.options(cpu=2)": 'error: Unexpected keyword argument "cpu" for "options" of "Actor"',
    'Counter.options(restart="always")': 'error: Argument "restart" to "options" of "Actor" has incompatible type',
    'Counter.options(cpus=1).options(overflow="latest", crash_on=(OSError,), snapshot_every=3.0)': "",
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
            messages.setdefault(int(place.rpartition(":")[2]), text)
    first = head.count("\n") + 1
    found = {line: messages.get(first + number, "") for number, line in enumerate(CALLS)}
    assert {line: text[: len(CALLS[line])] if CALLS[line] else text for line, text in found.items()} == CALLS


async def test_signatures_and_method_names_are_available_for_completion_in_notebooks(runtime):
    counter = await Counter.spawn()
    assert {"add", "value", "stop"} <= set(dir(counter))
    assert {"add", "value", "stop"} <= set(dir(art.ActorGroup([counter])))
    assert str(inspect.signature(counter.add)) == "(by=...)"


async def test_wrong_arguments_are_type_errors_at_the_caller_before_anything_is_sent(runtime):
    counter = await Counter.spawn()
    for call in (
        lambda: counter.add(1, 2),
        lambda: counter.add(amount=1),
        lambda: counter.add.tell(1, 2),
        lambda: counter.add.options(timeout_s=1)(1, 2),
        lambda: art.ActorGroup([counter]).add(1, 2),
    ):
        with pytest.raises(TypeError, match=r"Counter\.add\(by=\.\.\.\): "):
            call()
    assert await counter.value() == 0
