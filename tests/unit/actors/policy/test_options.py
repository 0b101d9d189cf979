"""Options of actors: what is accepted, and what each refusal says."""

from __future__ import annotations

from datetime import timedelta

import msgpack
import numpy as np
import pytest

from actorrt.actors.policy.backoff import Backoff
from actorrt.actors.policy.options import ActorOptions, IfExists, Overflow, RestartType


def test_defaults_are_those_of_the_api() -> None:
    options = ActorOptions()
    assert (options.name, options.if_exists, options.detached) == (None, IfExists.FAIL, False)
    assert (options.cpus, options.gpus, options.resources, options.isolation) == (0, 0, {}, None)
    assert (options.restart, options.max_restarts, options.period_s) == (RestartType.TEMPORARY, 5, 30)
    assert (options.shutdown_s, options.hang_timeout_s, options.crash_on) == (5, None, ())
    assert (options.mailbox_messages, options.mailbox_bytes) == (10_000, 64 << 20)
    assert (options.overflow, options.max_concurrency, options.call_timeout_s) == (Overflow.BLOCK, 1, None)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cpu": 1}, TypeError, "unknown actor option 'cpu': did you mean 'cpus'?"),
        (
            {"restart": "always"},
            ValueError,
            "option restart='always': give one of 'permanent', 'transient', 'temporary'",
        ),
        ({"restart": "permament"}, ValueError, "did you mean 'permanent'?"),
        ({"restart": 1}, TypeError, "option restart=1: give one of 'permanent'"),
        ({"cpus": -1}, ValueError, "option cpus=-1: give a number of at least 0"),
        ({"cpus": float("nan")}, ValueError, "option cpus=nan: give a number of at least 0"),
        ({"cpus": True}, TypeError, "option cpus=True: give a number of at least 0"),
        ({"cpus": "1"}, TypeError, "option cpus='1': give a number of at least 0"),
        ({"max_restarts": 2.5}, TypeError, "option max_restarts=2.5: give a whole number of at least 0"),
        ({"max_concurrency": 0}, ValueError, "option max_concurrency=0: give a whole number of at least 1"),
        ({"mailbox_messages": 0}, ValueError, "option mailbox_messages=0: give a whole number of at least 1"),
        ({"period_s": 0}, ValueError, "option period_s=0: give a number above 0"),
        ({"snapshot_every": timedelta(1)}, TypeError, "option snapshot_every=datetime.timedelta"),
        ({"name": ""}, ValueError, "option name='': give a string that is not empty"),
        ({"name": b"x"}, TypeError, "option name=b'x': give a string"),
        ({"detached": "yes"}, TypeError, "option detached='yes': give True or False"),
        ({"resources": {"tpu": -1}}, ValueError, "option resources['tpu']=-1: give a number of at least 0"),
        ({"resources": ["tpu"]}, TypeError, "option resources=['tpu']: give a mapping from names to values"),
        ({"env_vars": {"A": 1}}, TypeError, "option env_vars['A']=1: give a string"),
        ({"preload": 1}, TypeError, "option preload=1: give the full names of modules, such as ('torch',"),
        ({"preload": ["a b"]}, ValueError, "option preload=['a b']: give modules by their full names"),
        ({"isolation": "shared", "preload": "torch"}, ValueError, "preload=('torch',)"),
        ({"crash_on": (int,)}, TypeError, "give exception classes, such as (MemoryError, OSError)"),
        ({"backoff": 1}, TypeError, "option backoff=1: give a Backoff"),
        ({"isolation": "shared", "cpus": 1}, ValueError, "isolation='shared' with cpus=1, gpus=0, env_vars={}"),
        ({"isolation": "shared", "gpus": 1}, ValueError, "isolation='shared' with cpus=0, gpus=1, env_vars={}"),
        ({"if_exists": "get"}, ValueError, "if_exists='get' without a name: give name= as well"),
    ],
)
def test_bad_option_is_refused_by_name_value_and_next_step(
    options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        ActorOptions.of(options)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, False),
        ({"cpus": 0.5}, True),
        ({"gpus": 1}, True),
        ({"isolation": "process"}, True),
        ({"env_vars": {"OMP_NUM_THREADS": "2"}}, True),
        ({"preload": "torch"}, True),
        ({"isolation": "shared"}, False),
        ({"resources": {"licence": 1}}, False),
    ],
)
def test_own_process_follows_from_what_is_reserved(options: dict[str, object], expected: bool) -> None:
    assert ActorOptions.of(options).needs_own_process is expected


def test_numbers_of_numpy_are_kept_as_plain_numbers() -> None:
    options = ActorOptions.of({"cpus": np.int64(2), "max_restarts": np.int64(3), "shutdown_s": np.float32(0.5)})
    assert [type(value) for value in (options.cpus, options.max_restarts, options.shutdown_s)] == [float, int, float]


def test_snapshot_every_counts_messages_as_int_and_seconds_as_float() -> None:
    values = [ActorOptions.of({"snapshot_every": every}).snapshot_every for every in (10, 2.5)]
    assert [(type(value), value) for value in values] == [(int, 10), (float, 2.5)]


def test_one_exception_class_does_for_crash_on() -> None:
    assert ActorOptions.of({"crash_on": OSError}).crash_on == (OSError,)


def test_replaced_changes_only_what_is_named() -> None:
    options = ActorOptions.of({"name": "a", "cpus": 1})
    assert options.replaced({"name": "b"}) == ActorOptions.of({"name": "b", "cpus": 1})
    with pytest.raises(TypeError, match="unknown actor option 'cpuz'"):
        options.replaced({"cpuz": 1})


def test_policy_of_defaults_is_empty() -> None:
    assert ActorOptions().to_data() == {}


def test_policy_survives_msgpack() -> None:
    options = ActorOptions.of(
        {
            "name": "counter",
            "if_exists": "replace",
            "cpus": 1.5,
            "resources": {"licence": 1},
            "restart": "transient",
            "backoff": Backoff(first_s=1, max_s=2),
            "shutdown_s": None,
            "overflow": "drop_old",
            "env_vars": {"A": "b"},
            "preload": ["torch", "gymnasium.envs"],
        }
    )
    packed = msgpack.packb(options.to_data())
    assert ActorOptions.from_data(msgpack.unpackb(packed)) == options


def test_policy_leaves_classes_behind() -> None:
    assert ActorOptions.of({"crash_on": (OSError,), "restart": "permanent"}).to_data() == {"restart": "permanent"}
