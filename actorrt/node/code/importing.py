"""Lets a worker import the code of a driver on another machine, as if it lay there too.

A finder stands before Python's own and asks the node of the driver for each module that is neither Python's nor below a
package of this machine. What the driver's node says decides:

| there | here | imported |
|---|---|---|
| a module of the driver | the same source, at any place | the file of this machine |
| a module of the driver | another one, or none | the driver's source; its file, if that can be read here |
| an installed package | an installed package | that of this machine |
| an installed package | none | the source of the driver's machine, if it is Python |
| nothing | anything | what is here |

A module is asked for when it is imported, so this also holds for what a call brings later, and inside functions. A
compiled module does not travel: its import fails, and the error names it and both machines.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import decode_source, spec_from_file_location
from types import CodeType, ModuleType
from typing import Final

import msgpack

from actorrt.node.code.conversation import ANSWER_WITHIN_S, LENGTH, QUESTION_WITHIN_S, Told, unpacked
from actorrt.node.code.sources import is_installed
from actorrt.protocol.cluster.code import ModuleText
from actorrt.protocol.processes import CodeSource

OWN_PACKAGE: Final = "actorrt"
ASK_WITHIN_S: Final = 2 * (QUESTION_WITHIN_S + ANSWER_WITHIN_S)


class SourceOfDriver(InspectLoader):
    """Loads one module from the source that the driver's node has sent."""

    def __init__(self, name: str, text: ModuleText) -> None:
        self._name = name
        self._text = text

    def get_source(self, fullname: str) -> str:
        """Return the source, which tracebacks show."""
        return decode_source(self._text.source or b"")

    def is_package(self, fullname: str) -> bool:
        return self._text.is_package

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._text.source or b"", self._text.origin)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module. A folder without `__init__.py` has nothing to run."""
        if self._text.source is not None:
            exec(self.get_code(self._name), module.__dict__)


class DriversModules(MetaPathFinder):
    """Finds the modules of a driver on another machine.

    Args:
        source: whom to ask, and how the machines are called.
        ask: asks for a module.
    """

    def __init__(self, source: CodeSource, ask: Callable[[str], Told]) -> None:
        self._source = source
        self._ask = ask
        self._missing: dict[str, str] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where to load a module from; None if it is to be found by others, or not at all."""
        top = fullname.partition(".")[0]
        if top in sys.stdlib_module_names or top == OWN_PACKAGE:
            return None
        here = _found_by_others(self, fullname, path, target)
        if here is not None and path is not None and _lies_installed(here):
            return None
        told, why = self._ask(fullname)
        if told is None or (told.is_installed and here is not None):
            if here is None:
                self._missing[fullname] = self._not_there(fullname, told, why)
            return here
        if here is not None and _is_same(here, told):
            return here
        found = _from_the_same_file(fullname, told)
        if found is None and told.source is None and not (told.is_package and not told.origin):
            self._missing[fullname] = self._not_there(fullname, told, why)
            return here
        if found is None:
            is_package, loader = told.is_package, SourceOfDriver(fullname, told)
            found = ModuleSpec(fullname, loader, origin=told.origin or None, is_package=is_package)
            found.has_location = bool(told.origin)
        return found

    def _not_there(self, name: str, told: ModuleText | None, why: str) -> str:
        here, there = self._source.here, self._source.there
        if told is not None:
            return (
                f"No module named {name!r} on {here}: on {there}, where the driver runs, it is {told.origin}, which is "
                "no source that could be sent; install it on both"
            )
        if why:
            return f"No module named {name!r} on {here}, and {there}, where the driver runs, could not be asked: {why}"
        return f"No module named {name!r} on {here}, nor on {there}, where the driver runs: install it on both"

    def explain(self, error: ModuleNotFoundError) -> None:
        """Have an error that names a module name the machines, too."""
        text = self._missing.get(error.name or "")
        if text is not None:
            error.msg = text


def _found_by_others(
    own: MetaPathFinder, name: str, path: Sequence[str] | None, target: ModuleType | None
) -> ModuleSpec | None:
    for finder in sys.meta_path:
        if finder is not own and (spec := finder.find_spec(name, path, target)) is not None:
            return spec
    return None


def _lies_installed(spec: ModuleSpec) -> bool:
    return is_installed(spec.origin or next(iter(spec.submodule_search_locations or ()), ""))


def _is_same(here: ModuleSpec, there: ModuleText) -> bool:
    """Whether this machine has the same source; for folders without source, whether it has one, too."""
    if not there.origin:
        return not here.has_location
    return there.source is not None and here.origin is not None and _read(here.origin) == there.source


def _from_the_same_file(name: str, there: ModuleText) -> ModuleSpec | None:
    """Return a spec of the very file, if this machine sees it, as on a shared file system."""
    if not there.origin or not os.path.isfile(there.origin):
        return None
    if there.source is not None and _read(there.origin) != there.source:
        return None
    within = [os.path.dirname(there.origin)] if there.is_package else None
    return spec_from_file_location(name, there.origin, submodule_search_locations=within)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def ask_daemon(source: CodeSource, name: str) -> Told:
    """Ask the daemon of this node for a module, and block until it answers."""
    question = msgpack.packb([source.job, name])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as asking:
        asking.settimeout(ASK_WITHIN_S)
        try:
            asking.connect(source.socket)
            asking.sendall(LENGTH.pack(len(question)) + question)
            (length,) = LENGTH.unpack(_exactly(asking, LENGTH.size))
            return unpacked(_exactly(asking, length))
        except (OSError, EOFError) as error:
            return None, f"the daemon of this node did not answer: {error}"


def _exactly(asking: socket.socket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count:
        part = asking.recv(count - len(got))
        if not part:
            raise EOFError("the conversation ended")
        got += part
    return bytes(got)


def import_from_driver(source: CodeSource) -> DriversModules:
    """Have this process import the driver's modules from now on; return what explains missing ones."""
    finder = DriversModules(source, lambda name: ask_daemon(source, name))
    sys.meta_path.insert(0, finder)
    return finder
