"""The reinforcement-learning library: roles as ordinary actors, algorithms as ordinary code over `stream`.

This module has only the public names. Importing them imports neither torch nor Gymnasium: code that learns in torch or
makes environments imports them when it needs them.
"""

from actorrt.rl.algorithms.a2c import A2C, A2CSettings
from actorrt.rl.algorithms.a3c import A3C, A3CSettings
from actorrt.rl.algorithms.appo import APPO, APPOSettings
from actorrt.rl.algorithms.ars import ARS, ARSSettings
from actorrt.rl.algorithms.dqn import DQN, DQNSettings
from actorrt.rl.algorithms.es import ES, ESSettings
from actorrt.rl.algorithms.impala import IMPALA, IMPALASettings
from actorrt.rl.algorithms.ppo import PPO, PPOSettings
from actorrt.rl.algorithms.source import source
from actorrt.rl.environments.description import describe
from actorrt.rl.environments.env_failures import UnplayableError
from actorrt.rl.environments.making import MaskedByInfo
from actorrt.rl.networks.policy_spec import PolicySpec
from actorrt.rl.policies.factory import load_policy
from actorrt.rl.policies.numpy_policy import LinearPolicy, MlpPolicy
from actorrt.rl.policies.protocols import Policy
from actorrt.rl.policies.weights import Weights
from actorrt.rl.records.progress import Progress
from actorrt.rl.replay.limiters import Limiter, MinSize, Queue, SampleToInsertRatio, Stack
from actorrt.rl.replay.selectors import Fifo, Lifo, MaxHeap, MinHeap, Prioritised, Uniform
from actorrt.rl.replay.service import Sample
from actorrt.rl.replay.table import Table
from actorrt.rl.roles.evaluator import Evaluator
from actorrt.rl.roles.inference import Inference
from actorrt.rl.roles.learner import Learner
from actorrt.rl.roles.parameters import ParameterServer
from actorrt.rl.roles.replay import Replay
from actorrt.rl.roles.simulator import Simulator
from actorrt.rl.rollouts.evaluation import Evaluation, evaluate
from actorrt.rl.rollouts.stream import Stream, stream
from actorrt.rl.rollouts.trajectory import Batch, Fragment
from actorrt.rl.runs.callbacks import Callback, EarlyStop
from actorrt.rl.runs.logs import CsvLog, MlflowLog, TensorBoardLog, WandbLog
from actorrt.rl.runs.run import Run
from actorrt.rl.spaces.finite import DivergedError
from actorrt.rl.spaces.normaliser import Moments, Normaliser
from actorrt.rl.views.video import Video, film

__all__ = [
    "A2C",
    "A3C",
    "APPO",
    "ARS",
    "DQN",
    "ES",
    "IMPALA",
    "PPO",
    "A2CSettings",
    "A3CSettings",
    "APPOSettings",
    "ARSSettings",
    "Batch",
    "Callback",
    "CsvLog",
    "DQNSettings",
    "DivergedError",
    "ESSettings",
    "EarlyStop",
    "Evaluation",
    "Evaluator",
    "Fifo",
    "Fragment",
    "IMPALASettings",
    "Inference",
    "Learner",
    "Lifo",
    "Limiter",
    "LinearPolicy",
    "MaskedByInfo",
    "MaxHeap",
    "MinHeap",
    "MinSize",
    "MlflowLog",
    "MlpPolicy",
    "Moments",
    "Normaliser",
    "PPOSettings",
    "ParameterServer",
    "Policy",
    "PolicySpec",
    "Prioritised",
    "Progress",
    "Queue",
    "Replay",
    "Run",
    "Sample",
    "SampleToInsertRatio",
    "Simulator",
    "Stack",
    "Stream",
    "Table",
    "TensorBoardLog",
    "Uniform",
    "UnplayableError",
    "Video",
    "WandbLog",
    "Weights",
    "describe",
    "evaluate",
    "film",
    "load_policy",
    "source",
    "stream",
]
