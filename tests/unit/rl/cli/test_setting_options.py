"""Settings as options of the command line: their names, and what their values mean."""

from __future__ import annotations

import argparse
import dataclasses
import math

import pytest

from actorrt.rl.algorithms.catalogue import KINDS
from actorrt.rl.cli import train
from actorrt.rl.cli.setting_options import (
    add_setting_options,
    given_settings,
    hint_for_unknown,
    pairs,
    parsed,
    whole,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("1e6", 1_000_000),
        ("1_000", 1_000),
        ("1.5e6", 1.5e6),
        ("1e-3", 1e-3),
        ("3e-4", 3e-4),
        ("-1.5", -1.5),
        ("inf", math.inf),
        ("true", True),
        ("False", False),
        ("none", None),
    ],
)
def test_texts_stand_for_values(text, value):
    assert parsed(text) == value
    assert type(parsed(text)) is type(value)


def test_every_setting_of_every_algorithm_has_an_option():
    parser = argparse.ArgumentParser()
    add_setting_options(parser)
    known = {field.name for kind in KINDS for field in dataclasses.fields(kind.settings_class)} - {"steps"}
    options = [text for name in sorted(known) for text in (f"--{name.replace('_', '-')}", "1")]
    assert set(given_settings(parser.parse_args(options))) == known


def test_given_settings_have_their_types_and_the_others_are_left_out():
    parser = argparse.ArgumentParser()
    add_setting_options(parser)
    given = parser.parse_args(["--hidden", "64,32", "--learning-rate-schedule", "linear", "--batch-steps", "none"])
    assert given_settings(given) == {"hidden": (64, 32), "learning_rate_schedule": "linear", "batch_steps": None}
    assert given_settings(parser.parse_args(["--hidden", "8"])) == {"hidden": (8,)}
    assert given_settings(parser.parse_args([])) == {}


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (
            ["g=9.81", "render_mode=rgb_array", "windy=true", "a=b=c"],
            {"g": 9.81, "render_mode": "rgb_array", "windy": True, "a": "b=c"},
        ),
        (['{"g": 9.81, "shape": [2, 3]}'], {"g": 9.81, "shape": [2, 3]}),
        (["{}"], {}),
    ],
)
def test_pairs_and_objects_are_arguments(texts, values):
    assert pairs("--env-kwargs", texts) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CartPole-v1", "--env-kwargs takes NAME=VALUE or one JSON object, not 'CartPole-v1'"),
        ("{g: 1}", "is no JSON object"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        pairs("--env-kwargs", [text])


@pytest.mark.parametrize(
    ("unknown", "hint"),
    [
        (["--lr", "3e-4"], "--lr is called --learning-rate here"),
        (["--n-steps=32"], "--n-steps is called --horizon here"),
        (["--total-timesteps", "100"], "--total-timesteps is called --steps here"),
        (
            ["--num-env-runners", "2"],
            "in place of --num-env-runners: simulators= says how many processes step environments",
        ),
        (["--learing-rate", "3e-4"], "did you mean --learning-rate?"),
        (["--directroy", "x"], "did you mean --directory?"),
        (["x", "y"], ""),
        (["--quantum"], ""),
    ],
)
def test_unknown_option_is_answered_with_the_right_one(unknown, hint):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    assert hint_for_unknown(parser.parse_args(["ppo", "CartPole-v1"]), unknown) == hint


@pytest.mark.parametrize("text", ["many", "1.5", "none", "true", "1e-3", "inf"])
def test_count_that_is_not_whole_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' is no whole number"):
        whole(text)
