"""Pages of algorithms run as they are, and their updates are those of the library."""

from __future__ import annotations

import importlib.util
import io
import sys

import numpy as np
import pytest

from actorrt import rl
from actorrt.rl.algorithms.catalogue import ALGORITHMS
from actorrt.rl.algorithms.source import PAGES
from tests.unit.rl.algorithms.test_recorded_updates import Acting
from tests.unit.rl.counting import BoxIdentityEnv, IdentityEnv

BY_GRADIENT = {
    "ppo": ("PPOUpdate", {"minibatch_size": 16, "epochs": 3}, (0,)),
    "appo": ("APPOUpdate", {"minibatch_size": 16}, (0,)),
    "impala": ("IMPALAUpdate", {}, ()),
    "a2c": ("A2CUpdate", {}, ()),
}


@pytest.fixture
def page_module(tmp_path):
    """Print a page into a file, and import it."""
    made = []

    def load(name):
        path = tmp_path / f"page_of_{name}.py"
        with path.open("w") as file:
            rl.source(name, file=file)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        made.append(path.stem)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in made:
        del sys.modules[name]


@pytest.mark.parametrize("env", [IdentityEnv, BoxIdentityEnv])
@pytest.mark.parametrize("name", BY_GRADIENT)
def test_update_of_the_page_is_the_librarys(name, env, page_module):
    class_name, values, seed = BY_GRADIENT[name]
    page = page_module(name)
    settings = ALGORITHMS[name].settings_class.preset("", hidden=(8, 8), **values)
    acting = Acting(env, normalises=False, hidden=(8, 8))
    real = settings.update_rule(acting.spec, acting.policy.parameters, 0)
    printed = getattr(page, class_name)(settings, acting.spec, acting.policy.parameters, *seed)
    assert type(printed).__module__ == page.__name__ != type(real).__module__
    for number in range(3):
        fragments = (acting.collect(),)
        metrics = [rule(fragments, 1.0 - number / 3) for rule in (printed, real)]
        assert metrics[0] == metrics[1]
        assert (printed.parameters() == real.parameters()).all()
        acting.learn(real.parameters())


@pytest.mark.parametrize("name", ["ars", "es"])
def test_evolution_of_the_page_is_the_librarys(name, page_module):
    page = page_module(name)
    settings = ALGORITHMS[name].settings_class.preset("", directions=4)
    rules = getattr(page, f"{name.upper()}Update")(settings), settings.update_rule()
    returns, parameters = np.random.default_rng(0).normal(size=(4, 2)), np.ones(6, np.float32)
    (weights, _), (expected, _) = (rule.weigh(returns) for rule in rules)
    assert (weights == expected).all()
    assert (page.direction(0, 1, 2, 6) == rl.algorithms.source.direction(0, 1, 2, 6)).all()
    moved = [rule.move(parameters, np.arange(6.0)) for rule in rules]
    assert (moved[0] == moved[1]).all()


def test_page_of_ppo_learns_cartpole(page_module, capsys):
    page = page_module("ppo")
    chosen = page.PPOSettings.preset("CartPole-v1", steps=12_000)
    page.train(chosen, lambda spec, parameters: page.PPOUpdate(chosen, spec, parameters, seed=0))
    returns = [float(line.split()[3]) for line in capsys.readouterr().out.splitlines()]
    assert np.mean(returns[:5]) < 40.0
    assert np.mean(returns[-5:]) > 80.0


def test_page_of_ars_learns_cartpole(page_module, capsys):
    page = page_module("ars")
    chosen = page.ARSSettings.preset("CartPole-v1")
    page.evolve(chosen, page.ARSUpdate(chosen), updates=40)
    assert max(float(line.split()[3]) for line in capsys.readouterr().out.splitlines()) > 100.0


def test_every_algorithm_has_a_page_of_a_size_to_read_that_trains(page_module):
    assert set(PAGES) == set(ALGORITHMS)
    for name, page in PAGES.items():
        page_module(name)
        assert page.parts[-1].__name__ in page.ending
        file = io.StringIO()
        rl.source(name, file=file)
        assert 50 < len(file.getvalue().splitlines()) < 330
        assert max(map(len, file.getvalue().splitlines())) <= 120


def test_page_is_printed(capsys):
    rl.source("PPO")
    printed = capsys.readouterr().out
    assert printed.startswith('"""PPO on one page, as rl.source(\'ppo\') joined it from the sources of actorrt.')
    assert "- min(r A, clip(r, 1 - clip_range, 1 + clip_range) A)" in printed
    assert "Args:" not in printed
    assert "def resume" not in printed


def test_algorithm_without_a_page_is_named():
    with pytest.raises(ValueError, match=r"^there is no algorithm 'pp0'; did you mean 'ppo'\?$"):
        rl.source("pp0")
    with pytest.raises(ValueError, match=r"^there is no algorithm 'rainbow'; there are ppo, appo, impala, "):
        rl.source("rainbow")
