"""A seed gives the same parameters as before, bit for bit: a few updates of every algorithm against a record.

`tests.records_of_floats` says how the record is made anew.
"""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from actorrt.rl.algorithms.a2c import A2CSettings
from actorrt.rl.algorithms.a3c import A3CSettings
from actorrt.rl.algorithms.a3c_roles import GradientServer
from actorrt.rl.algorithms.actor_critic import actor_critic_gradient
from actorrt.rl.algorithms.appo import APPOSettings
from actorrt.rl.algorithms.ars import ARSSettings
from actorrt.rl.algorithms.es import ESSettings
from actorrt.rl.algorithms.impala import IMPALASettings
from actorrt.rl.algorithms.ppo import PPOSettings
from actorrt.rl.environments.description import describe
from actorrt.rl.environments.seeded_environments import SeededEnvironments
from actorrt.rl.environments.seeds import episode_seed
from actorrt.rl.evolution.perturbation import direction
from actorrt.rl.networks.network import make_network
from actorrt.rl.networks.optimiser import to_array
from actorrt.rl.policies.numpy_policy import MlpPolicy
from actorrt.rl.rollouts.sampler import Sampler
from actorrt.rl.rollouts.transitions import transitions
from actorrt.rl.spaces.normaliser import Normaliser
from tests.records_of_floats import Record
from tests.unit.rl.counting import AnyIdentityEnv, BoxIdentityEnv, IdentityEnv, MaskedIdentityEnv

RECORD = Record(__file__)
COUNT, HORIZON, UPDATES = 3, 20, 4


def dict_env():
    parts = {"which": spaces.Discrete(3), "on": spaces.MultiBinary(2), "at": spaces.Box(-1.0, 1.0, (2,), np.float32)}
    return AnyIdentityEnv(spaces.Dict(parts))


ENVIRONMENTS = {"discrete": IdentityEnv, "continuous": BoxIdentityEnv, "dict": dict_env, "masked": MaskedIdentityEnv}
LINEAR = {"learning_rate_schedule": "linear", "entropy_coefficient": 0.01, "max_grad_norm": 0.05}
KINDS = {
    "ppo": (PPOSettings, {"minibatch_size": 16, "epochs": 3}),
    "ppo-variant": (PPOSettings, {**LINEAR, "epochs": 2, "clip_schedule": "linear", "normalise_advantages": False}),
    "a2c": (A2CSettings, {}),
    "a2c-variant": (A2CSettings, {**LINEAR, "gae_lambda": 0.9, "normalise_advantages": True}),
    "appo": (APPOSettings, {"minibatch_size": 16}),
    "impala": (IMPALASettings, {}),
    "impala-variant": (IMPALASettings, {**LINEAR, "rho_limit": 2.0, "c_limit": 0.9}),
}
VARIANT = {"activation": "relu", "orthogonal": False, "log_std": -0.5, "hidden": (8, 16, 8)}


class Acting:
    """A policy that acts in environments, with or without normalisation."""

    def __init__(self, env, *, normalises, **shape):
        self.spec = describe(env, **shape)
        nothing = Normaliser.nothing(self.spec.input_count, observations=True, rewards=True)
        self.policy = MlpPolicy(self.spec, normaliser=nothing if normalises else None)
        self.policy.init(seed=0)
        environments = SeededEnvironments(env, COUNT, lambda k, episode: episode_seed(0, k, episode))
        self._sampler = Sampler(environments, self.policy, HORIZON, np.random.default_rng(0), gamma=0.95)

    def collect(self):
        """Return a fragment, and count its observations and returns."""
        fragment = self._sampler.collect()
        policy = self.policy
        if policy.normaliser is not None:
            policy.set_parameters(policy.parameters, policy.version, policy.normaliser.merged(fragment.seen))
        return fragment

    def learn(self, parameters):
        """Act with these parameters from now on."""
        self.policy.set_parameters(parameters, self.policy.version + 1, self.policy.normaliser)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("kind", KINDS)
def test_rule_leads_to_the_recorded_parameters(kind, environment):
    settings_class, values = KINDS[kind]
    shape = VARIANT if kind.endswith("variant") else {"hidden": (16, 16)}
    settings = settings_class.preset("", **values, **shape)
    acting = Acting(ENVIRONMENTS[environment], normalises=kind.endswith("variant"), **shape)
    rule = settings.update_rule(acting.spec, acting.policy.parameters, 0)
    previous = acting.collect()
    for number in range(UPDATES):
        fragment = acting.collect()
        rule((previous, fragment), 1.0 - number / UPDATES)
        acting.learn(rule.parameters())
        previous = fragment
    RECORD.check(f"{kind} {environment}", rule.parameters())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_gradients_of_a3c_lead_to_the_recorded_parameters(environment):
    settings = A3CSettings.preset("", hidden=(16, 16), learning_rate_schedule="linear")
    acting = Acting(ENVIRONMENTS[environment], normalises=False, hidden=(16, 16))
    server = GradientServer(settings, 2 * UPDATES * COUNT * HORIZON, acting.policy.parameters)
    network = make_network(acting.spec, acting.policy.parameters)
    for _ in range(UPDATES):
        fragment = acting.collect()
        network.set_parameters(acting.policy.parameters)
        rows = transitions((fragment,), gamma=settings.gamma, gae_lambda=settings.gae_lambda)
        actor_critic_gradient(network, rows, rows.advantage, settings.value_coefficient, settings.entropy_coefficient)
        acting.learn(server.apply(to_array(network.gradient), fragment.step_count).parameters)
    RECORD.check(f"a3c {environment}", server.latest().parameters)


@pytest.mark.parametrize("settings", [ARSSettings(directions=6, best_directions=4), ESSettings(directions=6)])
def test_evolution_leads_to_the_recorded_parameters(settings):
    rule, parameters, rng = settings.update_rule(), np.full(30, 0.1, np.float32), np.random.default_rng(0)
    for iteration in range(UPDATES):
        weights, _ = rule.weigh(rng.normal(10.0, 4.0, (settings.directions, 2)))
        noise = [direction(0, iteration, number, len(parameters)) for number in range(settings.directions)]
        parameters = rule.move(parameters, weights @ np.array(noise))
    RECORD.check(settings.algorithm.lower(), parameters)


def test_rule_in_torch_leads_to_the_recorded_parameters():
    pytest.importorskip("torch").set_num_threads(1)
    acting = Acting(dict_env, normalises=True, **VARIANT)
    settings = PPOSettings.preset("", **KINDS["ppo-variant"][1], **VARIANT, backend="torch")
    rule = settings.update_rule(acting.spec, acting.policy.parameters, 0)
    for _ in range(UPDATES):
        rule((acting.collect(),), 0.5)
        acting.learn(rule.parameters())
    RECORD.check("ppo-variant in torch", rule.parameters())


def test_record_tells_a_change(monkeypatch):
    monkeypatch.delenv("RENEW_RECORDS", raising=False)
    recorded = RECORD._load()
    name, entry = next(iter(recorded["results"].items()))
    wrong = np.zeros(entry["shape"], np.float32)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        RECORD.check(name, wrong)
