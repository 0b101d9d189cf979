"""How a run that has ended says in a line what is left of it."""

from __future__ import annotations

import actorrt.rl as rl
from actorrt.rl.runs.endings import describe_failure, describe_pause

PLAN = rl.A2C("CartPole-v1")._plan(2_000)
RESUMPTION = "rl.A2C.resume('runs/1').start(steps=2_000)"


def test_paused_run_says_how_code_and_command_line_resume_it():
    assert describe_pause(PLAN, "runs/1", 1_500, 1_000) == (
        f"paused after 1,000 steps; {RESUMPTION} resumes it, and so does "
        "actorrt train a2c CartPole-v1 --resume runs/1 --steps 2000"
    )


def test_failed_run_says_which_checkpoint_is_left():
    assert describe_failure(PLAN, "runs/1", 1_500, 1_000) == (
        f"the run failed after 1,500 steps; {RESUMPTION} resumes from its checkpoint of 1,000 steps"
    )


def test_run_without_checkpoint_says_so():
    assert describe_pause(PLAN, "runs/1", 1_500, None) == "ended after 1,500 steps, before the first checkpoint"
    assert describe_failure(PLAN, "runs/1", 1_500, None) == (
        "the run failed after 1,500 steps; it had no checkpoint yet"
    )
