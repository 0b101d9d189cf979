"""What a host makes actors from: what is read from a spec, and what needs no waiting."""

from __future__ import annotations

import functools

import pytest

from actorrt.actors.api.actor import Actor
from actorrt.actors.cells.blueprint import Blueprint, SpecBinding, ordered_blueprint
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.refs.spec import Spec, pack_spec
from actorrt.ids import IdSource, PeerAddress
from actorrt.protocol.hosts import HostActor

IDS = IdSource()
OWN, NODE = PeerAddress(IDS.peer(), "memory://own"), PeerAddress(IDS.peer(), "memory://node")
BINDING = SpecBinding(None, None, OWN.peer)


class Plain(Actor):
    def __init__(self, *args):
        self.args = args


class Starting(Plain):
    async def on_start(self):
        """Does something."""


class Wrapping(Plain):
    on_start = functools.wraps(Actor.on_start)(lambda self: None)


class Stopping(Plain):
    async def on_stop(self, reason):
        """Does something."""


def blueprint(cls, *args, authority=OWN, crash_on=(), **options):
    spec = pack_spec(Spec(cls, args, {}, None, crash_on), None, None).data
    asked = HostActor(
        actor=IDS.actor(),
        label="actor",
        incarnation=1,
        spec=spec,
        options=ActorOptions.of(options).to_data(),
        job=IDS.job(),
        namespace="default",
        authority=authority,
        is_supervisor=False,
        is_detached=True,
        snapshots=[],
    )
    made: Blueprint = ordered_blueprint(asked, BINDING)
    return made


def test_order_of_another_process_is_read():
    made = blueprint(Plain, 1, authority=NODE, max_concurrency=3)
    assert (made.cls, made.interface.class_name, made.options.max_concurrency) == (Plain, "Plain", 3)
    assert (made.authority, made.is_child_here, made.is_detached, made.namespace) == (NODE, False, True, "default")


def test_actor_whose_authority_is_this_endpoint_is_a_child_here():
    assert blueprint(Plain).is_child_here is True


def test_classes_that_crash_on_names_travel_with_the_spec():
    assert blueprint(Plain, crash_on=(MemoryError,)).options.crash_on == (MemoryError,)


@pytest.mark.parametrize(
    ("cls", "starts_at_once", "stops_at_once"),
    [(Plain, True, True), (Starting, False, True), (Wrapping, False, True), (Stopping, True, False)],
)
def test_only_hooks_that_do_something_are_waited_for(cls, starts_at_once, stops_at_once):
    made = blueprint(cls)
    assert (made.starts_at_once, made.stops_at_once) == (starts_at_once, stops_at_once)


def test_state_that_is_kept_is_waited_for(tmp_path):
    made = blueprint(Plain, name="learner", snapshot_every=1, snapshot_dir=str(tmp_path))
    assert (made.starts_at_once, made.stops_at_once) == (False, False)


def test_each_instance_has_arguments_of_its_own():
    made = blueprint(Plain, [1, 2])
    (first,), _ = made.arguments()
    (second,), _ = made.arguments()
    assert (first, first is second) == ([1, 2], False)
    plain = blueprint(Plain, 1, "a")
    assert plain.arguments() == ((1, "a"), {})
