"""Functions that a worker has loaded: kept as long as somebody may send their tasks, and no longer."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from actorrt.ids import PeerId
from actorrt.tasks.working import functions as module
from actorrt.tasks.working.functions import LoadedFunctions

ANN, BOB = PeerId(b"a" * 16), PeerId(b"b" * 16)
KEY, OTHER = b"k" * 16, b"o" * 16


class Holder:
    """What a function's pickle is rebuilt to."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


class Recursive:
    """A function that refers to itself, as one does that submits itself."""

    count = 0

    def __init__(self) -> None:
        type(self).count += 1
        self.itself = self

    def __call__(self) -> None:
        """Do nothing."""

    def __del__(self) -> None:
        type(self).count -= 1


def holder() -> Holder:
    return Holder(Recursive())


class Made:
    def __reduce__(self) -> Any:
        return holder, ()


class Broken:
    def __reduce__(self) -> Any:
        return pytest.fail, ("it can't be loaded",)


@pytest.fixture
def functions() -> LoadedFunctions:
    return LoadedFunctions(None, None)


def send(functions: LoadedFunctions, peer: PeerId, key: bytes = KEY, made: Any = None) -> None:
    functions.came(peer, key, "f", pickle.dumps(made or Made()), (), None)


def test_function_of_several_submitters_is_loaded_once_and_kept_for_the_last_of_them(
    functions: LoadedFunctions,
) -> None:
    send(functions, ANN)
    send(functions, BOB)
    assert functions.sent(ANN, KEY) is functions.sent(BOB, KEY)
    functions.forget(ANN, KEY)
    functions.forget(ANN, KEY)
    assert len(functions) == 1
    functions.peer_gone(BOB)
    functions.peer_gone(BOB)
    assert len(functions) == 0


def test_function_in_hand_is_kept_until_its_task_has_ended(functions: LoadedFunctions) -> None:
    send(functions, ANN)
    in_hand = functions.sent(ANN, KEY)
    functions.forget(ANN, KEY)
    send(functions, ANN)
    assert functions.sent(ANN, KEY) is in_hand
    functions.forget(ANN, KEY)
    del in_hand
    assert len(functions) == 0


def test_function_that_could_not_be_loaded_is_loaded_anew_when_it_comes_again(functions: LoadedFunctions) -> None:
    send(functions, ANN, made=Broken())
    assert "it can't be loaded" in str(functions.sent(ANN, KEY).error)
    send(functions, ANN)
    assert functions.sent(ANN, KEY).error is None
    functions.forget(ANN, OTHER)
    functions.peer_gone(ANN)
    assert len(functions) == 0


def test_functions_that_refer_to_themselves_are_collected_when_they_take_much_memory(
    functions: LoadedFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(functions, ANN)
    size_bytes = functions.sent(ANN, KEY).size_bytes
    monkeypatch.setattr(module, "COLLECT_BYTES", 3 * size_bytes)
    gc.collect()
    gc.disable()
    try:
        for count in (1, 2, 0, 1, 2, 0):
            send(functions, ANN)
            functions.forget(ANN, KEY)
            assert Recursive.count == count
    finally:
        gc.enable()
