"""A method may raise or return anything: an outcome arrives within the deadline, and no other actor is affected."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import actorrt as art
from actorrt import errors
from actorrt.actors.wire.failures import error_from_data, error_to_data, reason_of
from actorrt.protocol.envelopes import RaisedError
from actorrt.reasons import ExitReason
from actorrt.store.values.errors import decode, encode
from actorrt.store.wire.plain_errors import MAX_ERROR_BYTES
from tests.integration.hostile import MAKERS, Shy
from tests.running import Node
from tests.unit.actors.wire.test_control import FAR, connected
from tests.unit.protocol.asking import Ask

WITHIN_S = 20.0
TEXTS = st.text(st.characters(codec=None), max_size=30)  # lone surrogates too
KINDS: Any = st.sampled_from((ValueError, KeyError, OSError, StopIteration, asyncio.CancelledError, KeyboardInterrupt))
SHY = st.tuples(st.sampled_from(("pickled", "rebuilt", "never")), st.sampled_from((ValueError, SystemExit)))

Tree = Any
"""How an exception is made: a name of `MAKERS`, or a class and its arguments, and what hangs on it."""

LEAVES: Any = st.one_of(
    st.sampled_from([name for name in MAKERS if name != "huge"]),
    st.tuples(st.just("of"), KINDS, st.lists(st.one_of(TEXTS, st.integers(), st.binary(max_size=5), SHY), max_size=3)),
)
TREES: Any = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("cause"), inner, inner),
        st.tuples(st.just("context"), inner, inner),
        st.tuples(st.just("circle"), inner, inner),
        st.tuples(st.just("group"), st.lists(inner, min_size=1, max_size=3), TEXTS),
        st.tuples(st.just("note"), inner, st.one_of(TEXTS, st.none(), st.integers(), SHY)),
        st.tuples(st.just("attribute"), inner, SHY),
    ),
    max_leaves=6,
)


def grown(tree: Tree) -> BaseException:
    """Return the exception that a tree describes."""
    if isinstance(tree, str):
        return MAKERS[tree]()
    form, *parts = tree
    if form == "of":
        return parts[0](*[Shy(*part) if isinstance(part, tuple) else part for part in parts[1]])
    if form == "group":
        return BaseExceptionGroup(parts[1], [grown(part) for part in parts[0]])
    error = grown(parts[0])
    if form == "note":
        note = Shy(*parts[1]) if isinstance(parts[1], tuple) else parts[1]
        object.__setattr__(error, "__notes__", [note])
    elif form == "attribute":
        object.__setattr__(error, "held", Shy(*parts[1]))
    else:
        other = grown(parts[1])
        setter = "__cause__" if form == "cause" else "__context__"
        object.__setattr__(error, setter, other)
        if form == "circle":
            object.__setattr__(other, "__cause__", error)
    return error


class Grower(art.Actor):
    """Raises and returns the values of recipes."""

    def plain(self, tree: Tree) -> None:
        raise grown(tree)

    async def waiting(self, tree: Tree) -> None:
        await asyncio.sleep(0)
        raise grown(tree)

    def streaming(self, tree: Tree) -> Any:
        yield 1
        raise grown(tree)

    def give(self, value: Any, at: str, kind: type[BaseException]) -> Any:
        return [value, Shy(at, kind)]

    def pid(self) -> int:
        return self.context.incarnation


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_every_exception_becomes_data_that_fits_and_can_be_raised(tree: Tree) -> None:
    error = grown(tree)
    data = RaisedError._make(msgpack.unpackb(msgpack.packb(error_to_data(error, "here"))))
    rebuilt = error_from_data(data, None, None)
    assert issubclass(type(rebuilt), Exception)
    assert object.__getattribute__(rebuilt, "executed") == "yes"
    assert object.__getattribute__(rebuilt, "__notes__")[-1].startswith("Remote traceback of here")
    str(rebuilt)
    msgpack.packb(errors.to_data(error))
    reason = reason_of(error, "here")
    assert ExitReason.from_data(msgpack.unpackb(msgpack.packb(reason.to_data()))).detail == reason.detail
    packed = encode(error)
    assert len(packed) <= MAX_ERROR_BYTES
    assert isinstance(decode(packed), BaseException)


@pytest.fixture(params=["local", "node"])
def growers(request: pytest.FixtureRequest, node: Node) -> Iterator[list[art.ActorRef[Grower]]]:
    """Two actors side by side."""
    if request.param == "local":
        art.init(mode="local", cpus=1)
    else:
        art.init(address=node.url)
    parent = Parent.spawn().result(WITHIN_S)
    yield parent.children().result(WITHIN_S)
    art.shutdown()


class Parent(art.Actor):
    """Has two children on its own loop."""

    async def children(self) -> Any:
        return [await Grower.spawn() for _ in range(2)]


def outcome(awaitable: Any) -> Any:
    """Return the outcome, within the deadline of the test."""
    try:
        return awaitable.result(WITHIN_S)
    except art.CallTimeoutError:
        raise
    except Exception as error:
        return error


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_every_exception_of_a_method_arrives_and_no_neighbour_notices(
    growers: list[art.ActorRef[Grower]], tree: Tree
) -> None:
    one, other = growers
    if issubclass(type(grown(tree)), BaseExceptionGroup) and not issubclass(type(grown(tree)), Exception):
        return  # it ends its actor, as SystemExit does
    for method in (one.plain, one.waiting):
        assert isinstance(outcome(method(tree)), Exception)
    with pytest.raises((Exception,)):
        list(one.streaming.options(timeout_s=WITHIN_S)(tree))
    assert [one.pid().result(WITHIN_S), other.pid().result(WITHIN_S)] == [1, 1]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.one_of(TEXTS, st.binary(max_size=2000), st.lists(st.floats(), max_size=5)), shy=SHY)
def test_every_result_of_a_method_arrives_and_no_neighbour_notices(
    growers: list[art.ActorRef[Grower]], value: Any, shy: Any
) -> None:
    one, other = growers
    came = outcome(one.give(value, *shy))
    assert isinstance(came, Exception) == (shy[0] != "never")
    assert [one.pid().result(WITHIN_S), other.pid().result(WITHIN_S)] == [1, 1]


PLAIN: Any = st.one_of(TEXTS, st.integers(), st.none(), st.binary(max_size=5), st.builds(object), st.builds(set))
ANSWERS: Any = st.recursive(
    st.one_of(PLAIN, st.builds(lambda item: [item] * 40_000, PLAIN)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=20,
)


async def asked(answer: Any, tree: Tree, *, waits: bool) -> Any:
    """Send a request to a handler that answers or raises; return the outcome."""

    def at_once() -> Any:
        if tree is not None:
            raise grown(tree)
        return answer

    async def later() -> Any:
        await asyncio.sleep(0)
        return at_once()

    async with connected() as (here, there):
        there.control.handle(Ask.by(lambda *_: later() if waits else at_once()))
        request = here.control.request(FAR, Ask())
        async with asyncio.timeout(WITHIN_S):
            while not request.done():
                await asyncio.sleep(0)
        return request.value() if request.error() is None else request.error()


@settings(max_examples=100, deadline=None)
@given(answer=ANSWERS, tree=st.none() | TREES, waits=st.booleans())
def test_every_answer_of_a_control_handler_comes_or_is_refused_in_words(answer: Any, tree: Tree, waits: bool) -> None:
    came = asyncio.run(asked(answer, tree, waits=waits))
    if tree is not None:
        assert isinstance(came, errors.ActorRtError | TypeError | ValueError)
    elif isinstance(came, Exception):
        assert "the answer can't be sent" in str(came)
