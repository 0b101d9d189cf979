"""The types of an actor's options, for type checkers and editors. `options` describes and checks the options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import PathLike
from typing import Literal, TypedDict

from actorrt.actors.policy.backoff import Backoff
from actorrt.actors.policy.node_placement import OnNode


class OptionTypes(TypedDict, total=False):
    """The options as users write them. A test compares them with those of `ActorOptions`."""

    name: str | None
    if_exists: Literal["fail", "get", "replace"]
    detached: bool
    cpus: float
    gpus: float
    resources: Mapping[str, float]
    isolation: Literal["shared", "process"] | None
    restart: Literal["temporary", "transient", "permanent"]
    max_restarts: int
    period_s: float
    backoff: Backoff | None
    shutdown_s: float | None
    hang_timeout_s: float | None
    crash_on: type[BaseException] | Collection[type[BaseException]]
    snapshot_every: int | float | None
    snapshot_dir: str | PathLike[str] | None
    mailbox_messages: int
    mailbox_bytes: int
    overflow: Literal["block", "fail", "drop_old", "drop_new", "latest"]
    max_concurrency: int
    call_timeout_s: float | None
    start_timeout_s: float | None
    placement: Literal["pack", "spread"] | OnNode | Mapping[str, str] | None
    env_vars: Mapping[str, str]
    preload: str | Collection[str]
