"""A node's answers to messages that are wrong, without processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actorrt import errors
from actorrt.actors.endpoint.endpoint import System
from actorrt.actors.wire.verbs import FORMS, OF_AUTHORITIES, OF_NODES, WITHOUT_DATA
from actorrt.clock import MonotonicClock
from actorrt.config import MIB
from actorrt.ids import IdSource, JobId
from actorrt.node.daemon.local_node import LocalNode
from actorrt.node.placement.resources import Resources

IDS = IdSource()
AN_ID = b"\x07" * 16
REASON = {"kind": "normal", "detail": "", "traceback": "", "signal": None, "exit_status": None, "pickled": None}
ORDER = {
    "spec": [],
    "card": b"",
    "options": {},
    "class_name": "Child",
    "job": AN_ID,
    "namespace": "default",
    "parent": None,
    "supervisor": None,
    "child_id": "a",
    "share": [0, 2],
    "is_supervisor": False,
    "is_detached": False,
    "beside": False,
    "objects": [AN_ID],
    "tokens": [b"token"],
}
RIGHT: dict[str, dict[str, Any]] = {
    "attach_driver": {
        "job": AN_ID,
        "address": "memory://driver",
        "pid": 1,
        "setting": {"namespace": "default", "sys_path": ["/"], "cwd": "/", "env_vars": {"A": "b"}, "log_level": 30},
    },
    "attach_worker": {"pid": 1},
    "detach": {"job": AN_ID},
    "lookup": {"namespace": "default", "name": "x", "timeout_s": 0},
    "orphaned": {"actor": AN_ID},
    "preload": {"modules": ["json"], "job": AN_ID},
    "restart_children": {"supervisor": AN_ID, "actors": [AN_ID]},
    "stop_children": {"actors": [AN_ID], "reason": "no more", "manner": "at_once"},
    "hosted": {"actors": [[AN_ID, 1, True]]},
    "silence": {"peer": AN_ID},
    "status": {"after": [1, 2], "count": 3},
    "object_source": {"object": AN_ID, "failed": None},
    "object_read": {"object": AN_ID},
    "pull_object": {"object": AN_ID, "peer": AN_ID, "address": "memory://peer"},
    "release_object": {"object": AN_ID},
    "hold_object": {"object": AN_ID, "token": None},
    "object_arrived": {"object": AN_ID, "token": b"token"},
    "let_go_object": {"object": AN_ID},
    "spawn": {"actor": AN_ID, **ORDER},
    "spawn_many": {"actors": AN_ID + AN_ID, **ORDER},
    "withdraw_spawn": {"actor": AN_ID},
    "state": {"actor": AN_ID},
    "resolve": {"actor": AN_ID, "after": -1},
    "fate": {"actor": AN_ID, "after": 0},
    "alive": {"actor": AN_ID},
    "sibling": {"actor": AN_ID, "id": "b"},
    "monitor": {"actor": AN_ID, "since": 0},
    "stop": {"actors": AN_ID + AN_ID, "reason": "no more", "kill": False},
    "stop_child": {"actor": AN_ID, "reason": "no more", "kill": False, "manner": "orderly"},
    "delay_child": {"actor": AN_ID, "delay_s": 0.5},
    "exited": {
        "actors": AN_ID + AN_ID,
        "incarnation": 0,
        "reason": REASON,
        "is_administrative": False,
        "is_buried": False,
    },
    "handled": {"actor": AN_ID, "incarnation": 0},
    "snapshot": {"actor": AN_ID, "incarnation": 0, "object": AN_ID, "token": b"token"},
    "ended": {"actor": AN_ID},
    "forget": {"actor": AN_ID, "reason": REASON},
    "link": {"actor": AN_ID, "to": b"card"},
    "unlink": {"actor": AN_ID, "from": AN_ID},
}
OPEN = {"behind"}  # a chain of any length, which its handler takes apart
OF_STORES = {verb for verb in RIGHT if "object" in verb}  # a node without processes exchanges nothing with others
WRONG = [{"no": "such thing"}, 7.5, -2.5, "", b"short", [None], True]


@pytest.fixture
async def node() -> AsyncIterator[LocalNode]:
    node = LocalNode(Resources(2, 0, may_exceed=True), 16 * MIB, MonotonicClock(), IDS)
    await node.start()
    yield node
    await node.close()


@pytest.fixture
async def peer(node: LocalNode) -> AsyncIterator[System]:
    system = node.system(IDS.peer(), "memory://driver", JobId(AN_ID), "default")
    await system.start()
    yield system
    await system.close()
    system.store.close()


def wrong_data(verb: str) -> list[tuple[str, dict[str, Any]]]:
    """Return data of which one field is missing, or of a wrong type, with that field's name."""
    right = RIGHT[verb]
    data = [(name, {key: value for key, value in right.items() if key != name}) for name in right]
    return data + [
        (name, {**right, name: wrong}) for name in right for wrong in WRONG if _refuses(verb, {**right, name: wrong})
    ]


def _refuses(verb: str, data: dict[str, Any]) -> bool:
    try:
        ({**OF_NODES, **OF_AUTHORITIES})[verb](verb, data)
    except ValueError:
        return True
    return False


def test_every_verb_with_a_form_is_tried_and_no_field_takes_whatever_comes() -> None:
    assert RIGHT.keys() == OF_NODES.keys() | OF_AUTHORITIES.keys()
    for verb, right in RIGHT.items():
        assert not _refuses(verb, right)
        refused = [name for name, _ in wrong_data(verb)]
        assert all(refused.count(name) > 3 for name in right), verb


async def test_every_verb_that_a_process_answers_has_a_form(node: LocalNode, peer: System) -> None:
    """A verb of which `verbs` does not say what it is asked with is one that nobody checks."""
    known = FORMS.keys() | WITHOUT_DATA | OPEN
    assert (node.core.control._handlers.keys() | peer.control._handlers.keys()) - known == set()


@pytest.mark.parametrize("verb", sorted(set(RIGHT) - OF_STORES))
async def test_message_of_a_wrong_form_is_refused_in_words_and_changes_nothing(
    verb: str, node: LocalNode, peer: System
) -> None:
    before = node.core.status.page(None, 100)
    for name, data in wrong_data(verb):
        with pytest.raises(ValueError, match=rf"{verb}.* {name!r}|{verb}\.{name}|objects and|a key of {verb}"):
            await peer.control.request(node.endpoint, verb, data)
    assert node.core.status.page(None, 100) == before


async def test_driver_attaches_once_and_ends_its_own_job_only(node: LocalNode, peer: System) -> None:
    other = node.system(IDS.peer(), "memory://other", JobId(AN_ID), "default")
    await other.start()
    await peer.control.request(node.endpoint, "attach_driver", RIGHT["attach_driver"])
    for again in (peer, other):
        with pytest.raises(errors.RuntimeStateError, match="begun already"):
            await again.control.request(node.endpoint, "attach_driver", RIGHT["attach_driver"])
    with pytest.raises(errors.RuntimeStateError, match="another driver's"):
        await other.control.request(node.endpoint, "detach", {"job": AN_ID})
    assert len(node.core.status.page(None, 100)["jobs"]) == 1
    await peer.control.request(node.endpoint, "detach", {"job": AN_ID})
    assert node.core.status.page(None, 100)["jobs"] == []
    await other.close()
    other.store.close()


async def test_driver_is_reached_where_it_says_or_is_refused(node: LocalNode, peer: System) -> None:
    with pytest.raises(ValueError, match="reached at 'memory://driver'"):
        await peer.control.request(
            node.endpoint, "attach_driver", {**RIGHT["attach_driver"], "address": "memory://elsewhere"}
        )


async def test_nothing_begins_on_a_node_that_goes_down_and_nothing_breaks_there(
    node: LocalNode, peer: System, caplog: pytest.LogCaptureFixture
) -> None:
    """A driver whose store connection ends with the node must not end its job once more."""
    await peer.control.request(node.endpoint, "attach_driver", RIGHT["attach_driver"])
    closing = asyncio.ensure_future(node.core.close())
    await asyncio.sleep(0)
    with pytest.raises(errors.RuntimeStateError, match="being stopped"):
        node.core.attach_driver(IDS.peer(), RIGHT["attach_driver"])
    with pytest.raises(errors.ActorStartError, match="being stopped"):
        node.core._spawn(peer.endpoint.peer, RIGHT["spawn"])
    await closing
    node.core.jobs.begin(JobId(b"\x08" * 16), peer.endpoint, {})
    node.core.peer_gone(peer.endpoint.peer)
    assert caplog.records == []
