"""Pure: what the verbs of a node and of the other authorities over actors are asked with.

`Control` checks a message against its verb's form before a handler sees it, so that a wrong one is refused in words
and has changed nothing. What the tables don't name is checked by its handler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actorrt.actors.forms import (
    Form,
    an_id,
    anything,
    count,
    fields,
    flag,
    list_of,
    map_of,
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
    share=optional(row_of(count, count)),
    is_supervisor=flag,
    is_detached=flag,
    beside=flag,
    objects=list_of(an_id),
    tokens=list_of(some_bytes),
)

_ACTOR: Final = fields(actor=an_id)
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
    "stop_children": fields(actors=list_of(an_id), reason=text),
    "hosted": fields(actors=list_of(row_of(an_id, count, flag))),
    "silence": fields(peer=an_id),
    "census": fields(siblings_count=count),
    "status": fields(after=optional(row_of(count, count)), count=count),
}
"""What only a node answers; its other verbs are asked with nothing."""

OF_AUTHORITIES: Final[Mapping[str, Form]] = {
    "spawn": _both(_ACTOR, _spawn),
    "spawn_many": _both(fields(actors=packed_ids), _spawn),
    "withdraw_spawn": _ACTOR,
    "state": _ACTOR,
    "resolve": fields(actor=an_id, after=whole),
    "fate": fields(actor=an_id, after=whole),
    "alive": _ACTOR,
    "monitor": fields(actor=an_id, since=optional(count)),
    "stop": fields(actor=an_id, reason=text, kill=flag),
    "stop_child": fields(actor=an_id, reason=text, kill=flag),
    "exited": fields(actor=an_id, incarnation=count, reason=_REASON, is_administrative=flag),
    "handled": _INCARNATION,
    "snapshot": fields(actor=an_id, incarnation=count, object=an_id, token=some_bytes),
    "ended": _ACTOR,
    "forget": fields(actor=an_id, reason=optional(_REASON)),
    "link": fields(actor=an_id, to=some_bytes),
    "unlink": fields(**{"actor": an_id, "from": an_id}),
}
"""What is asked of whoever keeps actors: a node, or a process of the light children of its actors."""

OF_DRIVERS: Final[Mapping[str, Form]] = {
    "endpoint_down": fields(peer=an_id, reason=_REASON, in_hand=list_of(row_of(an_id, count))),
    "job_ended": fields(why=text),
    "output": fields(pid=count, lines=list_of(row_of(text, text, text))),
}
"""What a node tells its drivers, and of it `endpoint_down` every process."""

FORMS: Final[Mapping[str, Form]] = {**OF_NODES, **OF_AUTHORITIES, **OF_DRIVERS}
