"""What a runtime is started with: a wrong option is named, with its value and what to give."""

from __future__ import annotations

import pytest

import actorrt as art
from actorrt.node.driver import session
from actorrt.node.driver.runtime_options import checked

REFUSED = {
    "store_bytes as text": ({"store_bytes": "2GB"}, TypeError, "store_bytes='2GB': give a number of bytes, such as 2"),
    "store_bytes as a float": ({"store_bytes": 2e9}, TypeError, "store_bytes=2000000000.0: give a number of bytes"),
    "no store": ({"store_bytes": 0}, ValueError, "store_bytes=0: give a number of bytes"),
    "cpus as text": ({"cpus": "2"}, TypeError, "cpus='2': give a whole number of at least 1, or leave it out"),
    "no cpus": ({"cpus": 0}, ValueError, "cpus=0: give a whole number of at least 1"),
    "a flag for cpus": ({"cpus": True}, TypeError, "cpus=True"),
    "fewer than no gpus": ({"gpus": -1}, ValueError, "gpus=-1: give a whole number of at least 0"),
    "gpus as a list": ({"gpus": [0]}, TypeError, r"gpus=\[0\]"),
    "another mode": ({"mode": "remote"}, ValueError, "mode='remote': give 'node' or 'local'"),
    "an address that is none": ({"address": 7}, TypeError, "address=7: give a string"),
    "an empty address": ({"address": ""}, ValueError, "address='': give a string that is not empty"),
    "no namespace": ({"namespace": None}, TypeError, "namespace=None: give a string"),
    "an address and what it has": ({"address": "auto", "cpus": 2, "gpus": 0}, ValueError, "leave out cpus and gpus"),
}


@pytest.mark.parametrize(("options", "error", "text"), REFUSED.values(), ids=REFUSED)
def test_wrong_option_is_refused_before_anything_starts(options, error, text) -> None:
    for start in (art.init, art.Runtime):
        with pytest.raises(error, match=text):
            start(**options)


def test_right_options_are_kept_and_local_mode_knows_no_address() -> None:
    assert checked() == (None, None, "node", None, None, None, "default")
    assert checked("auto", namespace="mine") == ("auto", None, "node", None, None, None, "mine")
    assert checked("auto", "local", 2, 0, 1 << 20) == (None, None, "local", 2, 0, 1 << 20, "default")


def test_a_token_stands_in_place_of_an_address_or_beside_one() -> None:
    place = "tcp://10.0.0.1:7400"
    assert checked("art1.abc")[:2] == checked(token="art1.abc")[:2] == (None, "art1.abc")
    assert checked(place, token="art1.abc")[:2] == (place, "art1.abc")


def test_the_environment_counts_where_nothing_else_is_given() -> None:
    environ = {"ACTORRT_ADDRESS": "tcp://10.0.0.1:7400", "ACTORRT_TOKEN": "art1.abc"}
    assert checked(environ=environ)[:2] == ("tcp://10.0.0.1:7400", "art1.abc")
    assert checked(environ={"ACTORRT_TOKEN": "art1.abc"})[:2] == (None, "art1.abc")
    for given in ({"address": "auto"}, {"cpus": 2}, {"mode": "local"}):
        assert checked(**given, environ=environ)[1] is None


def test_the_error_about_another_runtime_names_no_token() -> None:
    old, new = {"address": "art1.secret", "cpus": None}, {"address": "art1.other", "cpus": 2}
    text = session._difference(old, new)
    assert "address=a token (it has a token), cpus=2 (it has None)" in text
