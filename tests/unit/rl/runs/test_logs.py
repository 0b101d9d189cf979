"""Logs of a run's metrics, read back by an independent reader or received by stand-ins for other packages."""

from __future__ import annotations

import csv
import dataclasses
import math
import struct
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from actorrt.rl.algorithms.ppo import PPOSettings
from actorrt.rl.foundation.extras import MissingPackageError
from actorrt.rl.rollouts.evaluation import Evaluation
from actorrt.rl.runs.logs import CsvLog, MlflowLog, TensorBoardLog, WandbLog
from actorrt.rl.views.event_file import EventFile, masked_checksum
from tests.unit.rl.views.test_progress_line import AFTER_4_S

UPDATES = [
    dataclasses.replace(AFTER_4_S, steps=steps, return_mean=mean, metrics={"kl": 0.25})
    for steps, mean in ((256, math.nan), (70_000, 21.5))
]
EVALUATION = Evaluation(np.array([1.0, 3.0]))


class FakeRun(SimpleNamespace):
    """The part of a run that logs read."""

    def __init__(self, directory):
        plan = SimpleNamespace(name="ppo-1", settings=PPOSettings.preset(""), origin=lambda: {"seed": 1})
        super().__init__(directory=str(directory), plan=plan, rows=[UPDATES[0].row()])


def tell(log, run):
    log.on_start(run)
    for progress in UPDATES:
        log.on_update(run, progress)
    log.on_evaluation(run, 70_000, EVALUATION)
    log.on_end(run)


def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


def read_message(data):
    """Return the fields of a protocol buffer, in order, as its specification has them."""
    at, fields = 0, []
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            value, at = read_varint(data, at)
        elif key & 7 == 2:
            size, at = read_varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            form, size = ("<d", 8) if key & 7 == 1 else ("<f", 4)
            (value,), at = struct.unpack(form, data[at : at + size]), at + size
        fields.append((key >> 3, value))
    return fields


def slow_checksum(data):
    """CRC-32C bit by bit, masked."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8 & 0xFFFFFFFF


def read_events(path):
    data, at, events = path.read_bytes(), 0, []
    while at < len(data):
        length, checksum = struct.unpack("<QI", data[at : at + 12])
        assert checksum == slow_checksum(data[at : at + 8])
        event = data[at + 12 : at + 12 + length]
        (checksum,) = struct.unpack("<I", data[at + 12 + length : at + 16 + length])
        assert checksum == slow_checksum(event)
        events.append(read_message(event))
        at += 16 + length
    return events


def scalars(event):
    fields = dict(event)
    values = [dict(read_message(value)) for number, value in read_message(fields[5]) if number == 1]
    return fields.get(2, 0), {value[1].decode(): value[2] for value in values}


def test_checksums_are_castagnolis():
    assert masked_checksum(b"123456789") == (0xE3069283 >> 15 | 0xE3069283 << 17 & 0xFFFFFFFF) + 0xA282EAD8 & 0xFFFFFFFF


def test_tensorboard_finds_every_number_at_its_step(tmp_path):
    tell(TensorBoardLog(), FakeRun(tmp_path))
    (path,) = tmp_path.glob("events.out.tfevents.*")
    version, *events = read_events(path)
    assert dict(version)[3] == b"brain.Event:2"
    steps, values = zip(*map(scalars, events), strict=True)
    assert steps == (256, 70_000, 70_000)
    assert values[0]["train/kl"] == 0.25
    assert "train/return_mean" not in values[0]  # not a number yet
    assert values[1]["train/return_mean"] == 21.5
    assert values[2] == {"evaluation/mean": 2.0, "evaluation/std": 1.0}


def test_event_files_do_not_replace_each_other(tmp_path):
    for _ in range(2):
        EventFile(str(tmp_path)).close()
    assert len(list(tmp_path.iterdir())) == 2


def test_csv_has_a_line_for_each_update(tmp_path):
    tell(CsvLog(), FakeRun(tmp_path))
    with open(tmp_path / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["steps"], row["return_mean"], row["kl"]) for row in rows] == [
        ("256", "nan", "0.25"),
        ("70000", "21.5", "0.25"),
    ]


def test_csv_of_a_resumed_run_begins_with_the_earlier_rows(tmp_path):
    run = FakeRun(tmp_path)
    run.rows = [progress.row() for progress in UPDATES]
    log = CsvLog(str(tmp_path / "folder" / "all.csv"))
    log.on_update(run, UPDATES[1])
    log.on_end(run)
    lines = (tmp_path / "folder" / "all.csv").read_text().splitlines()
    assert len(lines) == 3


def test_weights_and_biases_is_told(tmp_path, monkeypatch):
    told = []
    theirs = SimpleNamespace(log=lambda row, **more: told.append((row, more)), finish=lambda: told.append("finished"))
    wandb = ModuleType("wandb")
    wandb.__spec__ = SimpleNamespace()
    wandb.init = lambda **options: told.append(options) or theirs
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    tell(WandbLog(project="carts"), FakeRun(tmp_path))
    begun, first, second, evaluated, end = told
    assert begun == {"name": "ppo-1", "config": {"seed": 1}, "project": "carts"}
    assert (first[0]["kl"], first[1]) == (0.25, {"step": 256})
    assert (second[0]["return_mean"], second[1]) == (21.5, {"step": 70_000})
    assert evaluated == ({"evaluation_mean": 2.0, "evaluation_std": 1.0}, {"commit": False})
    assert end == "finished"


def test_mlflow_is_told(tmp_path, monkeypatch):
    told = []
    mlflow = ModuleType("mlflow")
    mlflow.__spec__ = SimpleNamespace()
    for name in ("start_run", "log_params", "log_metrics", "end_run"):
        setattr(mlflow, name, lambda *arguments, name=name, **more: told.append((name, arguments, more)))
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    tell(MlflowLog(experiment_id="7"), FakeRun(tmp_path))
    assert [name for name, _, _ in told] == ["start_run", "log_params", *["log_metrics"] * 3, "end_run"]
    assert told[0][2] == {"run_name": "ppo-1", "experiment_id": "7"}
    assert told[1][1][0]["gamma"] == 0.99
    assert told[2][2] == {"step": 256}


@pytest.mark.parametrize(("kind", "package"), [(WandbLog, "wandb"), (MlflowLog, "mlflow")])
def test_missing_packages_are_named(kind, package, monkeypatch):
    monkeypatch.setattr("actorrt.rl.foundation.extras.is_installed", lambda _: False)
    with pytest.raises(
        MissingPackageError, match=f'{package} is needed and not installed: pip install "actorrt'
    ) as raised:
        kind()
    assert raised.value.name == package
