"""Modules that are imported when a worker starts, because the driver preloaded them."""

from __future__ import annotations

import asyncio
import sys

import pytest

import actorrt as art

MODULE = "module_that_only_the_driver_finds"


class Witness(art.Actor):
    def is_imported(self, name):
        return name in sys.modules

    def number(self, name):
        return __import__(name).NUMBER


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / f"{MODULE}.py").write_text("NUMBER = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    return MODULE


async def test_workers_started_after_a_preload_have_modules_of_the_driver_imported(module):
    async with art.Runtime(cpus=2):
        before = await Witness.options(isolation="process").spawn()
        await art.preload(module, "colorsys")
        for isolation in ("process", "shared"):
            witness = await Witness.options(isolation=isolation).spawn()
            assert await art.gather(*(witness.is_imported(name) for name in (module, "colorsys"))) == [True, True]
            assert await witness.number(module) == 7
        assert not await before.is_imported(module)


async def test_actor_has_the_modules_of_its_preload_option_imported_and_other_actors_do_not(module):
    async with art.Runtime(cpus=2):
        owner = await Witness.options(preload=(module, "colorsys")).spawn()
        assert await art.gather(*(owner.is_imported(name) for name in (module, "colorsys"))) == [True, True]
        assert await owner.number(module) == 7
        for options in ({"isolation": "process"}, {"preload": "tabnanny"}, {}):
            other = await Witness.options(**options).spawn()
            assert not await other.is_imported(module)


async def test_actor_starts_without_a_preload_module_that_can_not_be_imported(capfd):
    async with art.Runtime(cpus=2):
        witness = await Witness.options(preload="no_such_module").spawn()
        assert not await witness.is_imported("no_such_module")
    assert "no_such_module is not preloaded: ModuleNotFoundError" in capfd.readouterr().err


async def test_import_of_modules_apart_begins_when_it_is_ordered(tmp_path, monkeypatch):
    begun = tmp_path / "begun"
    (tmp_path / "module_that_tells.py").write_text(f"open({str(begun)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    async with art.Runtime(cpus=2):
        await art.preload("module_that_tells", apart=True)
        async with asyncio.timeout(20):
            while not begun.exists():
                await asyncio.sleep(0.001)
        begun.unlink()
        witness = await Witness.options(preload="module_that_tells").spawn()
        assert await witness.is_imported("module_that_tells")
        assert not await (await Witness.options(isolation="process").spawn()).is_imported("module_that_tells")
    assert not begun.exists()


async def test_preload_option_has_no_effect_in_local_mode():
    async with art.Runtime(mode="local"):
        assert not await (await Witness.options(preload="no_such_module").spawn()).is_imported("no_such_module")


def test_processes_started_after_a_training_run_have_gymnasium_imported(tmp_path, monkeypatch):
    pytest.importorskip("gymnasium")
    from actorrt import rl

    monkeypatch.chdir(tmp_path)
    art.init(cpus=2)
    try:
        rl.PPO("CartPole-v1", hidden=(8, 8), epochs=1).start(steps=256).wait()
        witness = Witness.options(isolation="process").spawn().result(20)
        for name in ("actorrt.rl.roles.simulator", "gymnasium", "gymnasium.envs.classic_control.cartpole"):
            assert witness.is_imported(name).result(20), name
    finally:
        art.shutdown()


async def test_module_that_cannot_be_preloaded_is_reported_by_the_node_and_nothing_fails(capfd):
    async with art.Runtime(cpus=2):
        await art.preload("no_such_module")
        witness = await Witness.options(isolation="process").spawn()
        assert not await witness.is_imported("no_such_module")
    error = "ModuleNotFoundError: No module named 'no_such_module'"
    assert f"no_such_module is not preloaded: {error}; workers import it themselves" in capfd.readouterr().err


async def test_preload_is_accepted_and_has_no_effect_in_local_mode():
    async with art.Runtime(mode="local"):
        await art.preload("no_such_module")
        assert not await (await Witness.spawn()).is_imported("no_such_module")


def test_preload_in_plain_code_takes_effect_at_once():
    art.init(cpus=2)
    try:
        art.preload("colorsys")
        assert Witness.options(isolation="process").spawn().result(20).is_imported("colorsys").result(20)
    finally:
        art.shutdown()


@pytest.mark.parametrize("name", ["", "a b", "numpy..random", "numpy:random", ".numpy"])
async def test_preload_of_an_invalid_module_name_is_refused(name):
    async with art.Runtime(mode="local"):
        with pytest.raises(ValueError, match="give modules by their full names"):
            art.preload("numpy", name)


def test_preload_without_a_runtime_is_refused():
    with pytest.raises(art.RuntimeStateError, match="the runtime is not running here"):
        art.preload("numpy")
