"""The reinforcement-learning library: roles as ordinary actors, algorithms as ordinary code over `stream`.

Only the public names. Importing them needs neither torch nor Gymnasium: whoever learns or makes environments
imports those then.
"""

from actorrt.rl.a2c import A2C, A2CSettings
from actorrt.rl.a3c import A3C, A3CSettings
from actorrt.rl.appo import APPO, APPOSettings
from actorrt.rl.ars import ARS, ARSSettings
from actorrt.rl.callbacks import Callback, EarlyStop
from actorrt.rl.environment import MaskedByInfo, describe
from actorrt.rl.es import ES, ESSettings
from actorrt.rl.evaluation import Evaluation, evaluate
from actorrt.rl.evaluator import Evaluator
from actorrt.rl.finite import DivergedError
from actorrt.rl.impala import IMPALA, IMPALASettings
from actorrt.rl.inference import Inference
from actorrt.rl.learner import Learner
from actorrt.rl.logs import CsvLog, MlflowLog, TensorBoardLog, WandbLog
from actorrt.rl.normaliser import Moments, Normaliser
from actorrt.rl.parameters import ParameterServer
from actorrt.rl.policy import LinearPolicy, MlpPolicy, Policy, PolicySpec, Weights
from actorrt.rl.policy_file import load_policy
from actorrt.rl.ppo import PPO, PPOSettings
from actorrt.rl.progress import Progress
from actorrt.rl.run import Run
from actorrt.rl.simulator import Simulator
from actorrt.rl.stream import Stream, stream
from actorrt.rl.trajectory import Batch, Fragment
from actorrt.rl.video import Video, film

__all__ = [
    "A2C",
    "A3C",
    "APPO",
    "ARS",
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
    "DivergedError",
    "ESSettings",
    "EarlyStop",
    "Evaluation",
    "Evaluator",
    "Fragment",
    "IMPALASettings",
    "Inference",
    "Learner",
    "LinearPolicy",
    "MaskedByInfo",
    "MlflowLog",
    "MlpPolicy",
    "Moments",
    "Normaliser",
    "PPOSettings",
    "ParameterServer",
    "Policy",
    "PolicySpec",
    "Progress",
    "Run",
    "Simulator",
    "Stream",
    "TensorBoardLog",
    "Video",
    "WandbLog",
    "Weights",
    "describe",
    "evaluate",
    "film",
    "load_policy",
    "stream",
]
