"""mypy finds errors in the use of a request: in its fields, its handler and its answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

HEAD = """
from actorrt.actors.wire.control import Control
from actorrt.ids import ActorId, PeerAddress, PeerId
from actorrt.protocol.authorities import AskAlive, ForgetChild, Life, Resolve, Sighting

actor = ActorId(b"")
async def later(peer: PeerId, asked: Resolve) -> Sighting: raise NotImplementedError
def at_once(peer: PeerId, asked: Resolve) -> Sighting: raise NotImplementedError
def of_another(peer: PeerId, asked: AskAlive) -> Sighting: raise NotImplementedError
def another_answer(peer: PeerId, asked: Resolve) -> Life: raise NotImplementedError
async def use(control: Control, to: PeerAddress) -> None:
"""
LINES = {
    "control.handle(Resolve.by(later))": "",
    "control.handle(Resolve.by(at_once))": "",
    "control.handle(ForgetChild.by(lambda _, asked: print(asked.reason)))": "",
    "control.handle(Resolve.by(of_another))": "[arg-type]",
    "control.handle(Resolve.by(another_answer))": "[arg-type]",
    "control.handle(Resolve.by(lambda _, asked: asked.reason))": "[attr-defined]",
    "control.request(to, Resolve(actor=actor, after=1))": "",
    "control.request(to, Resolve(actor=actor, afterwards=1))": "[call-arg]",
    "control.request(to, Resolve(actor=actor))": "[call-arg]",
    "control.request(to, Resolve(actor=actor, after='1'))": "[arg-type]",
    "Resolve(actor=actor, after=1).after = 2": "[misc]",
    "reveal_type((await control.request(to, Resolve(actor=actor, after=1))).incarnation)": 'Revealed type is "int"',
    "(await control.request(to, AskAlive(actor=actor))).incarnation": "[attr-defined]",
    "control.notify(to, ForgetChild(actor=actor, reason=None))": "",
    "control.notify(to, AskAlive(actor=actor))": "[arg-type]",
    "control.request(to, 'resolve')": "[arg-type]",
}


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """Return the messages of mypy, each under the number of its line."""
    folder = tmp_path_factory.mktemp("typed")
    module = folder / "asking.py"
    module.write_text(HEAD + "".join(f"    {line}\n" for line in LINES))
    config = Path(__file__).parents[2] / "pyproject.toml"
    cache = ["--cache-dir", str(folder / "cache")]
    output, complaints, _ = api.run(["--strict", "--config-file", str(config), *cache, str(module)])
    assert complaints == ""
    first = HEAD.count("\n") + 1
    parts = [line.split(":", 2) for line in output.splitlines() if line.startswith(str(module))]
    return {int(number) - first: text for _, number, text in parts}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("line", LINES)
def test_mypy_finds_the_wrong_lines_and_no_others(line: str, messages: dict[int, str]) -> None:
    found = messages.get(list(LINES).index(line), "")
    assert found.endswith(LINES[line]) if LINES[line] else found == ""
