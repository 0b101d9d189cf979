"""Messages whose arguments can't be opened: the method does not run, and the actor survives."""

from __future__ import annotations

import numpy as np
import pytest

import actorrt as art
from tests.integration.cast import Faulty
from tests.integration.witnesses import Notes, Subject, dead_letters

LARGE = 300_000


class Unwelcome:
    """Raises when it is unpickled."""

    def __init__(self, array: np.ndarray | None = None) -> None:
        self.array = array

    def __reduce__(self):
        return refuse, (self.array,)


def refuse(array):
    raise LookupError(f"can't be rebuilt from {type(array).__name__}")


def small():
    return Unwelcome(), LookupError


def stored():
    return Unwelcome(np.ones(LARGE)), LookupError


def by_reference():
    return Unwelcome(art.put(np.ones(LARGE)).get()), LookupError


def freed():
    ref = art.put(np.ones(LARGE))
    art.free(ref)
    return ref, art.ObjectNotFoundError


ARGUMENTS = pytest.mark.parametrize("make", [small, stored, by_reference, freed])


@pytest.fixture
async def subject(runtime, tmp_path):
    return await Subject.options(crash_on=(LookupError,)).spawn(tmp_path)


@ARGUMENTS
async def test_ask_with_an_argument_that_cannot_be_opened_fails_unexecuted_and_the_actor_survives(
    subject, tmp_path, make
):
    argument, kind = make()
    with pytest.raises(kind) as caught:
        await subject.record(argument)
    assert caught.value.executed == "no"
    assert any("opening the arguments of" in note for note in caught.value.__notes__)
    assert await subject.record("next") == "next"
    assert await subject.incarnation() == 1
    assert Notes(tmp_path).read() == ["next"]


@ARGUMENTS
async def test_tell_with_an_argument_that_cannot_be_opened_is_a_dead_letter_and_the_actor_survives(
    subject, runtime, tmp_path, make
):
    argument, _ = make()
    await subject.record.tell(argument)
    assert await subject.record("next") == "next"
    while await dead_letters(runtime, "record") != 1:
        assert await subject.incarnation() == 1
    assert Notes(tmp_path).read() == ["next"]


async def test_tell_with_a_view_of_a_freed_object_is_a_dead_letter(node_runtime, tmp_path):
    subject = await Subject.spawn(tmp_path)
    ref = art.put(np.ones(LARGE))
    array = await ref
    art.free(ref)
    await subject.record.tell(array)
    assert await subject.record("next") == "next"
    assert await dead_letters(node_runtime, "record") == 1
    assert await subject.incarnation() == 1


async def test_error_of_the_call_that_produces_an_argument_is_unexecuted(subject, tmp_path):
    faulty = await Faulty.spawn()
    result = faulty.raise_value_error.options(returns="ref")()
    with pytest.raises(ValueError, match="no such thing") as caught:
        await subject.record(result)
    assert caught.value.executed == "no"
    assert await subject.record("next") == "next"
    assert Notes(tmp_path).read() == ["next"]


async def test_death_of_the_actor_that_produces_an_argument_is_not_treated_as_the_death_of_the_receiver(
    subject, tmp_path
):
    failing = await Subject.options(restart="permanent").spawn(tmp_path)
    result = failing.exit.options(returns="ref")()
    with pytest.raises(art.ActorUnavailableError) as caught:
        await subject.record.options(retries=5)(result)
    assert caught.value.executed == "no"
    assert await subject.record("next") == "next"
    assert Notes(tmp_path).read() == ["next"]


async def test_call_of_a_key_whose_arguments_cannot_be_opened_frees_the_key(subject, tmp_path):
    record = subject.record.options(key="k")
    unopened, opened = record(Unwelcome()), record("opened")
    with pytest.raises(LookupError):
        await unopened
    assert await opened == "opened"
    assert await record("again") == "opened"
    assert Notes(tmp_path).read() == ["opened"]
