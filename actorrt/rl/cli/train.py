"""`actorrt train`: trains a policy from the command line, shows the progress, and prints where the results are."""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import actorrt as art
from actorrt.rl.algorithms.algorithm import Algorithm
from actorrt.rl.algorithms.catalogue import ALGORITHMS
from actorrt.rl.cli.chaos import Chaos
from actorrt.rl.cli.setting_options import add_setting_options, given_settings, hint_for_unknown, pairs, whole
from actorrt.rl.environments.making import newest_version
from actorrt.rl.environments.seeds import episode_seed
from actorrt.rl.foundation.extras import MissingPackageError, require
from actorrt.rl.records.progress import Progress
from actorrt.rl.records.run_directory import BEST_FILE, CURVE_FILE, METRICS_FILE
from actorrt.rl.rollouts.evaluation import Evaluation, evaluate
from actorrt.rl.runs import interrupts, picture
from actorrt.rl.runs.logs import TensorBoardLog
from actorrt.rl.runs.run import PAUSING, Run
from actorrt.rl.views import curve
from actorrt.rl.views.progress_line import ProgressLine

FRESH_KEY = 1_000_002  # the seed of the final evaluation follows from the run's seed and this key
EXIT_FAILURE, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

EXAMPLES = """examples:
  actorrt train ppo CartPole-v1 --stop-return 475
  actorrt train ars Swimmer-v5 --simulators 4 --seed 1 --directory swimmer
  actorrt train ppo my_package:MyEnvironment-v0 --steps 1000000
  actorrt train ppo LunarLander-v3 --env-kwargs gravity=-5 enable_wind=true
  actorrt train ppo CartPole-v1 --hidden 128,128 --learning-rate 3e-4 --horizon 64
  actorrt train ppo --resume runs/ppo-CartPole-v1-0-... --steps 200000
  actorrt train ppo --resume runs/ppo-CartPole-v1-0-... --simulators 4 --learning-rate 1e-4

Ctrl-C pauses the run with a checkpoint, and prints how to resume it. A second Ctrl-C ends the run at once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `actorrt train`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage, parser.epilog = f"{parser.prog} ALGORITHM [ENVIRONMENT] [OPTIONS]", EXAMPLES
    parser.set_defaults(hint=hint_for_unknown)
    count: dict[str, Any] = {"type": whole, "metavar": "N"}
    parser.add_argument("algorithm", help=f"the algorithm: {', '.join(ALGORITHMS)}")
    parser.add_argument(
        "environment",
        nargs="?",
        help="Gymnasium id of the environment, such as CartPole-v1; with --resume it may be left out",
    )
    parser.add_argument("--simulators", **count, help="simulator processes (default: 2)")
    parser.add_argument("--seed", **count, help="seed of the run (default: 0)")
    parser.add_argument("--steps", **count, help="largest number of environment steps (default: the preset's)")
    parser.add_argument(
        "--stop-return",
        type=float,
        metavar="MEAN",
        help="end when a policy reaches this mean return in its evaluations",
    )
    parser.add_argument("--policy", metavar="FILE", help="begin with this policy's parameters (default: with new ones)")
    parser.add_argument(
        "--env-kwargs",
        nargs="+",
        metavar="NAME=VALUE",
        help="arguments of the environment, as in --env-kwargs gravity=-5 continuous=true; or one JSON object",
    )
    parser.add_argument("--envs", **count, help="environments of each simulator (default: the preset's, divided)")
    parser.add_argument(
        "--directory", metavar="DIR", help="directory for the policy, the curve and the metrics (default: runs/...)"
    )
    parser.add_argument(
        "--resume",
        metavar="DIR",
        help="resume an earlier run from its checkpoint; give --steps and --stop-return again, and what you change: "
        "--simulators, or settings",
    )
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard's event files, beside the policy")
    parser.add_argument(
        "--chaos", action="store_true", help="kill a simulator in the middle of the run, and check that it comes back"
    )
    add_setting_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, and return the exit status.

    Returns:
        0 after success; 1 after a failure and 2 for invalid arguments, with one line on stderr; 130 after an interrupt,
        with a checkpoint and the best policy so far saved.
    """
    if arguments.algorithm not in ALGORITHMS:
        matches = difflib.get_close_matches(arguments.algorithm.lower(), ALGORITHMS, n=1, cutoff=0.5)
        hint = f"did you mean {matches[0]}?" if matches else f"there are: {', '.join(ALGORITHMS)}"
        return _fail(f"there is no algorithm {arguments.algorithm!r}; {hint}", EXIT_USAGE)
    try:
        require("gymnasium")
        algorithm = _algorithm(arguments)
        algorithm.require_startable(arguments.steps, arguments.stop_return)
    except MissingPackageError as error:
        return _fail(str(error), EXIT_FAILURE)
    except (ValueError, TypeError, OSError) as error:
        return _fail(str(error), EXIT_USAGE)
    line = ProgressLine(sys.stderr)
    try:
        return _train(algorithm, arguments, line)
    except Exception as error:  # the command ends here, with one line
        line.end(None)
        art.shutdown()  # output of the processes should come before the line
        return _fail(_in_one_line(error), EXIT_FAILURE)
    finally:
        art.shutdown()


def _fail(message: str, status: int) -> int:
    sys.stderr.write(f"actorrt train: {message}\n")
    return status


def _in_one_line(error: Exception) -> str:
    """Return the error's type and text, and the place in an environment if a note names it."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith("simulator ")]
    return f"{text} ({notes[0]})" if notes else text


def _algorithm(arguments: argparse.Namespace) -> Algorithm:
    if arguments.steps is not None and arguments.steps < 1:
        raise ValueError(f"a run has at least 1 step: --steps {arguments.steps}")
    kind, settings = ALGORITHMS[arguments.algorithm], given_settings(arguments)
    if arguments.resume is not None:
        return _resumed(kind, settings, arguments)
    if arguments.environment is None:
        raise ValueError(f"give the environment, as in: actorrt train {arguments.algorithm} CartPole-v1")
    simulators = 2 if arguments.simulators is None else arguments.simulators
    if arguments.envs is not None:
        if "environments" in settings:
            raise ValueError("give one of --envs, of each simulator, and --environments, of all simulators together")
        settings["environments"] = arguments.envs * simulators
    return kind(
        arguments.environment,
        simulators=simulators,
        seed=arguments.seed or 0,
        directory=arguments.directory,
        policy=arguments.policy,
        env_kwargs=_env_kwargs(arguments),
        **settings,
    )


def _resumed(kind: type[Algorithm], settings: dict[str, Any], arguments: argparse.Namespace) -> Algorithm:
    """Resume a run, with the settings that were given in place of its own."""
    for name, instead in (
        ("seed", ""),
        ("directory", ""),
        ("policy", ""),
        ("envs", "; --environments counts those of all simulators"),
    ):
        if getattr(arguments, name) is not None:
            raise ValueError(f"--{name} can't be combined with --resume: a resumed run keeps it{instead}")
    changes = {"simulators": arguments.simulators, "env_kwargs": _env_kwargs(arguments), **settings}
    algorithm = kind.resume(arguments.resume, **changes)
    named = None if arguments.environment is None else newest_version(arguments.environment)
    if named not in (None, algorithm.policy.env_id):
        raise ValueError(f"the run in {arguments.resume} is on {algorithm.policy.env_id}, not {arguments.environment}")
    return algorithm


def _env_kwargs(arguments: argparse.Namespace) -> dict[str, Any] | None:
    return None if arguments.env_kwargs is None else pairs("--env-kwargs", arguments.env_kwargs)


def _train(algorithm: Algorithm, arguments: argparse.Namespace, line: ProgressLine) -> int:
    chaos = Chaos(line.note) if arguments.chaos else None

    def on_progress(progress: Progress) -> None:
        line.show(progress)
        if chaos is not None:
            chaos.on_progress(progress)

    training = algorithm.start(
        arguments.steps,
        arguments.stop_return,
        on_progress=on_progress,
        callbacks=[TensorBoardLog()] if arguments.tensorboard else [],
        show=False,
        keep_going=lambda: chaos is not None and not chaos.is_over,
    )
    line.wait(picture.starting(training.plan.name))

    def pause() -> None:
        line.note(PAUSING)
        training.stop()

    is_interrupted = False
    try:
        with interrupts.calling(pause):
            art.wait([training]).result()
    except KeyboardInterrupt:
        is_interrupted = True
        if not training.done():
            training.kill()
            art.wait([training]).result()
    training.value()
    with ThreadPoolExecutor(1, "shutdown") as executor:
        ending = executor.submit(art.shutdown)  # the run's actors are gone, and the report does not need the node
        result = None if is_interrupted or training.best_score is None else _result(training, line)
        line.end(training.progress)
        _report(training, result)
        ending.result()
    if is_interrupted:
        sys.stdout.write(f"{training.describe_pause()}\n")
        return EXIT_INTERRUPTED
    fault = None if chaos is None else chaos.finish()
    return 0 if fault is None else _fail(f"chaos: {fault}", EXIT_FAILURE)


def _result(training: Run, line: ProgressLine) -> Evaluation | None:
    """Evaluate the best policy on new seeds; None if an interrupt ends the evaluation, since all else is saved."""
    plan, settings = training.plan, training.plan.settings
    try:
        line.wait("playing the best policy on fresh seeds ...")
        return evaluate(
            training.best,
            plan.evaluation_environment,
            settings.evaluation_episodes,
            episode_seed(plan.seed, FRESH_KEY),
            steps=settings.evaluation_steps,
            deterministic=settings.evaluation_deterministic,
        )
    except KeyboardInterrupt:
        return None


def _worth(training: Run, result: Evaluation | None) -> str:
    if result is not None:
        return f"{result.mean:.1f} ± {result.std:.1f} over {len(result.returns)} episodes on fresh seeds"
    if training.best_score is not None:
        return f"{training.best_score:.1f} by the evaluator"
    return "the newest one, since none was evaluated"


def _report(training: Run, result: Evaluation | None) -> None:
    """Print the curve, the return of the best policy, and the paths of the files."""
    threshold = training.plan.stop_return
    returns = [(row["steps"], row["return_mean"]) for row in training.rows]
    os.makedirs(training.directory, exist_ok=True)
    paths = {name: os.path.join(training.directory, name) for name in (METRICS_FILE, CURVE_FILE, BEST_FILE)}
    if not os.path.exists(paths[CURVE_FILE]):
        paths[CURVE_FILE] = 'not drawn: pip install "actorrt[plot]"'
    if threshold is not None and not training.is_reached:
        sys.stdout.write(f"did not reach {threshold:g} within {training.steps:,} steps\n")
    columns = shutil.get_terminal_size((80, 24)).columns
    sys.stdout.write(f"{curve.draw_text(returns, width=min(64, max(16, columns - 12)))}\n\n")
    try:
        version = training.best.version
    except LookupError:
        sys.stdout.write("best policy: none was evaluated yet\n")
    else:
        sys.stdout.write(f"best policy: version {version}, {_worth(training, result)}\n  policy   {paths[BEST_FILE]}\n")
    if returns:
        sys.stdout.write(f"  curve    {paths[CURVE_FILE]}\n  metrics  {paths[METRICS_FILE]}\n")
    sys.stdout.flush()
