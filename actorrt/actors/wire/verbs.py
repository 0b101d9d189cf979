"""Pure: what processes ask of each other, and tell each other: each verb with the form of its data, by who hears it.

`Control` checks a message of another process against its verb's form before a handler sees it, so that a wrong one is
refused in words and has changed nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actorrt.actors.policy.instructions import Manner
from actorrt.actors.wire.forms import (
    Form,
    an_id,
    anything,
    count,
    fields,
    flag,
    list_of,
    map_of,
    one_of,
    optional,
    packed_ids,
    row_of,
    seconds,
    some_bytes,
    text,
    whole,
)

_REASON: Final = map_of(anything)  # `ExitReason.from_data` refuses what is none

_ORDER: Final = fields(
    spec=list_of(anything),
    card=some_bytes,
    options=map_of(anything),  # `ActorOptions.of` checks each
    class_name=text,
    job=an_id,
    namespace=text,
    parent=optional(an_id),
    supervisor=optional(an_id),
    child_id=optional(text),
    share=optional(row_of(count, count)),
    is_supervisor=flag,
    is_detached=flag,
    beside=flag,
    objects=list_of(an_id),
    tokens=list_of(some_bytes),
)

_ERROR: Final = map_of(anything)  # `errors.from_data` makes something of each
_ENDPOINT: Final = row_of(an_id, text)
_MANNER: Final = one_of(*(manner.value for manner in Manner))
_ACTOR: Final = fields(actor=an_id)
_OBJECT: Final = fields(object=an_id)
_INCARNATION: Final = fields(actor=an_id, incarnation=count)


def _spawn(place: str, data: Any) -> None:
    _ORDER(place, data)
    if len(data["objects"]) != len(data["tokens"]):
        raise ValueError(f"{place} has {len(data['objects'])} objects and {len(data['tokens'])} tokens")
    if data["share"] is not None and not data["share"][0] < data["share"][1]:
        raise ValueError(f"{place}.share is {data['share']}: it has to be a place and how many there are")


def _both(*forms: Form) -> Form:
    def check(place: str, data: Any) -> None:
        for form in forms:
            form(place, data)

    return check


OF_NODES: Final[Mapping[str, Form]] = {
    "attach_driver": fields(
        job=an_id,
        address=text,
        pid=count,
        setting=fields(namespace=text, sys_path=list_of(text), cwd=text, env_vars=map_of(text), log_level=count),
    ),
    "attach_worker": fields(pid=count),
    "detach": fields(job=an_id),
    "lookup": fields(namespace=text, name=text, timeout_s=seconds),
    "orphaned": _ACTOR,
    "preload": fields(modules=list_of(text), job=an_id),
    "restart_children": fields(supervisor=an_id, actors=list_of(an_id)),
    "stop_children": fields(actors=list_of(an_id), reason=text, manner=_MANNER),
    "hosted": fields(actors=list_of(row_of(an_id, count, flag))),
    "silence": fields(peer=an_id),
    "status": fields(after=optional(row_of(count, count)), count=count),
    "object_source": fields(object=an_id, failed=optional(an_id)),
    "object_read": _OBJECT,
    "pull_object": fields(object=an_id, peer=an_id, address=text),
    "release_object": _OBJECT,
    "hold_object": fields(object=an_id, token=optional(some_bytes)),
    "object_arrived": fields(object=an_id, token=some_bytes),
    "let_go_object": _OBJECT,
}
"""What only a node answers: to its processes, to commands, and to other nodes."""

OF_AUTHORITIES: Final[Mapping[str, Form]] = {
    "spawn": _both(_ACTOR, _spawn),
    "spawn_many": _both(fields(actors=packed_ids), _spawn),
    "withdraw_spawn": _ACTOR,
    "state": _ACTOR,
    "resolve": fields(actor=an_id, after=whole),
    "fate": fields(actor=an_id, after=whole),
    "alive": _ACTOR,
    "sibling": fields(actor=an_id, id=text),
    "monitor": fields(actor=an_id, since=optional(count)),
    "stop": fields(actors=packed_ids, reason=text, kill=flag),
    "stop_child": fields(actor=an_id, reason=text, kill=flag, manner=_MANNER),
    "delay_child": fields(actor=an_id, delay_s=seconds),
    "exited": fields(actors=packed_ids, incarnation=count, reason=_REASON, is_administrative=flag, is_buried=flag),
    "handled": _INCARNATION,
    "snapshot": fields(actor=an_id, incarnation=count, object=an_id, token=some_bytes),
    "ended": _ACTOR,
    "forget": fields(actor=an_id, reason=optional(_REASON)),
    "link": fields(actor=an_id, to=some_bytes),
    "unlink": fields(**{"actor": an_id, "from": an_id}),
}
"""What is asked of whoever keeps actors: a node, or a process of the light children of its actors."""

OF_HOSTS: Final[Mapping[str, Form]] = {
    "host": fields(
        actor=an_id,
        label=text,
        incarnation=count,
        spec=list_of(anything),
        options=map_of(anything),
        job=an_id,
        namespace=text,
        authority=_ENDPOINT,
        is_supervisor=flag,
        is_detached=flag,
        snapshots=list_of(an_id),
    ),
    "host_in_turn": fields(authority=_ENDPOINT, actors=list_of(row_of(an_id, count, list_of(an_id)))),
    "stop_in_turn": fields(actors=list_of(an_id), reason=text, manner=_MANNER),
    "stop_hosted": fields(actors=packed_ids, reason=text, is_administrative=flag, manner=_MANNER),
    "delay_hosted": fields(actor=an_id, delay_s=seconds),
    "kill_hosted": fields(actors=packed_ids),
    "bury": fields(actor=an_id, error=_ERROR),
    "linked": fields(actor=an_id, to=some_bytes),
    "unlinked": fields(**{"actor": an_id, "from": an_id}),
    "explain": fields(actor=an_id, call=count),
    "child_started": fields(supervisor=an_id, child=an_id, card=map_of(anything)),
    "child_exited": fields(
        supervisor=an_id, child=an_id, reason=_REASON, had_handled_message=flag, is_administrative=flag, cause=anything
    ),
    "child_withdrawn": fields(supervisor=an_id, child=an_id),
    "children_restarted": fields(
        supervisor=an_id, started=list_of(an_id), failed=optional(map_of(anything)), unreached=list_of(an_id)
    ),
}
"""What is asked of a process that hosts actors."""

OF_PROCESSES: Final[Mapping[str, Form]] = {
    "census": fields(siblings_count=count),
    "endpoint_down": fields(peer=an_id, reason=_REASON, in_hand=list_of(row_of(an_id, count))),
    "flush": fields(address=text),
    "job_ended": fields(why=text),
    "output": fields(pid=count, lines=list_of(row_of(text, text, text))),
}
"""What a node asks its processes, or tells them, and processes each other."""

FORMS: Final[Mapping[str, Form]] = {**OF_NODES, **OF_AUTHORITIES, **OF_HOSTS, **OF_PROCESSES}
WITHOUT_DATA: Final = frozenset({"check_invariants", "fence", "goodbye", "leave", "statistics"})
"""Verbs that are asked with nothing: they take whatever comes along, and look at none of it."""
