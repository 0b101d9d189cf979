"""Debuggers: where they stop after an error, and what `breakpoint()` does in a process without a terminal."""

from __future__ import annotations

import traceback

import pytest

import actorrt as art
from tests.running import run_script


class Shelf(art.Actor):
    def take(self, name):
        tools = {"saw": 1}
        return tools[name]

    async def take_of_child(self, name):
        self.child = await Shelf.spawn()
        return await self.child.take(name)

    def items(self, name):
        yield self.take(name)

    def stop_here(self):
        breakpoint()
        return "went on"


def last_frame(error):
    """Return the function in which `pdb.pm()` and `%debug` stop, and its local variables."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code.co_name, frame.f_locals


@pytest.fixture
def local():
    yield art.init(mode="local")
    art.shutdown()


@pytest.mark.parametrize(
    "call",
    [
        lambda shelf: shelf.take("hammer").result(),
        lambda shelf: shelf.take_of_child("hammer").result(),
        lambda shelf: list(shelf.items("hammer")),
        lambda shelf: art.gather(shelf.take("hammer")).result(),
        lambda shelf: art.ActorGroup([shelf]).take("hammer").result(),
        lambda shelf: next(art.as_completed([shelf.take("hammer")])).result(),
    ],
    ids=["call", "call of a child", "stream", "gather", "group", "as_completed"],
)
def test_post_mortem_debugger_in_local_mode_stops_in_the_method_that_raised(local, call):
    shelf = Shelf.spawn().result()
    with pytest.raises(KeyError) as caught:
        call(shelf)
    name, variables = last_frame(caught.value)
    assert (name, variables["tools"]) == ("take", {"saw": 1})


def test_error_of_local_mode_that_is_raised_twice_does_not_accumulate_frames(local):
    reply = Shelf.spawn().result().take("hammer")
    lengths = set()
    for _ in range(3):
        with pytest.raises(KeyError) as caught:
            reply.result()
        lengths.add(len(list(traceback.walk_tb(caught.value.__traceback__))))
    assert len(lengths) == 1


def test_pdb_of_a_script_in_local_mode_shows_the_users_line(tmp_path):
    code = """
    import actorrt as art

    class Shelf(art.Actor):
        def take(self, name):
            return {}[name]

    import pdb, sys, io
    art.init(mode="local")
    shelf = Shelf.spawn().result()
    try:
        shelf.take("hammer").result()
    except KeyError as error:
        debugger = pdb.Pdb(stdin=io.StringIO("p name\\nq\\n"), stdout=sys.stdout)
        debugger.reset()
        debugger.interaction(None, error.__traceback__)
    """
    shown = run_script(code, tmp_path).output
    assert "-> return {}[name]" in shown
    assert "'hammer'" in shown


async def test_breakpoint_in_a_process_explains_how_to_debug(node_runtime):
    shelf = await Shelf.spawn()
    with pytest.raises(
        art.RuntimeStateError, match=r"breakpoint\(\) in process \d+, which has no terminal: .*mode='local'"
    ):
        await shelf.stop_here()
    assert await shelf.take("saw") == 1


async def test_breakpoint_in_a_process_calls_the_debugger_that_the_environment_names(node_runtime):
    shelf = await Shelf.options(env_vars={"PYTHONBREAKPOINT": "0"}).spawn()
    assert await shelf.stop_here() == "went on"
