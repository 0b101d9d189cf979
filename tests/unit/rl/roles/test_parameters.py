"""The parameter server: versions, readers, the normaliser, and a publication that its own death interrupts."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

import actorrt as art
from actorrt.rl.policies.weights import Weights
from actorrt.rl.roles.parameters import ParameterServer, publish, resolve
from actorrt.rl.spaces.normaliser import Moments, Normaliser
from tests.unit.rl.fakes import FakeRef, in_turn, unavailable

FIRST, SECOND, THIRD = (np.full(2, value, np.float32) for value in (1.0, 2.0, 3.0))


def make_server(**arguments):
    server = ParameterServer(FIRST, **arguments)
    server.context = SimpleNamespace(monitored=[], monitor=lambda ref: server.context.monitored.append(ref))
    return server


def test_newest_version_and_the_one_before_are_held():
    server = make_server()
    server.publish(SECOND, 1)
    server.publish(THIRD, 5)
    assert server.latest() == Weights(5, THIRD)
    assert [server.weights(version).version for version in (0, 1, 5, 9)] == [5, 1, 5, 5]
    assert server.weights(1).parameters is SECOND


@pytest.mark.parametrize("version", [2, 3])
def test_version_that_is_not_newer_changes_nothing(version):
    server = make_server(version=3)
    with pytest.raises(
        ValueError, match=rf"^version {version} is not newer than 3: there is one learner for each run$"
    ):
        server.publish(SECOND, version)
    assert server.latest() == Weights(3, FIRST)


def test_each_publication_goes_to_every_reader_that_has_taken_the_last():
    server, quick, slow = make_server(), FakeRef(renew=None), FakeRef()
    assert [server.subscribe(reader) for reader in (quick, slow)] == [0, 1]
    server.publish(SECOND, 1)
    server.publish(THIRD, 2)
    assert quick.calls == [("renew", 1, SECOND, None), ("renew", 2, THIRD, None)]
    assert slow.calls == [("renew", 1, SECOND, None)]
    assert server.statistics() == {"readers": 2, "readers_late": 1}
    slow.open[0].set_value(None)
    server.publish(FIRST, 3)
    assert slow.calls[1:] == [("renew", 3, FIRST, None)]


def test_reader_keeps_its_index_and_no_other_gets_it():
    server, readers = make_server(), [FakeRef(), FakeRef(), FakeRef()]
    assert [server.subscribe(reader) for reader in readers[:2]] == [0, 1]
    assert server.subscribe(readers[0]) == 0
    asyncio.run(server.on_down(SimpleNamespace(ref=readers[1])))
    assert server.subscribe(readers[2]) == 2
    assert server.context.monitored == readers


def test_reader_that_is_gone_is_handed_nothing():
    server, reader = make_server(), FakeRef()
    server.subscribe(reader)
    asyncio.run(server.on_down(SimpleNamespace(ref=reader)))
    server.publish(SECOND, 1)
    assert reader.calls == []
    assert server.statistics() == {"readers": 0, "readers_late": 0}


def test_counts_of_a_publication_are_merged_into_the_normaliser():
    server = make_server(normaliser=Normaliser(Moments.nothing(2)))
    server.publish(SECOND, 1, Normaliser(Moments.of(np.array([[1.0, 2.0], [3.0, 4.0]]))))
    assert server.normaliser().observations.count == 2
    assert server.normaliser().observations.mean.tolist() == [2.0, 3.0]


def test_replacing_takes_newer_weights_alone():
    server = make_server(version=3)
    server.replace(Weights(3, SECOND))
    assert server.latest().parameters is FIRST
    server.replace(Weights(4, THIRD))
    assert server.latest() == Weights(4, THIRD)
    assert server.weights(3).parameters is FIRST


def test_next_incarnation_holds_both_versions_of_the_last_one():
    server, successor = make_server(), make_server()
    server.publish(SECOND, 1)
    successor.restore(server.snapshot())
    assert successor.latest() == Weights(1, SECOND)
    assert successor.weights(0).parameters is FIRST


def test_publication_is_made_once_where_the_server_died_after_it():
    server = FakeRef(publish=unavailable(), latest=Weights(4, SECOND))
    asyncio.run(publish(server, SECOND, 4))
    assert [call[0] for call in server.calls] == ["publish", "latest"]


def test_publication_is_made_again_where_the_server_died_before_it():
    server = FakeRef(publish=in_turn(unavailable(), None), latest=Weights(3, FIRST))
    asyncio.run(publish(server, SECOND, 4))
    assert server.calls == [("publish", SECOND, 4, None), ("latest", {"retries": 5}), ("publish", SECOND, 4, None)]


def test_server_that_is_gone_for_good_is_told():
    with pytest.raises(art.ActorDiedError):
        asyncio.run(publish(FakeRef(publish=art.ActorDiedError("stopped")), SECOND, 4))


def test_ref_is_the_server_itself():
    server = FakeRef()
    assert asyncio.run(resolve(server)) is server
    assert server.calls == []
