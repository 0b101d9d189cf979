"""Children of a supervisor look each other up by id."""

from __future__ import annotations

import asyncio

import pytest

import actorrt as art


class Member(art.Actor):
    """Looks up the sibling `first` while it starts, and any sibling in a method."""

    def __init__(self, label, first=None):
        self.label, self.first = label, first

    async def on_start(self):
        self.found = None if self.first is None else await self.context.sibling(self.first)

    async def found_label(self):
        return await self.found.label_of()

    def label_of(self):
        return self.label

    async def seek(self, id):
        return await self.context.sibling(id)

    def incarnation(self):
        return self.context.incarnation

    def fail(self):
        raise SystemExit("on purpose")


class Choir(art.Supervisor):
    """Members a, b and c; b looks up the member `first` while it starts."""

    def __init__(self, options=None, first="a"):
        self.options_of, self.first = options or {}, first

    def children(self):
        yield art.Child(Member, "a", id="a", **self.options_of)
        yield art.Child(Member, "b", self.first, id="b", **self.options_of)
        yield art.Child(Member, "c", id="c", **self.options_of)


@pytest.mark.parametrize("options", [{}, {"isolation": "process"}], ids=["light", "process"])
async def test_child_finds_earlier_siblings_while_it_starts_and_any_sibling_from_its_methods(runtime, options):
    choir = await Choir.spawn(options)
    a, b, c = [await choir.child(id) for id in "abc"]
    assert await b.found_label() == "a"
    assert [await member.seek(id) for member, id in ((a, "c"), (c, "a"), (b, "b"))] == [c, a, b]
    added = await choir.start_child(art.Child(Member, "d", "c", id="d"))
    assert await added.found_label() == "c"
    assert await a.seek("d") == added


async def test_ref_of_a_sibling_stays_valid_over_restarts(runtime):
    choir = await Choir.spawn()
    a, b = await choir.child("a"), await choir.child("b")
    with pytest.raises(art.ActorUnavailableError):
        await a.fail()
    assert await a.incarnation.options(retries=3)() == 2
    assert await b.found_label() == "a"


async def test_unknown_sibling_is_a_value_error_that_names_the_started_siblings(runtime):
    choir = await Choir.spawn()
    a = await choir.child("a")
    with pytest.raises(ValueError, match=r"Member-\w+ has no sibling 'x'; those that have been started: a, b, c"):
        await a.seek("x")
    await choir.stop_child("b")
    with pytest.raises(ValueError, match=r"no sibling 'b'; .*: a, c"):
        await a.seek("b")


async def test_lookup_of_a_later_sibling_while_a_child_starts_fails_the_start_with_a_clear_error(runtime):
    async with asyncio.timeout(20):
        with pytest.raises(art.ActorStartError, match=r"no sibling 'c'; those that have been started: a, b"):
            await Choir.spawn({}, "c")


async def test_sibling_lookup_outside_a_supervisor_is_an_error_that_says_so(runtime):
    class Parent(art.Actor):
        async def ask_below(self):
            child = await Member.spawn("below")
            return await child.seek("a")

    for call in ((await Member.spawn("alone")).seek("a"), (await Parent.spawn()).ask_below()):
        with pytest.raises(
            art.RuntimeStateError, match=r"Member-\w+ is no child of a supervisor, so it has no siblings"
        ):
            await call
    with pytest.raises(TypeError, match="option id=7: give a string"):
        await (await Member.spawn("alone")).seek(7)
